//! What holds of every limit: its settings, its memory, what it stores, and
//! that nobody passes uncounted.

use axum::http::StatusCode;
use futures::future::join_all;
use sqlx::PgPool;

use super::{
    HOUR, ON, assert_limited, exhaust, guess, limited, login, metric, register, slowly_refilled,
};
use crate::support::{PASSWORD, Server};

#[sqlx::test(migrations = false)]
async fn limits_can_be_switched_off(pool: PgPool) {
    let server = Server::with_flags(pool, &["--rate-limits=off"]).await;
    for n in 0..25 {
        let answer = server.register(&format!("pirate{n}")).await;
        assert_eq!(answer.status, StatusCode::CREATED);
    }
    for _ in 0..15 {
        server.login("pirate1").await.pair();
    }
    assert_eq!(
        server.count("SELECT count(*) FROM authstack.buckets").await,
        0
    );
}

#[sqlx::test(migrations = false)]
async fn limits_are_what_the_settings_say(pool: PgPool) {
    let flags = [
        ON[0],
        ON[1],
        "--limit-login-per-account-and-address=2/1h",
        "--limit-registration-per-address=1/1h",
        "--limit-refresh-per-session=1/1h",
    ];
    let server = Server::with_flags(pool, &flags).await;
    register(&server, "192.0.2.1", "guybrush").await;
    let answer = register(&server, "192.0.2.1", "elaine").await;
    assert_limited(&answer, HOUR);
    let pair = login(&server, "192.0.2.1", "guybrush", PASSWORD)
        .await
        .pair();
    guess(&server, "192.0.2.1", "guybrush").await;
    assert_limited(&guess(&server, "192.0.2.1", "guybrush").await, HOUR);
    let pair = server.refresh(&pair.refresh).await.pair();
    assert_limited(&server.refresh(&pair.refresh).await, HOUR);
}

/// Whatever keeps the limiter from counting, nobody passes uncounted.
#[sqlx::test(migrations = false)]
async fn a_limiter_that_cannot_count_refuses(pool: PgPool) {
    let server = slowly_refilled(&pool).await;
    register(&server, "192.0.2.1", "guybrush").await;
    let pair = login(&server, "192.0.2.1", "guybrush", PASSWORD)
        .await
        .pair();
    exhaust(&server, 10, HOUR, async |_| {
        guess(&server, "192.0.2.9", "guybrush").await
    })
    .await;
    for (broken, mended) in [
        (
            "ALTER TABLE authstack.buckets RENAME TO elsewhere",
            "ALTER TABLE authstack.elsewhere RENAME TO buckets",
        ),
        (
            "ALTER FUNCTION authstack.take_tokens RENAME TO elsewhere",
            "ALTER FUNCTION authstack.elsewhere RENAME TO take_tokens",
        ),
        // What a standby says, which has no unlogged table.
        (
            "ALTER FUNCTION authstack.take_tokens RENAME TO elsewhere;
             CREATE FUNCTION authstack.take_tokens(bytea[], bigint[], bigint[], boolean[])
             RETURNS TABLE (place bigint, wait bigint) LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION USING ERRCODE = '0A000'; END $$",
            "DROP FUNCTION authstack.take_tokens;
             ALTER FUNCTION authstack.elsewhere RENAME TO take_tokens",
        ),
    ] {
        // What this server knows to be used up needs no database.
        let answer = guess(&server, "192.0.2.9", "guybrush").await;
        answer.assert_problem(429, "rate-limited");
        sqlx::raw_sql(broken).execute(&pool).await.unwrap();
        assert_limited(&guess(&server, "192.0.2.9", "guybrush").await, HOUR);
        // One that has the secret already, and one that has it not.
        for server in [&server, &slowly_refilled(&pool).await] {
            let answer = login(server, "192.0.2.1", "guybrush", PASSWORD).await;
            answer.assert_problem(503, "unavailable");
            let answer = register(server, "192.0.2.1", "elaine").await;
            answer.assert_problem(503, "unavailable");
            let answer = server.refresh(&pair.refresh).await;
            answer.assert_problem(503, "unavailable");
        }
        sqlx::raw_sql(mended).execute(&pool).await.unwrap();
    }
    sqlx::raw_sql("ALTER TABLE authstack.secrets RENAME TO elsewhere")
        .execute(&pool)
        .await
        .unwrap();
    let answer = login(
        &slowly_refilled(&pool).await,
        "192.0.2.1",
        "guybrush",
        PASSWORD,
    )
    .await;
    answer.assert_problem(503, "unavailable");
    // Refused, the refresh changed nothing.
    server.refresh(&pair.refresh).await.pair();
}

#[sqlx::test(migrations = false)]
async fn a_server_remembers_refusals_and_never_a_permission(pool: PgPool) {
    let servers = [slowly_refilled(&pool).await, slowly_refilled(&pool).await];
    register(&servers[0], "192.0.2.1", "guybrush").await;
    // Nine by one server leave one for both.
    for _ in 0..9 {
        guess(&servers[0], "192.0.2.1", "guybrush").await;
    }
    guess(&servers[1], "192.0.2.1", "guybrush").await;
    for _ in 0..2 {
        let answer = login(&servers[0], "192.0.2.1", "guybrush", PASSWORD).await;
        assert_limited(&answer, HOUR);
    }
    let refusals = |by: &str| {
        format!(r#"rate_limit_refusals_total{{limit="login_per_account_and_address",by="{by}"}}"#)
    };
    assert_eq!(metric(&servers[0], &refusals("database")).await, 1);
    assert_eq!(metric(&servers[0], &refusals("gate")).await, 1);
    // Filled by hand, it is full for who has not been refused yet.
    sqlx::raw_sql("DELETE FROM authstack.buckets")
        .execute(&pool)
        .await
        .unwrap();
    login(&servers[1], "192.0.2.1", "guybrush", PASSWORD)
        .await
        .pair();
    let answer = login(&servers[0], "192.0.2.1", "guybrush", PASSWORD).await;
    assert_limited(&answer, HOUR);
    assert_eq!(
        metric(&servers[0], r#"logins_total{result="refused"}"#).await,
        9
    );
    assert_eq!(
        metric(&servers[0], r#"logins_total{result="limited"}"#).await,
        3
    );
    assert_eq!(
        metric(&servers[1], r#"logins_total{result="success"}"#).await,
        1
    );
    assert_eq!(metric(&servers[1], "sessions_begun_total").await, 1);
}

#[sqlx::test(migrations = false)]
async fn what_people_type_is_not_in_the_buckets(pool: PgPool) {
    let servers = [limited(&pool).await, limited(&pool).await];
    // Both need the secret for the first time.
    let typed = "my password by mistake";
    let guesses = servers
        .iter()
        .map(|server| guess(server, "192.0.2.1", typed));
    join_all(guesses).await;
    assert_eq!(
        servers[0]
            .count("SELECT count(*) FROM authstack.secrets")
            .await,
        1
    );
    let buckets = "SELECT count(*) FROM authstack.buckets";
    assert_eq!(servers[0].count(buckets).await, 5, "both name them alike");
    let rows: Vec<String> = sqlx::query_scalar("SELECT b::text FROM authstack.buckets b")
        .fetch_all(&pool)
        .await
        .unwrap();
    for row in rows {
        assert!(!row.contains("password") && !row.contains("6d792070617373776f7264"));
    }
}
