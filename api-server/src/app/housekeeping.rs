//! Removing what nobody needs any more.

use std::time::{Duration, Instant};

use super::{App, AppError};
use crate::{
    crypto::limit_key::BucketKey,
    domain::ttl::Ttl,
    store::{StoreError, housekeeping::Batch},
};

/// A round that has taken this long leaves the rest to the next.
const ROUND: Duration = Duration::from_secs(20);

/// How many rows a round removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Sessions that ended or expired a day ago.
    pub sessions: u64,
    /// Audit events older than their retention.
    pub audit: u64,
    /// Token buckets that were full.
    pub buckets: u64,
}

/// Where the walk through the buckets goes on, from one round to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bookmark(Option<BucketKey>);

impl App {
    /// One round: removes what is old, in batches, for a bounded time. Where
    /// another replica is at it, its work is left to it.
    pub async fn tidy(
        &self,
        audit_retention: Ttl,
        bookmark: &mut Bookmark,
    ) -> Result<Removed, AppError> {
        let end = Instant::now() + ROUND;
        let mut removed = Removed::default();
        let done = self
            .tidy_until(end, audit_retention, bookmark, &mut removed)
            .await;
        // What was removed before an error is gone all the same.
        self.metrics.removed("sessions", removed.sessions);
        self.metrics.removed("audit", removed.audit);
        self.metrics.removed("buckets", removed.buckets);
        self.metrics
            .tidied(if done.is_ok() { "success" } else { "failure" });
        Ok(done.map(|()| removed)?)
    }

    async fn tidy_until(
        &self,
        end: Instant,
        audit_retention: Ttl,
        bookmark: &mut Bookmark,
        removed: &mut Removed,
    ) -> Result<(), StoreError> {
        let time_is_up = || Instant::now() >= end;
        while let Some(batch) = self.store.remove_old_sessions().await? {
            removed.sessions += count(&batch);
            if batch.next.is_none() || time_is_up() {
                break;
            }
        }
        while let Some(batch) = self.store.remove_old_audit(audit_retention).await? {
            removed.audit += count(&batch);
            if batch.next.is_none() || time_is_up() {
                break;
            }
        }
        while let Some(batch) = self.store.remove_full_buckets(bookmark.0).await? {
            removed.buckets += count(&batch);
            bookmark.0 = batch.next;
            if batch.next.is_none() || time_is_up() {
                break;
            }
        }
        self.metrics
            .live_sessions(self.store.count_live_sessions().await?);
        Ok(())
    }
}

fn count<T>(batch: &Batch<T>) -> u64 {
    u64::try_from(batch.removed).unwrap_or(0)
}
