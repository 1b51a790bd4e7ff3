//! The schema: brought up to date, handed to the runtime role, waited for.

use std::{borrow::Cow, future::Future, time::Duration};

use sqlx::{
    Connection, PgConnection, PgPool,
    migrate::{MigrateError, Migrator},
    postgres::PgConnectOptions,
    query, query_scalar,
};
use thiserror::Error;
use tokio::time::Instant;

use super::{
    Store, StoreError,
    error::{in_words, passes},
    settle, within,
};

/// Serialises what follows the migrations among concurrent runs; the number
/// means nothing, but to other programs on the same database it is ours.
const GRANT_LOCK: i64 = 0x6175_7468_7374_6163;

/// Between two attempts to reach a database that is not there yet.
const RETRY_EVERY: Duration = Duration::from_millis(500);
/// How long one attempt may take. A database that has moved leaves an address
/// behind that answers nothing at all; the next attempt asks for it anew.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// The schema could not be brought up to date.
#[derive(Debug, Error)]
pub enum SchemaError {
    /// The database did not become reachable in time.
    #[error("the database did not become available: {}", in_words(.0))]
    Unreachable(sqlx::Error),
    /// The role that is to be granted rights did not appear in time.
    #[error("the role {0:?} (RUNTIME_ROLE) does not exist")]
    NoRole(String),
    /// A migration failed, or does not fit what the database says it ran.
    #[error("the schema cannot be brought up to date: {}", migration_in_words(.0))]
    Migrate(#[from] MigrateError),
    /// A statement failed.
    #[error("{}", in_words(.0))]
    Database(#[from] sqlx::Error),
}

fn migration_in_words(error: &MigrateError) -> String {
    match error {
        MigrateError::Execute(error) => in_words(error),
        MigrateError::ExecuteMigration(error, version) => {
            format!("migration {version}: {}", in_words(error))
        }
        error => error.to_string(),
    }
}

/// The embedded migrations. A schema newer than this binary is none of its
/// business: an old pod that restarts in an upgrade must come up.
fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!();
    migrator.table_name = Cow::Borrowed("authstack._sqlx_migrations");
    migrator.create_schemas = Cow::Borrowed(&[Cow::Borrowed("authstack")]);
    migrator.set_ignore_missing(true);
    migrator
}

/// The newest schema that this binary knows.
pub(super) fn known_version() -> i64 {
    migrator()
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0)
}

/// The same as [`migrate_as_read`], where how to reach the database is settled.
pub async fn migrate(
    options: &PgConnectOptions,
    runtime_role: Option<&str>,
    patience: Duration,
) -> Result<(), SchemaError> {
    migrate_as_read(|| options.clone(), runtime_role, patience).await
}

/// Brings the schema up to date, waiting up to `patience` for the database to
/// be there, and grants `runtime_role` what `serve` needs. `options` are read anew
/// for each attempt: what says them may be mended while it is waited for.
pub async fn migrate_as_read(
    options: impl Fn() -> PgConnectOptions,
    runtime_role: Option<&str>,
    patience: Duration,
) -> Result<(), SchemaError> {
    let deadline = Instant::now() + patience;
    let mut connection = connect(options, deadline).await?;
    migrator().run(&mut connection).await?;
    tracing::info!(version = known_version(), "the schema is up to date");
    if let Some(role) = runtime_role {
        wait_for_role(&mut connection, role, deadline).await?;
        grant(&mut connection, role).await?;
        tracing::info!(role, "granted");
    }
    connection.close().await?;
    Ok(())
}

/// Brings the schema of an open database up to date: for tests, which have one.
pub async fn migrate_pool(pool: &PgPool) -> Result<(), SchemaError> {
    Ok(migrator().run(pool).await?)
}

async fn connect(
    options: impl Fn() -> PgConnectOptions,
    deadline: Instant,
) -> Result<PgConnection, SchemaError> {
    let attempt = || {
        let options = options();
        async move { PgConnection::connect_with(&options).await }
    };
    retry(deadline, ATTEMPT_TIMEOUT, attempt).await
}

/// Tries again while the failure is one that passes: connection refused, still
/// starting, no DNS entry or no role yet, or no answer at all in the time that
/// `each` attempt has.
async fn retry<T, F>(
    deadline: Instant,
    each: Duration,
    attempt: impl Fn() -> F,
) -> Result<T, SchemaError>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    let mut announced = false;
    loop {
        let end = deadline.min(Instant::now() + each);
        let error = match tokio::time::timeout_at(end, attempt()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) if passes(&error) => error,
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => sqlx::Error::PoolTimedOut,
        };
        if Instant::now() + RETRY_EVERY >= deadline {
            return Err(SchemaError::Unreachable(error));
        }
        if !announced {
            tracing::warn!(error = in_words(&error), "waiting for the database");
            announced = true;
        }
        tokio::time::sleep(RETRY_EVERY).await;
    }
}

async fn wait_for_role(
    connection: &mut PgConnection,
    role: &str,
    deadline: Instant,
) -> Result<(), SchemaError> {
    let mut announced = false;
    loop {
        let exists = query_scalar!(
            r#"SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS "exists!""#,
            role
        );
        if exists.fetch_one(&mut *connection).await? {
            return Ok(());
        }
        if Instant::now() + RETRY_EVERY >= deadline {
            return Err(SchemaError::NoRole(role.to_owned()));
        }
        if !announced {
            tracing::warn!(role, "waiting for the role that RUNTIME_ROLE names");
            announced = true;
        }
        tokio::time::sleep(RETRY_EVERY).await;
    }
}

/// Gives `role` the rows of every table and nothing else: no DDL, no
/// truncation, no writing to the record of migrations. In one transaction, so
/// that a running server never sees a moment without its rights.
async fn grant(connection: &mut PgConnection, role: &str) -> Result<(), SchemaError> {
    let mut transaction = connection.begin().await?;
    query!("SELECT pg_advisory_xact_lock($1)", GRANT_LOCK)
        .execute(&mut *transaction)
        .await?;
    // GRANT takes no parameters: the role travels as a setting and is quoted
    // as an identifier by the server itself.
    query!(
        "SELECT set_config('authstack.runtime_role', $1, true)",
        role
    )
    .fetch_one(&mut *transaction)
    .await?;
    sqlx::raw_sql(
        "DO $$
         DECLARE
           role text := current_setting('authstack.runtime_role');
         BEGIN
           -- One role may do both; an owner needs no grant.
           IF role = current_user THEN RETURN; END IF;
           EXECUTE format('REVOKE ALL ON SCHEMA authstack FROM %I', role);
           EXECUTE format('GRANT USAGE ON SCHEMA authstack TO %I', role);
           EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA authstack FROM %I', role);
           EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA authstack TO %I', role);
           EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON authstack._sqlx_migrations FROM %I', role);
           EXECUTE format('GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA authstack TO %I', role);
           EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA authstack GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I', role);
           EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA authstack GRANT USAGE, SELECT ON SEQUENCES TO %I', role);
         END
         $$",
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

impl Store {
    /// Whether the schema is there and at least as new as this binary knows.
    pub async fn schema_is_ready(&self) -> Result<bool, StoreError> {
        let mut connection = self.acquire().await?;
        // Unchecked, because the table is the migrator's own, not a
        // migration's, and the checker's database does not have it.
        let version = query_scalar::<_, Option<i64>>(
            "SELECT max(version) FROM authstack._sqlx_migrations WHERE success",
        );
        let answer = within(version.fetch_one(&mut *connection)).await;
        let version = settle(connection, answer)?;
        Ok(version.is_some_and(|version| version >= known_version()))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn an_attempt_that_nobody_answers_leaves_time_for_others() {
        let attempts = Cell::new(0);
        let attempt = || async {
            attempts.set(attempts.get() + 1);
            if attempts.get() == 1 {
                std::future::pending::<()>().await;
            }
            Ok(attempts.get())
        };
        let deadline = Instant::now() + Duration::from_mins(2);
        let reached = retry(deadline, Duration::from_millis(1), attempt).await;
        assert_eq!(reached.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_database_that_never_answers_is_given_up_in_time() {
        let never = std::future::pending::<Result<(), sqlx::Error>>;
        let deadline = Instant::now() + Duration::from_millis(10);
        let reached = retry(deadline, ATTEMPT_TIMEOUT, never).await;
        assert!(matches!(reached, Err(SchemaError::Unreachable(_))));
    }
}
