//! What is true of the parts that other projects run.

use super::{STOPPED, STOPPING, refused};
use crate::reconcile::apply::{Applied, Outcome};
use crate::reconcile::children::{Cluster as ClusterState, State};
use crate::reconcile::desired::Cluster;
use crate::reconcile::finding::Finding;
use crate::reconcile::optional::{Availability, Optional};

/// What CloudNativePG does only when a human has acted.
const HOPELESS: &[&str] = &[
    "Waiting for user action",
    "Cluster is unrecoverable and needs manual intervention",
    "Cluster cannot proceed to reconciliation due to an unknown plugin being required",
    "Cluster has incomplete or invalid image catalog",
    "Cluster cannot execute instance online upgrade due to missing architecture binary",
    "Unable to create required cluster objects",
    "Invalid cluster definition",
];

/// A kind that cannot be used.
pub(super) fn unavailable(kind: Optional, availability: &Availability) -> Finding {
    match availability {
        Availability::Missing => Finding::stalled("ApiMissing", kind.missing()),
        Availability::Forbidden(answer) => Finding::stalled("Forbidden", kind.forbidden(answer)),
        Availability::Unknown | Availability::Served => Finding {
            // It may be that only this stack's last request met with it.
            unwatched: true,
            ..Finding::unknown("Discovering", kind.unknown())
        },
    }
}

/// A database that CloudNativePG runs.
pub(super) fn cluster(cluster: &Cluster<Applied>) -> Finding {
    let Cluster {
        owner_secret,
        runtime_secret,
        network_policy,
        cluster,
        pooler,
    } = cluster;
    let parts = [owner_secret, runtime_secret, cluster];
    if let Some(finding) = refused(parts.into_iter().chain(network_policy).chain(pooler)) {
        return finding;
    }
    cluster_state(cluster).map_or_else(
        || Finding::unknown("Unknown", "the Cluster has not been seen yet"),
        cluster_finding,
    )
}

/// Whether the database serves now, of whichever generation.
pub(super) fn cluster_serves(cluster: &Cluster<Applied>) -> bool {
    cluster_state(&cluster.cluster).is_some_and(serves)
}

pub(super) fn serves(state: &ClusterState) -> bool {
    state.wanted > 0 && state.has_primary
}

fn cluster_state(outcome: &Outcome) -> Option<&ClusterState> {
    match outcome {
        Outcome::Live(live) => match &live.state {
            State::Cluster(cluster) => Some(cluster),
            _ => None,
        },
        Outcome::Refused { .. } | Outcome::Unavailable(..) => None,
    }
}

pub(super) fn cluster_finding(state: &ClusterState) -> Finding {
    let ClusterState {
        is_ready,
        wanted,
        ready,
        has_primary,
        phase,
        phase_reason,
        role_problem,
        is_hibernated,
    } = state;
    if *wanted == 0 {
        return if *is_hibernated {
            Finding::ready(STOPPED, "PostgreSQL is stopped: no instance is left")
        } else {
            let message = format!("CloudNativePG is stopping {ready} instances of PostgreSQL");
            Finding::not_ready(STOPPING, message)
        };
    }
    let says = if phase_reason.is_empty() {
        phase.clone()
    } else {
        format!("{phase} ({phase_reason})")
    };
    if HOPELESS.contains(&phase.as_str()) {
        return Finding::stalled(
            "ClusterStalled",
            format!(
                "CloudNativePG says: {says}; see `kubectl describe clusters.postgresql.cnpg.io`"
            ),
        );
    }
    if let Some(problem) = role_problem {
        return Finding::stalled(
            "RoleRefused",
            format!("CloudNativePG cannot make the role that the API connects as: {problem}"),
        );
    }
    if phase.is_empty() {
        return Finding::not_ready(
            "ClusterPending",
            "CloudNativePG has not said anything of the Cluster yet: is its controller running?",
        );
    }
    if *is_ready && ready >= wanted && *has_primary {
        return Finding::ready(
            "Ready",
            format!("{ready} of {wanted} instances of PostgreSQL are ready"),
        );
    }
    Finding::not_ready(
        "Progressing",
        format!(
            "{ready} of {wanted} instances of PostgreSQL are ready; CloudNativePG says: {says}"
        ),
    )
}

/// What tells monitoring about the stack.
pub(super) fn monitoring(outcome: &Outcome) -> Finding {
    refused([outcome]).unwrap_or_else(monitored)
}

/// What is true where monitoring was told.
pub(super) fn monitored() -> Finding {
    Finding::ready("Applied", "the PodMonitor is there")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy() -> ClusterState {
        ClusterState {
            is_ready: true,
            wanted: 3,
            ready: 3,
            has_primary: true,
            phase: "Cluster in healthy state".to_owned(),
            phase_reason: String::new(),
            role_problem: None,
            is_hibernated: false,
        }
    }

    fn of(state: &ClusterState) -> (Option<bool>, &'static str, bool, String) {
        let finding = cluster_finding(state);
        let Finding {
            ready,
            reason,
            message,
            stalled,
            unwatched,
        } = finding;
        assert!(!unwatched);
        (ready, reason, stalled, message)
    }

    #[test]
    fn a_cluster_is_ready_with_all_its_instances_and_serves_with_one() {
        assert_eq!(
            of(&healthy()),
            (
                Some(true),
                "Ready",
                false,
                "3 of 3 instances of PostgreSQL are ready".to_owned()
            )
        );
        let failing_over = ClusterState {
            is_ready: false,
            ready: 2,
            has_primary: false,
            phase: "Failing over".to_owned(),
            phase_reason: "Failing over to demo-postgres-2".to_owned(),
            ..healthy()
        };
        assert_eq!(
            of(&failing_over),
            (
                Some(false),
                "Progressing",
                false,
                "2 of 3 instances of PostgreSQL are ready; CloudNativePG says: Failing over (Failing over to demo-postgres-2)".to_owned()
            )
        );
        assert!(serves(&healthy()) && !serves(&failing_over));
        let moved = ClusterState {
            has_primary: true,
            ..failing_over
        };
        assert!(serves(&moved), "one instance serves while another is made");
        // CloudNativePG's condition may speak of fewer instances than are wanted.
        let grown = ClusterState {
            wanted: 5,
            ..healthy()
        };
        assert_eq!(of(&grown).1, "Progressing");
    }

    #[test]
    fn what_waits_for_a_human_is_a_stall() {
        let stuck = ClusterState {
            is_ready: false,
            phase: "Invalid cluster definition".to_owned(),
            phase_reason: "image is too old".to_owned(),
            ..healthy()
        };
        let (ready, reason, stalled, message) = of(&stuck);
        assert_eq!(
            (ready, reason, stalled),
            (Some(false), "ClusterStalled", true)
        );
        assert!(message.contains("image is too old"), "{message}");
        let role = ClusterState {
            role_problem: Some("no Secret".to_owned()),
            ..healthy()
        };
        let (_, reason, stalled, _) = of(&role);
        assert_eq!((reason, stalled), ("RoleRefused", true));
        let silent = ClusterState {
            wanted: 3,
            ..ClusterState::default()
        };
        let (ready, reason, stalled, _) = of(&silent);
        assert_eq!(
            (ready, reason, stalled),
            (Some(false), "ClusterPending", false)
        );
    }

    #[test]
    fn a_missing_kind_stalls_with_what_to_do_and_an_unknown_one_does_not() {
        let missing = unavailable(Optional::Certificate, &Availability::Missing);
        assert!(missing.stalled && !missing.unwatched);
        assert_eq!(
            missing.message,
            "spec.ingress.tls.issuerRef needs certificates.cert-manager.io/v1, which this cluster does not serve: install cert-manager, or use spec.ingress.tls.secretName"
        );
        let unknown = unavailable(Optional::Cluster, &Availability::Unknown);
        assert!(!unknown.stalled && unknown.unwatched && unknown.ready.is_none());
        let answer = "podmonitors is forbidden".to_owned();
        let forbidden = unavailable(Optional::PodMonitor, &Availability::Forbidden(answer));
        assert_eq!((forbidden.reason, forbidden.stalled), ("Forbidden", true));
        assert!(forbidden.message.contains("podmonitors is forbidden"));
    }
}
