//! Token buckets that all replicas share.

use std::time::Duration;

use sqlx::{PgConnection, query, query_scalar};

use super::{Store, StoreError, settle, within};
use crate::{
    crypto::limit_key::{BucketKey, LimitSecret, SECRET_BYTES},
    domain::limit::Limit,
};

/// The row that holds the secret of the buckets' names.
const SECRET_NAME: &str = "limits";

/// A bucket to take a token from.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    /// Its name.
    pub key: BucketKey,
    /// Its size and speed.
    pub limit: Limit,
    /// Whether a refusal by it must not show: while it is empty, the others
    /// are charged all the same.
    pub quiet: bool,
}

/// A bucket that has no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Empty {
    /// Which of those that were asked.
    pub place: usize,
    /// Until it has one.
    pub wait: Duration,
}

impl Store {
    /// The secret that buckets are named with: the first replica to ask makes
    /// it.
    pub async fn limit_secret(&self) -> Result<LimitSecret, StoreError> {
        let mut random = [0; SECRET_BYTES];
        rand::fill(&mut random);
        let mut connection = self.acquire().await?;
        let answer = within(async {
            if let Some(secret) = stored_secret(&mut connection).await? {
                return Ok(Some(secret));
            }
            let insert = query!(
                "INSERT INTO authstack.secrets (name, value) VALUES ($1, $2)
                 ON CONFLICT (name) DO NOTHING",
                SECRET_NAME,
                random.as_slice(),
            );
            insert.execute(&mut *connection).await?;
            // Another replica may have been first.
            stored_secret(&mut connection).await
        })
        .await;
        let secret = settle(connection, answer)?;
        // The table's CHECK makes the length right.
        let secret = secret.and_then(|bytes| <[u8; SECRET_BYTES]>::try_from(bytes).ok());
        secret
            .map(LimitSecret::new)
            .ok_or_else(|| StoreError::Internal(sqlx::Error::RowNotFound))
    }

    /// Takes a token from each of these buckets, in one round trip, and gives
    /// those that have none. All or nothing: if one has none, no other is
    /// charged, but for what [`Bucket::quiet`] says. No two may have one name.
    pub async fn take_tokens(&self, buckets: &[Bucket]) -> Result<Vec<Empty>, StoreError> {
        let keys: Vec<_> = buckets.iter().map(|bucket| bucket.key.to_vec()).collect();
        let bursts: Vec<_> = buckets.iter().map(|b| i64::from(b.limit.burst())).collect();
        let periods: Vec<_> = buckets
            .iter()
            .map(|bucket| i64::try_from(bucket.limit.period().as_micros()).unwrap_or(i64::MAX))
            .collect();
        let quiet: Vec<_> = buckets.iter().map(|bucket| bucket.quiet).collect();
        let mut connection = self.acquire().await?;
        let take = query!(
            r#"SELECT place AS "place!", wait AS "wait!"
               FROM authstack.take_tokens($1, $2, $3, $4)"#,
            &keys,
            &bursts,
            &periods,
            &quiet,
        );
        let answer = within(take.fetch_all(&mut *connection)).await;
        let rows = settle(connection, answer)?;
        let empty = rows.into_iter().map(|row| {
            let place = usize::try_from(row.place - 1).ok()?;
            let wait = Duration::from_micros(u64::try_from(row.wait).ok()?);
            (place < buckets.len()).then_some(Empty { place, wait })
        });
        let empty: Option<Vec<_>> = empty.collect();
        empty.ok_or_else(|| StoreError::Internal(sqlx::Error::Decode("take_tokens".into())))
    }
}

async fn stored_secret(connection: &mut PgConnection) -> Result<Option<Vec<u8>>, sqlx::Error> {
    query_scalar!(
        "SELECT value FROM authstack.secrets WHERE name = $1",
        SECRET_NAME
    )
    .fetch_optional(connection)
    .await
}
