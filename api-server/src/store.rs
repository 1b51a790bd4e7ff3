//! The only SQL. A constraint that fails becomes a typed error here, and a
//! database that is away becomes [`StoreError::Unavailable`].

use std::{future::Future, sync::Arc, time::Duration};

use futures::FutureExt;
use sqlx::{
    Connection, Executor, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tracing::Instrument;

use crate::telemetry::spans;

pub mod account_list;
pub mod administration;
mod admins;
pub mod audit;
pub mod audit_log;
pub mod connect;
mod error;
pub mod export;
pub mod first_admin;
pub mod housekeeping;
pub mod import;
pub mod limits;
pub mod migrate;
pub mod own_account;
pub mod own_sessions;
mod password_upgrade;
pub mod renewal;
pub mod sessions;
pub mod users;

pub use error::StoreError;
use renewal::Renewal;

/// How long a caller waits for a connection before it is told that there is
/// none: a prompt 503 is better than a hang.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one statement may take, from sending it to the last row.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);
/// The same to the server itself, a little less: it would go on with a
/// statement that nobody waits for, such as one that waits for a lock, and
/// keep its connection.
const SERVER_TIMEOUT: &str = "SET statement_timeout = '4500ms'";
/// A connection that has rested longer than this is tried before it is used.
/// One that is busy is not, so that a query is one round trip.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// Access to the database.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    renewal: Arc<Renewal>,
}

/// How the pool is used right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// Open connections.
    pub open: u32,
    /// Open connections that nobody uses.
    pub idle: u32,
    /// The most that may be open.
    pub max: u32,
}

impl Store {
    /// A store that connects when it is first used, so that a server can start
    /// before its database.
    #[must_use]
    pub fn lazy(options: PgConnectOptions, max_connections: u32) -> Self {
        let renewal = Arc::new(Renewal::default());
        let (taken, returned) = (Arc::clone(&renewal), Arc::clone(&renewal));
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .after_connect(|connection, _| {
                async move {
                    connection.execute(SERVER_TIMEOUT).await?;
                    Ok(())
                }
                .boxed()
            })
            .before_acquire(move |connection, meta| {
                let old = taken.is_over(meta.age);
                async move {
                    if old {
                        return Ok(false);
                    }
                    if meta.idle_for > TRUSTED_FOR {
                        connection.ping().await?;
                    }
                    Ok(true)
                }
                .boxed()
            })
            .after_release(move |_, meta| {
                let old = returned.is_over(meta.age);
                async move { Ok(!old) }.boxed()
            })
            .connect_lazy_with(options);
        Self { pool, renewal }
    }

    /// A store on a pool that somebody else set up.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let renewal = Arc::default();
        Self { pool, renewal }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let mut connection = self.acquire().await?;
        let answer = within(connection.ping()).await;
        settle(connection, answer)
    }

    /// How the pool is used right now.
    #[must_use]
    pub fn pool_use(&self) -> PoolUse {
        PoolUse {
            open: self.pool.size(),
            idle: u32::try_from(self.pool.num_idle()).unwrap_or(u32::MAX),
            max: self.pool.options().get_max_connections(),
        }
    }

    /// Closes every connection, once its statement is done.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn acquire(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        loop {
            let turn = self.renewal.turn();
            let acquired = self.pool.acquire().instrument(spans::database_connection());
            match acquired.await {
                Ok(connection) => return Ok(connection),
                // The way to the database may have changed a moment ago.
                Err(error) if renewal::is_refusal(&error) && self.renewal.is_past(turn).await => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Awaits a statement for as long as a statement may take.
async fn within<T>(
    statement: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    let statement = statement.instrument(spans::database_statement());
    match tokio::time::timeout(STATEMENT_TIMEOUT, statement).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(StoreError::TimedOut),
    }
}

/// Gives a connection back, unless its statement never came to an end: then
/// the other side may be gone without a word, and nobody else should wait for
/// it too.
fn settle<T>(
    mut connection: PoolConnection<Postgres>,
    answer: Result<T, StoreError>,
) -> Result<T, StoreError> {
    if matches!(answer, Err(StoreError::TimedOut)) {
        connection.close_on_drop();
    }
    answer
}
