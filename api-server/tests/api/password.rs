//! `POST /auth/user/me/password`

use axum::http::StatusCode;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Answer, PASSWORD, Pair, Server};

const NEW: &str = "look behind you";

async fn change(server: &Server, pair: &Pair, body: &Value) -> Answer {
    let call = server.post("/auth/user/me/password");
    call.bearer(&pair.access).json(body).send().await
}

async fn login(server: &Server, password: &str) -> Answer {
    let body = json!({"username": "guybrush", "password": password});
    server.post("/auth/login").json(&body).send().await
}

#[sqlx::test(migrations = false)]
async fn another_password_ends_the_other_sessions_everywhere_at_once(pool: PgPool) {
    let servers = [Server::new(pool.clone()).await, Server::new(pool).await];
    let bystander = servers[0].tokens("lechuck").await;
    let other = servers[0].tokens("guybrush").await;
    let mine = servers[0].login("guybrush").await.pair();
    let before = servers[0].me(&mine.access).await.json;
    let body = json!({"current_password": PASSWORD, "new_password": NEW});
    let answer = change(&servers[1], &mine, &body).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text);
    assert!(answer.text.is_empty() && answer.cookies().is_empty());
    for server in &servers {
        let answer = server.me(&other.access).await;
        answer.assert_problem(401, "invalid-token");
        let answer = server.refresh(&other.refresh).await;
        answer.assert_problem(401, "invalid-token");
        assert_eq!(server.me(&mine.access).await.status, StatusCode::OK);
        assert_eq!(server.me(&bystander.access).await.status, StatusCode::OK);
    }
    let mine = servers[0].refresh(&mine.refresh).await.pair();
    let after = servers[0].me(&mine.access).await.json;
    assert!(after["updated_at"].as_str() > before["updated_at"].as_str());
    let answer = login(&servers[0], PASSWORD).await;
    answer.assert_problem(401, "login-refused");
    assert_eq!(login(&servers[0], NEW).await.status, StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn other_sessions_are_kept_where_that_is_asked_for(pool: PgPool) {
    let server = Server::new(pool).await;
    let other = server.tokens("guybrush").await;
    let mine = server.login("guybrush").await.pair();
    let body = json!({"current_password": PASSWORD, "new_password": NEW, "keep_sessions": true});
    let answer = change(&server, &mine, &body).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(server.me(&other.access).await.status, StatusCode::OK);
    for not_kept in [json!(false), Value::Null] {
        server.login("guybrush").await;
        let body = json!({
            "current_password": NEW, "new_password": PASSWORD, "keep_sessions": not_kept,
        });
        let answer = change(&server, &mine, &body).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        let live = "SELECT count(*) FROM authstack.sessions WHERE revoked_at IS NULL";
        assert_eq!(server.count(live).await, 1);
        let body = json!({"current_password": PASSWORD, "new_password": NEW});
        change(&server, &mine, &body).await;
    }
}

#[sqlx::test(migrations = false)]
async fn a_wrong_current_password_changes_nothing(pool: PgPool) {
    let server = Server::new(pool).await;
    let other = server.tokens("guybrush").await;
    let mine = server.login("guybrush").await.pair();
    for wrong in ["not the password", "", "SECUREPASS", &"x".repeat(1_025)] {
        let body = json!({"current_password": wrong, "new_password": NEW});
        let answer = change(&server, &mine, &body).await;
        answer.assert_problem(403, "wrong-password");
    }
    assert_eq!(server.me(&other.access).await.status, StatusCode::OK);
    assert_eq!(login(&server, PASSWORD).await.status, StatusCode::OK);
    assert_eq!(login(&server, NEW).await.status, StatusCode::UNAUTHORIZED);
}

#[sqlx::test(migrations = false)]
async fn the_policy_is_for_the_new_password(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    for refused in [
        "short",
        "password1",
        "Guybrush1",
        "guybrush@example.com",
        PASSWORD,
        &"x".repeat(129),
    ] {
        let body = json!({"current_password": PASSWORD, "new_password": refused});
        let answer = change(&server, &pair, &body).await;
        answer.assert_problem(422, "validation");
        assert_eq!(answer.pointers(), ["/new_password"], "{refused}");
        assert!(!answer.text.contains(refused), "{}", answer.text);
    }
    for (body, pointer) in [
        (json!({"new_password": NEW}), "/current_password"),
        (json!({"current_password": PASSWORD}), "/new_password"),
        (
            json!({"current_password": PASSWORD, "new_password": null}),
            "/new_password",
        ),
        (
            json!({"current_password": PASSWORD, "new_password": NEW, "keep_sessions": "yes"}),
            "/keep_sessions",
        ),
    ] {
        let answer = change(&server, &pair, &body).await;
        answer.assert_problem(422, "validation");
        assert_eq!(answer.pointers(), [pointer]);
    }
    // The one that is presented is not judged, however it came to be.
    let body = json!({"current_password": "short", "new_password": NEW});
    let answer = change(&server, &pair, &body).await;
    answer.assert_problem(403, "wrong-password");
}

#[sqlx::test(migrations = false)]
async fn the_new_password_is_stored_as_a_hash_of_the_live_kind(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let body = json!({"current_password": PASSWORD, "new_password": NEW});
    change(&server, &pair, &body).await;
    let hash: String = sqlx::query_scalar("SELECT password_hash FROM authstack.users")
        .fetch_one(&server.pool)
        .await
        .unwrap();
    assert!(
        hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{hash}"
    );
}

#[sqlx::test(migrations = false)]
async fn a_session_that_is_over_changes_no_password(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let body = json!({"current_password": PASSWORD, "new_password": NEW});
    let call = server.post("/auth/user/me/password").json(&body);
    call.send().await.assert_problem(401, "no-token");
    let call = server.post("/auth/logout").bearer(&pair.access);
    call.send().await;
    let answer = change(&server, &pair, &body).await;
    answer.assert_problem(401, "invalid-token");
    assert_eq!(login(&server, PASSWORD).await.status, StatusCode::OK);
}
