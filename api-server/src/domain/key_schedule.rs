//! When a key signs and until when it verifies.
//!
//! The state in the file is what it was when the file was written; time moves
//! it on: a `next` key is active once its `activates_at` has come, and no key
//! is anything any more once its `retires_at` has. All times are seconds since
//! 1970.

/// How long a key must have been published before it signs: mounted files
/// reach servers minutes apart, and others keep the JWKS for five minutes.
pub const PUBLISHED_SECONDS: i64 = 600;

/// What a key file says a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It is published, so that every server and client knows it before it
    /// signs. It signs from `activates_at`, or not at all without one.
    Next,
    /// It signs, at once or from `activates_at`.
    Active,
    /// It signs no more, and verifies what it signed.
    Retired,
}

/// A key's state and its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The state when the file was written.
    pub state: KeyState,
    /// From when it signs.
    pub activates_at: Option<i64>,
    /// From when it does not even verify.
    pub retires_at: Option<i64>,
}

impl Schedule {
    /// Signs and verifies for ever.
    pub const ALWAYS: Self = Self {
        state: KeyState::Active,
        activates_at: None,
        retires_at: None,
    };

    /// Only verifies, and only until then.
    #[must_use]
    pub const fn verifies_until(end: i64) -> Self {
        Self {
            state: KeyState::Retired,
            activates_at: None,
            retires_at: Some(end),
        }
    }

    /// Whether tokens of this key are believed: in every state, until it is
    /// past its retirement.
    #[must_use]
    pub fn verifies_at(self, now: i64) -> bool {
        self.retires_at.is_none_or(|end| now < end)
    }

    /// From when the key signs; `None` if it never does. A key that is active
    /// without a time has always signed.
    #[must_use]
    pub fn signs_from(self) -> Option<i64> {
        match self.state {
            KeyState::Next => self.activates_at,
            KeyState::Active => Some(self.activates_at.unwrap_or(i64::MIN)),
            KeyState::Retired => None,
        }
    }

    /// Whether the key is active.
    #[must_use]
    pub fn signs_at(self, now: i64) -> bool {
        self.verifies_at(now) && self.signs_from().is_some_and(|start| start <= now)
    }
}

/// Which of these keys signs: of those that are active, the one that became so
/// last; of several of the same moment, the first.
#[must_use]
pub fn signer(schedules: impl Iterator<Item = Schedule>, now: i64) -> Option<usize> {
    let mut chosen: Option<(usize, i64)> = None;
    for (index, schedule) in schedules.enumerate() {
        let Some(start) = schedule.signs_from().filter(|_| schedule.signs_at(now)) else {
            continue;
        };
        if chosen.is_none_or(|(_, latest)| start > latest) {
            chosen = Some((index, start));
        }
    }
    chosen.map(|(index, _)| index)
}

/// When nothing will sign any more, if the file stays as it is; `None` if some
/// key always will.
#[must_use]
pub fn signing_ends(schedules: &[Schedule], now: i64) -> Option<i64> {
    let mut at = now;
    loop {
        let Some(index) = signer(schedules.iter().copied(), at) else {
            return Some(at);
        };
        at = schedules[index].retires_at?;
    }
}

/// From when a key may sign that a server has known since `known_since`, and
/// that is not the key of its first file.
#[must_use]
pub fn may_sign_from(known_since: i64) -> i64 {
    known_since.saturating_add(PUBLISHED_SECONDS)
}

/// Likewise for a key of the file that a server began with: what was to sign
/// already, or sooner, may, since somebody must.
#[must_use]
pub fn may_sign_from_boot(schedule: Schedule, booted: i64) -> i64 {
    let usual = may_sign_from(booted);
    schedule
        .signs_from()
        .map_or(usual, |start| start.min(usual))
}

/// The earliest `retires_at` of a key that signed until `last_signed`, where
/// what it signed lives for `lifetime` seconds and clocks are `leeway` apart.
#[must_use]
pub fn earliest_retirement(last_signed: i64, lifetime: i64, leeway: i64) -> i64 {
    last_signed.saturating_add(lifetime).saturating_add(leeway)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(state: KeyState, activates_at: Option<i64>, retires_at: Option<i64>) -> Schedule {
        Schedule {
            state,
            activates_at,
            retires_at,
        }
    }

    #[test]
    fn every_state_verifies_until_retirement() {
        for state in [KeyState::Next, KeyState::Active, KeyState::Retired] {
            assert!(key(state, None, None).verifies_at(i64::MAX));
            assert!(key(state, None, Some(100)).verifies_at(99));
            assert!(!key(state, None, Some(100)).verifies_at(100));
        }
    }

    #[test]
    fn only_what_is_active_signs() {
        assert!(key(KeyState::Active, None, None).signs_at(0));
        assert!(!key(KeyState::Active, Some(10), None).signs_at(9));
        assert!(key(KeyState::Active, Some(10), None).signs_at(10));
        assert!(!key(KeyState::Active, Some(10), Some(20)).signs_at(20));
        assert!(!key(KeyState::Next, None, None).signs_at(i64::MAX));
        assert!(!key(KeyState::Next, Some(10), None).signs_at(9));
        assert!(key(KeyState::Next, Some(10), None).signs_at(10));
        assert!(!key(KeyState::Retired, Some(10), Some(20)).signs_at(15));
    }

    #[test]
    fn of_several_active_keys_the_latest_signs_and_of_equals_the_first() {
        let at = |start| key(KeyState::Active, start, None);
        let pick = |keys: &[Schedule], now| signer(keys.iter().copied(), now);
        assert_eq!(pick(&[at(None), at(Some(5)), at(Some(3))], 10), Some(1));
        assert_eq!(pick(&[at(None), at(Some(5)), at(Some(3))], 4), Some(2));
        assert_eq!(pick(&[at(None), at(Some(5))], 2), Some(0));
        assert_eq!(pick(&[at(Some(5)), at(Some(5))], 5), Some(0));
        assert_eq!(pick(&[], 5), None);
    }

    #[test]
    fn the_end_of_signing_is_foreseen() {
        let active = |end| key(KeyState::Active, None, end);
        assert_eq!(signing_ends(&[active(None)], 0), None);
        assert_eq!(signing_ends(&[active(Some(50))], 0), Some(50));
        let successor = key(KeyState::Next, Some(40), Some(90));
        assert_eq!(signing_ends(&[active(Some(50)), successor], 0), Some(90));
        let late = key(KeyState::Next, Some(60), None);
        assert_eq!(signing_ends(&[active(Some(50)), late], 0), Some(50));
        assert_eq!(signing_ends(&[], 7), Some(7));
    }

    #[test]
    fn the_first_file_may_sign_at_once_and_what_comes_later_waits() {
        assert_eq!(may_sign_from(1_000), 1_600);
        let at_boot = |schedule| may_sign_from_boot(schedule, 1_000);
        assert_eq!(at_boot(Schedule::ALWAYS), i64::MIN);
        assert_eq!(at_boot(key(KeyState::Next, Some(1_060), None)), 1_060);
        assert_eq!(at_boot(key(KeyState::Next, Some(9_000), None)), 1_600);
        assert_eq!(at_boot(key(KeyState::Next, None, None)), 1_600);
        assert_eq!(at_boot(key(KeyState::Retired, None, Some(2_000))), 1_600);
    }

    proptest! {
        #[test]
        fn who_signs_is_active_and_no_active_key_is_later(
            times in prop::collection::vec((0_u8..3, prop::option::of(0_i64..20), prop::option::of(0_i64..20)), 0..6),
            now in 0_i64..20,
        ) {
            let states = [KeyState::Next, KeyState::Active, KeyState::Retired];
            let keys: Vec<_> = times
                .into_iter()
                .map(|(state, start, end)| key(states[usize::from(state)], start, end))
                .collect();
            match signer(keys.iter().copied(), now) {
                None => prop_assert!(keys.iter().all(|key| !key.signs_at(now))),
                Some(index) => {
                    prop_assert!(keys[index].signs_at(now));
                    let later = |key: &&Schedule| key.signs_at(now) && key.signs_from() > keys[index].signs_from();
                    prop_assert!(!keys.iter().any(|key| later(&key)));
                }
            }
            if let Some(end) = signing_ends(&keys, now) {
                prop_assert!(end >= now && keys.iter().all(|key| !key.signs_at(end)));
            }
        }
    }
}
