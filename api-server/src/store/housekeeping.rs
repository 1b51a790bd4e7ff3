//! Removing what nobody needs any more, in batches that are short transactions
//! of their own. An advisory lock that ends with the transaction keeps it to
//! one replica at a time, and is free again at once if that replica dies.

use sqlx::{Connection, PgConnection, query, query_scalar};

use super::{Store, StoreError, settle, within};
use crate::{crypto::limit_key::BucketKey, domain::ttl::Ttl};

/// The number means nothing, but to other programs on the same database it is
/// ours.
const LOCK: i64 = 0x6175_7468_7469_6479;

/// How many rows a batch looks at.
pub const BATCH: i64 = 1_000;

/// What a batch did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch<T> {
    /// How many rows are gone.
    pub removed: i64,
    /// Where the next batch should begin, if there is one.
    pub next: Option<T>,
}

impl Store {
    /// Removes sessions that ended or expired a day ago. Nothing, if another
    /// replica is at it.
    pub async fn remove_old_sessions(&self) -> Result<Option<Batch<()>>, StoreError> {
        self.alone(async |connection| {
            let delete = query!(
                "DELETE FROM authstack.sessions WHERE id IN (
                   SELECT id FROM authstack.sessions
                   WHERE least(expires_at, revoked_at) < now() - interval '1 day'
                   ORDER BY least(expires_at, revoked_at)
                   LIMIT $1
                   FOR UPDATE SKIP LOCKED)",
                BATCH,
            );
            Ok(batch(delete.execute(connection).await?.rows_affected()))
        })
        .await
    }

    /// Removes what the audit log says of longer ago than `retention`.
    /// Nothing, if another replica is at it.
    pub async fn remove_old_audit(&self, retention: Ttl) -> Result<Option<Batch<()>>, StoreError> {
        self.alone(async |connection| {
            let delete = query!(
                "DELETE FROM authstack.audit WHERE id IN (
                   SELECT id FROM authstack.audit
                   WHERE at < now() - $2::bigint * interval '1 second'
                   ORDER BY at
                   LIMIT $1
                   FOR UPDATE SKIP LOCKED)",
                BATCH,
                retention.as_secs(),
            );
            Ok(batch(delete.execute(connection).await?.rows_affected()))
        })
        .await
    }

    /// Removes token buckets that are full, among the next after `after` in
    /// the order of names: how full they are is not indexed, so that taking a
    /// token is cheap. Nothing, if another replica is at it.
    pub async fn remove_full_buckets(
        &self,
        after: Option<BucketKey>,
    ) -> Result<Option<Batch<BucketKey>>, StoreError> {
        let after = after.map_or_else(Vec::new, |key| key.to_vec());
        self.alone(async |connection| {
            let delete = query!(
                r#"WITH page AS MATERIALIZED (
                     SELECT key FROM authstack.buckets WHERE key > $1 ORDER BY key LIMIT $2
                   ), full_ones AS (
                     SELECT b.key FROM authstack.buckets b
                     WHERE b.key IN (SELECT key FROM page) AND b.full_at <= now()
                     FOR UPDATE SKIP LOCKED
                   ), gone AS (
                     DELETE FROM authstack.buckets b USING full_ones f
                     WHERE b.key = f.key AND b.full_at <= now()
                     RETURNING 1
                   )
                   SELECT (SELECT count(*) FROM gone) AS "removed!",
                     (SELECT key FROM page OFFSET $2 - 1) AS "last?""#,
                after,
                BATCH,
            );
            let row = delete.fetch_one(connection).await?;
            Ok(Batch {
                removed: row.removed,
                next: row.last.and_then(|key| key.try_into().ok()),
            })
        })
        .await
    }

    /// How many sessions live. Reads all of them.
    pub async fn count_live_sessions(&self) -> Result<i64, StoreError> {
        let mut connection = self.acquire().await?;
        let count = query_scalar!(
            r#"SELECT count(*) AS "count!" FROM authstack.sessions
               WHERE least(expires_at, revoked_at) > now()"#
        );
        let answer = within(count.fetch_one(&mut *connection)).await;
        settle(connection, answer)
    }

    /// Runs a batch in a transaction, unless another replica is running one.
    async fn alone<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error> + Send,
    ) -> Result<Option<T>, StoreError> {
        let mut connection = self.acquire().await?;
        let answer = within(async {
            let mut transaction = connection.begin().await?;
            let lock = query_scalar!(r#"SELECT pg_try_advisory_xact_lock($1) AS "mine!""#, LOCK);
            if !lock.fetch_one(&mut *transaction).await? {
                return Ok(None);
            }
            let done = work(&mut transaction).await?;
            transaction.commit().await?;
            Ok(Some(done))
        })
        .await;
        settle(connection, answer)
    }
}

/// A full batch is followed by another.
fn batch(removed: u64) -> Batch<()> {
    let removed = i64::try_from(removed).unwrap_or(i64::MAX);
    Batch {
        removed,
        next: (removed >= BATCH).then_some(()),
    }
}
