//! `POST /auth/refresh`: rotation, its grace, and theft.

use authstack_api::crypto::jwt::RefreshClaims;
use axum::http::StatusCode;
use serde_json::json;
use sqlx::PgPool;

use crate::support::{Server, tokens};

const LIVE: &str = "SELECT count(*) FROM authstack.sessions WHERE revoked_at IS NULL";

#[sqlx::test(migrations = false)]
async fn a_pair_is_exchanged_for_the_next(pool: PgPool) {
    let server = Server::new(pool).await;
    let first = server.tokens("guybrush").await;
    let answer = server.refresh(&first.refresh).await;
    let second = answer.pair();
    assert_ne!(second, first);
    assert_eq!(answer.json["token_type"], "bearer");
    assert_eq!(answer.json["expires_in"], 60);
    assert_eq!(answer.cookies().len(), 2);
    assert_eq!(server.me(&second.access).await.status, StatusCode::OK);
    let third = server.refresh(&second.refresh).await.pair();
    assert_eq!(server.me(&third.access).await.status, StatusCode::OK);
    assert_eq!(
        server
            .count("SELECT count(*) FROM authstack.sessions")
            .await,
        1
    );
}

#[sqlx::test(migrations = false)]
async fn rotation_does_not_prolong_a_session(pool: PgPool) {
    let server = Server::new(pool).await;
    let first = server.tokens("guybrush").await;
    let now = server.app.now();
    let ends = tokens().read_refresh(&first.refresh, now).unwrap().exp;
    let second = server.refresh(&first.refresh).await.pair();
    assert_eq!(
        tokens().read_refresh(&second.refresh, now).unwrap().exp,
        ends
    );
}

#[sqlx::test(migrations = false)]
async fn the_cookie_will_do(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let call = server
        .post("/auth/refresh")
        .cookie("refresh_token", &pair.refresh);
    let next = call.send().await.pair();
    // The body wins over the cookie.
    let call = server
        .post("/auth/refresh")
        .cookie("refresh_token", "garbage");
    let call = call.json(&json!({"refresh_token": next.refresh}));
    call.send().await.pair();
}

#[sqlx::test(migrations = false)]
async fn within_its_grace_the_previous_token_gives_the_same_successor(pool: PgPool) {
    let server = Server::new(pool).await;
    let first = server.tokens("guybrush").await;
    let second = server.refresh(&first.refresh).await.pair();
    for _ in 0..3 {
        let again = server.refresh(&first.refresh).await.pair();
        assert_eq!(again.refresh, second.refresh, "to the letter");
        assert_eq!(server.me(&again.access).await.status, StatusCode::OK);
    }
    server.age_rotations(9).await;
    let again = server.refresh(&first.refresh).await;
    assert_eq!(again.status, StatusCode::OK, "nine seconds are within it");
}

#[sqlx::test(migrations = false)]
async fn after_its_grace_the_previous_token_ends_the_session(pool: PgPool) {
    let server = Server::new(pool).await;
    let first = server.tokens("guybrush").await;
    let second = server.refresh(&first.refresh).await.pair();
    server.age_rotations(11).await;
    server
        .refresh(&first.refresh)
        .await
        .assert_problem(401, "invalid-token");
    // Thief and owner are both out, at once.
    server
        .refresh(&second.refresh)
        .await
        .assert_problem(401, "invalid-token");
    server
        .me(&second.access)
        .await
        .assert_problem(401, "invalid-token");
    let reason: String = sqlx::query_scalar("SELECT revoked_reason FROM authstack.sessions")
        .fetch_one(&server.pool)
        .await
        .unwrap();
    assert_eq!(reason, "replay");
}

#[sqlx::test(migrations = false)]
async fn a_token_two_behind_ends_the_session_at_once(pool: PgPool) {
    let server = Server::new(pool).await;
    let first = server.tokens("guybrush").await;
    let second = server.refresh(&first.refresh).await.pair();
    let third = server.refresh(&second.refresh).await.pair();
    server
        .refresh(&first.refresh)
        .await
        .assert_problem(401, "invalid-token");
    server
        .refresh(&third.refresh)
        .await
        .assert_problem(401, "invalid-token");
    assert_eq!(server.count(LIVE).await, 0);
}

#[sqlx::test(migrations = false)]
async fn other_sessions_of_the_same_user_live_on(pool: PgPool) {
    let server = Server::new(pool).await;
    let stolen = server.tokens("guybrush").await;
    let other = server.login("guybrush").await.pair();
    let next = server.refresh(&stolen.refresh).await.pair();
    server.refresh(&next.refresh).await.pair();
    server
        .refresh(&stolen.refresh)
        .await
        .assert_problem(401, "invalid-token");
    assert_eq!(server.me(&other.access).await.status, StatusCode::OK);
    assert_eq!(server.count(LIVE).await, 1);
}

#[sqlx::test(migrations = false)]
async fn an_access_token_is_no_refresh_token(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    server
        .refresh(&pair.access)
        .await
        .assert_problem(401, "invalid-token");
    assert_eq!(server.me(&pair.access).await.status, StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn a_signing_key_alone_makes_no_refresh_token(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let claims = tokens()
        .read_refresh(&pair.refresh, server.app.now())
        .unwrap();
    let forged = RefreshClaims {
        jti: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".into(),
        ..claims
    };
    let forged = tokens().sign_refresh(&forged, server.app.now()).unwrap();
    server
        .refresh(&forged)
        .await
        .assert_problem(401, "invalid-token");
    let reason: String = sqlx::query_scalar("SELECT revoked_reason FROM authstack.sessions")
        .fetch_one(&server.pool)
        .await
        .unwrap();
    assert_eq!(reason, "forgery");
}

#[sqlx::test(migrations = false)]
async fn a_counter_from_the_future_is_refused_and_ends_nothing(pool: PgPool) {
    let server = Server::new(pool).await;
    let first = server.tokens("guybrush").await;
    let second = server.refresh(&first.refresh).await.pair();
    // As after the database was restored from a backup.
    sqlx::query("UPDATE authstack.sessions SET counter = 0")
        .execute(&server.pool)
        .await
        .unwrap();
    server
        .refresh(&second.refresh)
        .await
        .assert_problem(401, "invalid-token");
    assert_eq!(server.count(LIVE).await, 1);
}

#[sqlx::test(migrations = false)]
async fn expired_refresh_tokens_are_refused(pool: PgPool) {
    let server = Server::with_flags(pool, &["--refresh-token-ttl=1h"]).await;
    let pair = server.tokens("guybrush").await;
    server.advance(3_606);
    let answer = server.refresh(&pair.refresh).await;
    answer.assert_problem(401, "invalid-token");
    assert_eq!(answer.json["detail"], "the token has expired");
}

#[sqlx::test(migrations = false)]
async fn an_access_token_does_not_outlive_its_session(pool: PgPool) {
    let flags = ["--access-token-ttl=1h", "--refresh-token-ttl=1h"];
    let server = Server::with_flags(pool, &flags).await;
    let pair = server.tokens("guybrush").await;
    sqlx::query("UPDATE authstack.sessions SET expires_at = now() + interval '100 seconds'")
        .execute(&server.pool)
        .await
        .unwrap();
    let answer = server.refresh(&pair.refresh).await;
    let seconds = answer.json["expires_in"].as_i64().unwrap();
    assert!((95..=100).contains(&seconds), "{seconds}");
}

#[sqlx::test(migrations = false)]
async fn nonsense_is_a_problem(pool: PgPool) {
    let server = Server::new(pool).await;
    server
        .post("/auth/refresh")
        .send()
        .await
        .assert_problem(401, "no-token");
    server
        .refresh("")
        .await
        .assert_problem(401, "invalid-token");
    server
        .refresh("nul\0inside")
        .await
        .assert_problem(401, "invalid-token");
    let call = server.post("/auth/refresh").json(&json!({}));
    call.send().await.assert_problem(401, "no-token");
    let call = server
        .post("/auth/refresh")
        .json(&json!({"refresh_token": 5}));
    call.send().await.assert_problem(422, "validation");
    let call = server.post("/auth/refresh").json(&json!(["x"]));
    call.send().await.assert_problem(422, "validation");
    let call = server.post("/auth/refresh").body("refresh_token=x");
    call.send().await.assert_problem(415, "media-type");
}
