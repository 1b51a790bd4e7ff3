//! `POST /auth/logout`

use axum::http::StatusCode;
use serde_json::json;
use sqlx::PgPool;

use crate::support::{Server, assert_forgets};

const LIVE: &str = "SELECT count(*) FROM authstack.sessions WHERE revoked_at IS NULL";

#[sqlx::test(migrations = false)]
async fn any_valid_token_ends_its_session(pool: PgPool) {
    let server = Server::new(pool).await;
    server.register("guybrush").await;
    for way in [
        "bearer",
        "bearer refresh",
        "body",
        "access cookie",
        "refresh cookie",
    ] {
        let pair = server.login("guybrush").await.pair();
        let call = server.post("/auth/logout");
        let call = match way {
            "bearer" => call.bearer(&pair.access),
            "bearer refresh" => call.bearer(&pair.refresh),
            "body" => call.json(&json!({"refresh_token": pair.refresh})),
            "access cookie" => call.cookie("access_token", &pair.access),
            _ => call.cookie("refresh_token", &pair.refresh),
        };
        let answer = call.send().await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{way}");
        assert!(answer.text.is_empty());
        assert_forgets(&answer);
        server
            .me(&pair.access)
            .await
            .assert_problem(401, "invalid-token");
        server
            .refresh(&pair.refresh)
            .await
            .assert_problem(401, "invalid-token");
    }
    assert_eq!(server.count(LIVE).await, 0);
}

#[sqlx::test(migrations = false)]
async fn without_a_valid_token_it_is_a_success_too(pool: PgPool) {
    let server = Server::new(pool).await;
    server.tokens("guybrush").await;
    for call in [
        server.post("/auth/logout"),
        server.post("/auth/logout").bearer("garbage"),
        server
            .post("/auth/logout")
            .header("authorization", "Basic Zm9vOmJhcg=="),
        server
            .post("/auth/logout")
            .cookie("access_token", "garbage"),
        server
            .post("/auth/logout")
            .json(&json!({"refresh_token": "garbage"})),
        server.post("/auth/logout").json(&json!({})),
    ] {
        let answer = call.send().await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert_forgets(&answer);
    }
    assert_eq!(server.count(LIVE).await, 1);
}

#[sqlx::test(migrations = false)]
async fn with_authorization_cookies_are_ignored(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let call = server.post("/auth/logout").bearer("garbage");
    let answer = call.cookie("access_token", &pair.access).send().await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(server.count(LIVE).await, 1);
}

#[sqlx::test(migrations = false)]
async fn twice_is_once(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    for _ in 0..2 {
        let answer = server
            .post("/auth/logout")
            .bearer(&pair.access)
            .send()
            .await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
    }
}

#[sqlx::test(migrations = false)]
async fn failures_are_told_and_the_cookies_go_all_the_same(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let answer = server
        .post("/auth/logout")
        .json(&json!({"refresh_token": 5}))
        .send()
        .await;
    answer.assert_problem(422, "validation");
    assert_forgets(&answer);
    let call = server
        .post("/auth/logout")
        .header("cookie", "access_token=a; access_token=b");
    let answer = call.send().await;
    answer.assert_problem(400, "bad-request");
    assert_forgets(&answer);
    server.pool.close().await;
    let answer = server
        .post("/auth/logout")
        .bearer(&pair.access)
        .send()
        .await;
    answer.assert_problem(503, "unavailable");
    assert_forgets(&answer);
}

/// What is wrong with a request is told; what can be ended is over all the
/// same, since whoever sent it believes so.
#[sqlx::test(migrations = false)]
async fn what_can_be_ended_is_ended_whatever_is_wrong_beside_it(pool: PgPool) {
    let server = Server::new(pool).await;
    server.register("guybrush").await;
    for what in ["body", "type", "one cookie twice"] {
        let pair = server.login("guybrush").await.pair();
        let call = server
            .post("/auth/logout")
            .cookie("refresh_token", &pair.refresh);
        let (call, status) = match what {
            "body" => (call.json(&json!({"refresh_token": 5})), 422),
            "type" => (call.header("content-type", "text/plain").body("{}"), 415),
            // A neighbouring host may have set the second.
            _ => (call.header("cookie", "access_token=a; access_token=b"), 400),
        };
        let answer = call.send().await;
        assert_eq!(answer.status.as_u16(), status, "{what}");
        assert_forgets(&answer);
        assert_eq!(server.count(LIVE).await, 0, "{what}");
    }
}
