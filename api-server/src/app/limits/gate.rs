//! What this process remembers of buckets that are empty, so that a flood is
//! refused without the database. It only ever refuses: what it does not know,
//! the database decides.

use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use crate::crypto::limit_key::BucketKey;

/// How many buckets are remembered; beyond that, some are forgotten and the
/// database is asked.
const CAPACITY: usize = 16_384;

/// After this long the database is asked again, because a bucket may be filled
/// by an operator's hand or by a failover.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// Buckets known to be empty, and until when.
pub(super) struct Gate(Cache<BucketKey, Closed>);

#[derive(Clone, Copy)]
struct Closed {
    since: Instant,
    wait: Duration,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self(Cache::new(CAPACITY))
    }

    /// Remembers that a bucket has no token until `wait` after `asked`, which
    /// is when the question was sent: by the database's clock, the answer is
    /// of a later moment, so this is never too long.
    pub(super) fn close(&self, key: BucketKey, asked: Instant, wait: Duration) {
        self.0.insert(key, Closed { since: asked, wait });
    }

    /// How long the bucket is still empty, if that is known.
    pub(super) fn closed(&self, key: &BucketKey, now: Instant) -> Option<Duration> {
        let closed = self.0.get(key)?;
        let passed = now.saturating_duration_since(closed.since);
        let left = closed.wait.saturating_sub(passed);
        if left.is_zero() || passed >= ASK_AGAIN {
            self.0.remove(key);
            return None;
        }
        Some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: BucketKey = [1; 16];

    #[test]
    fn a_closed_bucket_opens_when_it_has_a_token() {
        let (gate, start) = (Gate::new(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(gate.closed(&KEY, start), None, "unknown is open");
        gate.close(KEY, start, Duration::from_secs(6));
        assert_eq!(gate.closed(&[2; 16], start), None);
        assert_eq!(gate.closed(&KEY, start), Some(Duration::from_secs(6)));
        assert_eq!(gate.closed(&KEY, at(5_999)), Some(Duration::from_millis(1)));
        assert_eq!(gate.closed(&KEY, at(6_000)), None);
        assert_eq!(gate.closed(&KEY, start), None, "forgotten");
    }

    #[test]
    fn the_database_is_asked_again_however_long_the_wait() {
        let (gate, start) = (Gate::new(), Instant::now());
        gate.close(KEY, start, Duration::from_mins(3));
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(gate.closed(&KEY, at(9)), Some(Duration::from_secs(171)));
        assert_eq!(gate.closed(&KEY, at(10)), None);
    }

    #[test]
    fn a_flood_of_names_is_forgotten_not_collected() {
        let (gate, start) = (Gate::new(), Instant::now());
        for number in 0..4 * u128::try_from(CAPACITY).unwrap() {
            gate.close(number.to_be_bytes(), start, Duration::from_secs(6));
        }
        assert!(gate.0.len() <= CAPACITY);
    }
}
