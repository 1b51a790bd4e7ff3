//! When a refresh token is good, and what a stale one means.
//!
//! A session has a counter; every refresh token carries the value it was made
//! for. Rotation is one conditional `UPDATE` in the store, which succeeds for
//! the counter in force only. What a token means for which that failed is
//! decided here.

use time::{Duration, OffsetDateTime};

/// How long the previous refresh token still gives its successor: two tabs
/// that refresh at once, or an answer that was lost on its way.
pub const GRACE: Duration = Duration::seconds(10);

/// What the store knows of a session, at one moment of the database's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionState {
    /// The counter of the refresh token in force.
    pub counter: i64,
    /// When that token was made.
    pub rotated_at: OffsetDateTime,
    /// Whether the session has neither ended nor expired, and its user may
    /// log in.
    pub live: bool,
    /// The database's clock when this was read.
    pub now: OffsetDateTime,
}

/// What to do about a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the one in force: rotate.
    Current,
    /// It is the one before, still within its grace: give the successor again.
    Previous,
    /// It was used up long ago: somebody has a copy. End the session.
    Replayed,
    /// It belongs to a session that is over, or to none that ever was.
    Dead,
}

/// Judges a refresh token that carries `presented`.
///
/// The answer stays right however much later it is acted on, but for
/// `Current` and `Previous`, which only a newer rotation can make stale:
/// counters grow, and time does not run back.
#[must_use]
pub fn judge(presented: i64, session: &SessionState) -> Verdict {
    if !session.live {
        return Verdict::Dead;
    }
    // A counter from the future was signed by us and is unknown to the
    // database: it was restored from a backup. Not a theft; not a login either.
    match session.counter.checked_sub(presented) {
        Some(0) => Verdict::Current,
        Some(1) if session.now - session.rotated_at <= GRACE => Verdict::Previous,
        Some(1..) => Verdict::Replayed,
        Some(..0) | None => Verdict::Dead,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn session(counter: i64, age: Duration) -> SessionState {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        SessionState {
            counter,
            rotated_at: now - age,
            live: true,
            now,
        }
    }

    #[test]
    fn the_grace_is_ten_seconds_and_not_more() {
        let almost = session(5, Duration::milliseconds(10_000));
        let over = session(5, Duration::milliseconds(10_001));
        assert_eq!(judge(4, &almost), Verdict::Previous);
        assert_eq!(judge(4, &over), Verdict::Replayed);
    }

    #[test]
    fn two_behind_has_no_grace() {
        assert_eq!(judge(3, &session(5, Duration::ZERO)), Verdict::Replayed);
    }

    #[test]
    fn the_counter_in_force_never_ages() {
        assert_eq!(judge(5, &session(5, Duration::days(6))), Verdict::Current);
    }

    #[test]
    fn a_dead_session_says_nothing_more() {
        let dead = SessionState {
            live: false,
            ..session(5, Duration::ZERO)
        };
        for presented in 0..8 {
            assert_eq!(judge(presented, &dead), Verdict::Dead);
        }
    }

    proptest! {
        #[test]
        fn only_neighbours_are_ever_honoured(
            presented in any::<i64>(), counter in 0..i64::MAX, age_ms in 0..100_000_i64,
        ) {
            let verdict = judge(presented, &session(counter, Duration::milliseconds(age_ms)));
            match verdict {
                Verdict::Current => prop_assert_eq!(presented, counter),
                Verdict::Previous => {
                    prop_assert_eq!(presented, counter - 1);
                    prop_assert!(age_ms <= 10_000);
                }
                Verdict::Replayed => prop_assert!(presented < counter),
                Verdict::Dead => prop_assert!(presented > counter || presented < -1),
            }
        }
    }
}
