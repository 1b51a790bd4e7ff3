//! `GET /`, `GET /auth/`: what existing clients read, to the letter.

use axum::http::StatusCode;
use serde_json::json;
use sqlx::PgPool;

use crate::support::Server;

#[sqlx::test(migrations = false)]
async fn the_greeting_is_as_it_always_was(pool: PgPool) {
    let answer = Server::new(pool).await.get("/").send().await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.text, r#"{"message":"Welcome to DataViv API"}"#);
}

#[sqlx::test(migrations = false)]
async fn the_status_has_a_slash_or_not(pool: PgPool) {
    let server = Server::new(pool).await;
    for path in ["/auth/", "/auth"] {
        let answer = server.get(path).send().await;
        assert_eq!(answer.status, StatusCode::OK);
        let expected = json!({"message": "server running successfully", "database": "connected"});
        assert_eq!(answer.json, expected);
    }
}

#[sqlx::test(migrations = false)]
async fn without_a_database_the_status_says_so(pool: PgPool) {
    let server = Server::new(pool).await;
    server.pool.close().await;
    let answer = server.get("/auth/").send().await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let expected = json!({"message": "server running successfully", "database": "disconnected"});
    assert_eq!(answer.json, expected);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(server.get("/").send().await.status, StatusCode::OK);
}
