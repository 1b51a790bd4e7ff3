//! The rules of the election: pure, so that every case is a unit test.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use tokio::time::Instant;

/// A Lease as it was read, and since when it has been seen unchanged.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    /// The object, whole: a replace keeps what others put on it.
    pub(super) lease: Lease,
    /// When this version was first seen, on the local monotonic clock.
    pub(super) since: Instant,
}

/// What to do about a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// There is none: create it.
    Create,
    /// It is free or has expired: take it.
    Acquire,
    /// It is ours: renew it.
    Renew,
    /// It is another's, who has this long left unless they renew.
    Wait(Duration),
}

impl Observed {
    /// Takes note of what was just read. The clock of an unchanged Lease goes
    /// on; any change, whoever made it, starts it anew. Nobody's wall clock is
    /// compared with anybody else's.
    pub(super) fn note(previous: Option<Self>, lease: Lease, now: Instant) -> Self {
        match previous {
            Some(previous) if version(&previous.lease) == version(&lease) => Self {
                lease,
                since: previous.since,
            },
            _ => Self { lease, since: now },
        }
    }

    /// Who holds the Lease; nobody when it was released.
    pub(super) fn holder(&self) -> Option<&str> {
        let holder = self.lease.spec.as_ref()?.holder_identity.as_deref()?;
        Some(holder).filter(|holder| !holder.is_empty())
    }
}

/// Uid and resourceVersion: the version alone may come again after a delete.
fn version(lease: &Lease) -> (Option<&str>, Option<&str>) {
    let metadata = &lease.metadata;
    (
        metadata.uid.as_deref(),
        metadata.resource_version.as_deref(),
    )
}

/// Decides for the candidate `me`. `default` is the duration of a Lease that
/// states none.
pub(super) fn decide(
    me: &str,
    observed: Option<&Observed>,
    default: Duration,
    now: Instant,
) -> Action {
    let Some(observed) = observed else {
        return Action::Create;
    };
    let Some(holder) = observed.holder() else {
        return Action::Acquire;
    };
    if holder == me {
        return Action::Renew;
    }
    let spec = observed.lease.spec.as_ref();
    let duration = spec
        .and_then(|spec| spec.lease_duration_seconds)
        .and_then(|seconds| u64::try_from(seconds).ok())
        .filter(|seconds| *seconds > 0)
        .map_or(default, Duration::from_secs);
    let expiry = observed.since + duration;
    if now >= expiry {
        Action::Acquire
    } else {
        Action::Wait(expiry - now)
    }
}

/// The spec with which `me` takes or keeps the Lease. `wall` is for people who
/// read it; nothing is decided by it.
pub(super) fn claim(
    me: &str,
    current: Option<&LeaseSpec>,
    duration: Duration,
    wall: Timestamp,
) -> LeaseSpec {
    let current = current.cloned().unwrap_or_default();
    let seconds = i32::try_from(duration.as_secs()).unwrap_or(i32::MAX);
    let kept = current.holder_identity.as_deref() == Some(me);
    let transitions = match current.lease_transitions {
        // The first holder is no transition; a Lease without a count had none.
        None => 0,
        Some(count) if kept => count,
        Some(count) => count.saturating_add(1),
    };
    LeaseSpec {
        acquire_time: current
            .acquire_time
            .clone()
            .filter(|_| kept)
            .or(Some(MicroTime(wall))),
        holder_identity: Some(me.to_owned()),
        lease_duration_seconds: Some(seconds),
        lease_transitions: Some(transitions),
        renew_time: Some(MicroTime(wall)),
        ..current
    }
}

/// The spec that gives the Lease up: no holder, so that the next candidate
/// need not wait.
pub(super) fn release(current: &LeaseSpec, wall: Timestamp) -> LeaseSpec {
    LeaseSpec {
        holder_identity: None,
        lease_duration_seconds: Some(1),
        renew_time: Some(MicroTime(wall)),
        ..current.clone()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    const DEFAULT: Duration = Duration::from_secs(15);

    fn lease(version: &str, spec: LeaseSpec) -> Lease {
        Lease {
            metadata: ObjectMeta {
                resource_version: Some(version.to_owned()),
                ..ObjectMeta::default()
            },
            spec: Some(spec),
        }
    }

    fn held(holder: &str, seconds: Option<i32>) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: seconds,
            ..LeaseSpec::default()
        }
    }

    fn wall(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn no_lease_is_created() {
        assert_eq!(decide("a", None, DEFAULT, Instant::now()), Action::Create);
    }

    #[test]
    fn the_table_of_decisions() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let free = LeaseSpec::default();
        let blank = held("", Some(15));
        for (name, spec, elapsed, expected) in [
            ("free", free, 0, Action::Acquire),
            ("blank", blank, 0, Action::Acquire),
            ("mine", held("a", Some(15)), 0, Action::Renew),
            ("mine, old", held("a", Some(15)), 99, Action::Renew),
            (
                "theirs",
                held("b", Some(15)),
                0,
                Action::Wait(Duration::from_secs(15)),
            ),
            ("almost", held("b", Some(15)), 14, Action::Wait(second)),
            ("expired", held("b", Some(15)), 15, Action::Acquire),
            (
                "longer",
                held("b", Some(60)),
                15,
                Action::Wait(Duration::from_secs(45)),
            ),
            ("released", held("b", Some(1)), 1, Action::Acquire),
            ("unstated", held("b", None), 14, Action::Wait(second)),
            ("negative", held("b", Some(-5)), 14, Action::Wait(second)),
            ("unstated, expired", held("b", None), 15, Action::Acquire),
        ] {
            let observed = Observed::note(None, lease("1", spec), start);
            let now = start + second * elapsed;
            assert_eq!(
                decide("a", Some(&observed), DEFAULT, now),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn a_lease_without_a_spec_is_free() {
        let empty = Lease::default();
        let observed = Observed::note(None, empty, Instant::now());
        let action = decide("a", Some(&observed), DEFAULT, Instant::now());
        assert_eq!(action, Action::Acquire);
    }

    #[test]
    fn only_a_change_restarts_the_clock() {
        let start = Instant::now();
        let later = start + Duration::from_secs(9);
        let first = Observed::note(None, lease("1", held("b", None)), start);
        let same = Observed::note(Some(first), lease("1", held("b", None)), later);
        assert_eq!(same.since, start);
        let changed = Observed::note(Some(same), lease("2", held("b", None)), later);
        assert_eq!(changed.since, later);
    }

    #[test]
    fn a_lease_made_anew_under_the_same_version_restarts_the_clock() {
        let start = Instant::now();
        let later = start + Duration::from_secs(9);
        let mut again = lease("1", held("b", None));
        again.metadata.uid = Some("new".to_owned());
        let first = Observed::note(None, lease("1", held("b", None)), start);
        assert_eq!(Observed::note(Some(first), again, later).since, later);
    }

    #[test]
    fn renewing_moves_the_renew_time_alone() {
        let first = claim("a", None, DEFAULT, wall(1));
        assert_eq!(first.lease_transitions, Some(0));
        assert_eq!(first.lease_duration_seconds, Some(15));
        let renewed = claim("a", Some(&first), DEFAULT, wall(2));
        let expected = LeaseSpec {
            renew_time: Some(MicroTime(wall(2))),
            ..first
        };
        assert_eq!(renewed, expected);
    }

    #[test]
    fn each_change_of_holder_is_a_transition() {
        let a = claim("a", None, DEFAULT, wall(1));
        let b = claim("b", Some(&a), DEFAULT, wall(2));
        assert_eq!(b.lease_transitions, Some(1));
        assert_eq!(b.acquire_time, Some(MicroTime(wall(2))));
        let released = release(&b, wall(3));
        assert_eq!(released.holder_identity, None);
        assert_eq!(released.lease_duration_seconds, Some(1));
        assert_eq!(released.lease_transitions, Some(1));
        let again = claim("b", Some(&released), DEFAULT, wall(4));
        assert_eq!(again.lease_transitions, Some(2));
        assert_eq!(again.lease_duration_seconds, Some(15));
    }
}
