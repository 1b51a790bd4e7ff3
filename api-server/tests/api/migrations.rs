//! `migrate`: the schema, and what the runtime role may do in it.

use std::time::{Duration, Instant};

use authstack_api::store::{
    Store, StoreError,
    migrate::{SchemaError, migrate},
};
use sqlx::{PgPool, postgres::PgConnectOptions};

const PATIENCE: Duration = Duration::from_secs(30);

fn options(pool: &PgPool) -> PgConnectOptions {
    (*pool.connect_options()).clone()
}

async fn execute(pool: &PgPool, sql: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sql).execute(pool).await.map(drop)
}

/// The SQLSTATE of a failure.
fn state(result: Result<(), sqlx::Error>) -> Option<String> {
    let error = result.err()?;
    Some(error.as_database_error()?.code()?.into_owned())
}

#[sqlx::test(migrations = false)]
async fn everything_lives_in_our_schema(pool: PgPool) {
    migrate(&options(&pool), None, PATIENCE).await.unwrap();
    let elsewhere: Vec<String> = sqlx::query_scalar(
        "SELECT schemaname || '.' || tablename FROM pg_tables
         WHERE schemaname NOT IN ('authstack', 'pg_catalog', 'information_schema')",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    let ours: i64 = sqlx::query_scalar("SELECT count(*) FROM authstack._sqlx_migrations")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(ours > 0);
    // And again, without effect.
    migrate(&options(&pool), None, PATIENCE).await.unwrap();
    assert!(Store::new(pool).schema_is_ready().await.unwrap());
}

#[sqlx::test(migrations = false)]
async fn a_newer_schema_is_a_success(pool: PgPool) {
    migrate(&options(&pool), None, PATIENCE).await.unwrap();
    execute(
        &pool,
        "INSERT INTO authstack._sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', true, '\\x00', 1)",
    )
    .await
    .unwrap();
    migrate(&options(&pool), None, PATIENCE).await.unwrap();
    assert!(Store::new(pool).schema_is_ready().await.unwrap());
}

#[sqlx::test(migrations = false)]
async fn an_older_schema_is_not_ready(pool: PgPool) {
    migrate(&options(&pool), None, PATIENCE).await.unwrap();
    execute(
        &pool,
        "DELETE FROM authstack._sqlx_migrations WHERE version > 1",
    )
    .await
    .unwrap();
    assert!(!Store::new(pool).schema_is_ready().await.unwrap());
}

#[sqlx::test(migrations = false)]
async fn the_runtime_role_reads_and_writes_rows_and_no_more(pool: PgPool) {
    // Roles belong to the whole server; each run of a test has its own.
    let role = format!("runtime \"{}\"", uuid::Uuid::now_v7());
    let quoted = role.replace('"', "\"\"");
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "CREATE ROLE \"{quoted}\" LOGIN PASSWORD 'x'"
    )))
    .execute(&pool)
    .await
    .unwrap();
    // Twice: what is granted already is granted again.
    for _ in 0..2 {
        migrate(&options(&pool), Some(&role), PATIENCE)
            .await
            .unwrap();
    }
    let runtime = PgPool::connect_with(options(&pool).username(&role).password("x"))
        .await
        .unwrap();
    for allowed in [
        "INSERT INTO authstack.users (id, username, username_key, email, email_key, password_hash)
         VALUES (gen_random_uuid(), 'a', 'a', 'a', 'a', 'a')",
        "UPDATE authstack.users SET username = 'b'",
        "SELECT * FROM authstack.sessions",
        "DELETE FROM authstack.users",
        "SELECT * FROM authstack._sqlx_migrations",
    ] {
        execute(&runtime, allowed).await.unwrap();
    }
    for refused in [
        "DELETE FROM authstack._sqlx_migrations",
        "UPDATE authstack._sqlx_migrations SET success = false",
        "INSERT INTO authstack._sqlx_migrations SELECT * FROM authstack._sqlx_migrations",
        "TRUNCATE authstack.users",
        "TRUNCATE authstack.users, authstack.sessions",
        "DROP TABLE authstack.users",
        "ALTER TABLE authstack.users ADD COLUMN x int",
        "CREATE TABLE authstack.x ()",
        "CREATE INDEX ON authstack.users (username)",
    ] {
        assert_eq!(
            state(execute(&runtime, refused).await).as_deref(),
            Some("42501"),
            "{refused}"
        );
    }
    // Tables of a later migration come with the same rights.
    execute(
        &pool,
        "CREATE TABLE authstack.later (id bigint GENERATED ALWAYS AS IDENTITY)",
    )
    .await
    .unwrap();
    execute(&runtime, "INSERT INTO authstack.later DEFAULT VALUES")
        .await
        .unwrap();
    assert!(Store::new(runtime.clone()).schema_is_ready().await.unwrap());
    runtime.close().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "DROP OWNED BY \"{quoted}\"; DROP ROLE \"{quoted}\""
    )))
    .execute(&pool)
    .await
    .unwrap();
}

#[sqlx::test(migrations = false)]
async fn one_role_may_do_both(pool: PgPool) {
    let owner = options(&pool).get_username().to_owned();
    migrate(&options(&pool), Some(&owner), PATIENCE)
        .await
        .unwrap();
}

#[sqlx::test(migrations = false)]
async fn a_role_that_never_comes_is_named(pool: PgPool) {
    let outcome = migrate(&options(&pool), Some("nobody-here"), Duration::from_secs(1)).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, SchemaError::NoRole(_)));
    assert!(error.to_string().contains("nobody-here"), "{error}");
}

#[sqlx::test(migrations = false)]
async fn a_database_that_is_not_there_is_waited_for(pool: PgPool) {
    for unreachable in [
        options(&pool).port(1),
        options(&pool).host("no-such-host.invalid"),
        options(&pool).database("no_such_database"),
        options(&pool).username("no_such_role"),
    ] {
        let started = Instant::now();
        let outcome = migrate(&unreachable, None, Duration::from_millis(1_500)).await;
        assert!(
            matches!(outcome, Err(SchemaError::Unreachable(_))),
            "{outcome:?}"
        );
        let waited = started.elapsed();
        assert!(waited >= Duration::from_millis(500), "{waited:?}");
        assert!(waited < Duration::from_secs(10), "{waited:?}");
    }
}

#[sqlx::test(migrations = false)]
async fn a_role_that_comes_late_is_found(pool: PgPool) {
    let role = format!("late-{}", uuid::Uuid::now_v7());
    let options = options(&pool);
    let migration = async {
        let started = Instant::now();
        migrate(&options, Some(&role), PATIENCE).await.unwrap();
        assert!(started.elapsed() >= Duration::from_millis(700));
    };
    let creation = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let create = sqlx::AssertSqlSafe(format!("CREATE ROLE \"{role}\""));
        sqlx::raw_sql(create).execute(&pool).await.unwrap();
    };
    tokio::join!(migration, creation);
    let drop = sqlx::AssertSqlSafe(format!("DROP OWNED BY \"{role}\"; DROP ROLE \"{role}\""));
    sqlx::raw_sql(drop).execute(&pool).await.unwrap();
}

#[sqlx::test(migrations = false)]
async fn before_the_migration_the_store_is_unavailable(pool: PgPool) {
    let outcome = Store::new(pool).schema_is_ready().await;
    assert!(
        matches!(outcome, Err(StoreError::Unavailable(_))),
        "{outcome:?}"
    );
}
