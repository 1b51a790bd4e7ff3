//! Requests that a browser sends on behalf of another site.

use axum::http::{Method, StatusCode};
use serde_json::json;
use sqlx::PgPool;

use crate::support::{PASSWORD, Server, tokens};

#[sqlx::test(migrations = false)]
async fn login_refresh_and_logout_are_guarded(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let login = json!({"username": "guybrush", "password": PASSWORD});
    let refresh = json!({"refresh_token": pair.refresh});
    let foreign = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ];
    for (name, value) in foreign {
        for (path, body) in [
            ("/auth/login", &login),
            ("/auth/refresh", &refresh),
            ("/auth/logout", &refresh),
        ] {
            let call = server.post(path).json(body).header(name, value);
            let answer = call.header("host", "localhost:8001").send().await;
            answer.assert_problem(403, "cross-site");
            assert!(
                answer.cookies().is_empty(),
                "nor can another site log a user out"
            );
        }
    }
    assert_eq!(server.me(&pair.access).await.status, StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn our_own_pages_pass(pool: PgPool) {
    let server = Server::new(pool).await;
    server.register("guybrush").await;
    let login = json!({"username": "guybrush", "password": PASSWORD});
    for (name, value) in [
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-site", "none"),
        ("origin", "http://localhost:8001"),
        ("origin", "http://10.1.2.3:8001"),
    ] {
        let call = server.post("/auth/login").json(&login).header(name, value);
        let answer = call.header("host", "10.1.2.3:8001").send().await;
        assert_eq!(answer.status, StatusCode::OK, "{name}: {value}");
    }
}

#[sqlx::test(migrations = false)]
async fn a_bearer_token_is_no_browsers_doing(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let call = server.post("/auth/logout").bearer(&pair.access);
    let answer = call.header("sec-fetch-site", "cross-site").send().await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
}

#[sqlx::test(migrations = false)]
async fn reading_is_not_changing(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let call = server
        .get("/auth/user/me")
        .cookie("access_token", &pair.access);
    let answer = call.header("sec-fetch-site", "cross-site").send().await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn whatever_changes_an_account_by_cookie_is_guarded(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let claims = tokens().read_access(&pair.access, server.app.now());
    let session = format!("/auth/sessions/{}", claims.unwrap().sid);
    let names = json!({
        "username": "lechuck", "email": "l@example.com", "current_password": PASSWORD,
    });
    let passwords = json!({"current_password": PASSWORD, "new_password": "look behind you"});
    let password = json!({"current_password": PASSWORD});
    let before = server.me(&pair.access).await.json;
    let foreign = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ];
    for (name, value) in foreign {
        for (method, path, body) in [
            (Method::POST, "/auth/logout/all", &json!({})),
            (Method::DELETE, &*session, &json!({})),
            (Method::PATCH, "/auth/user/me", &names),
            (Method::POST, "/auth/user/me/password", &passwords),
            (Method::DELETE, "/auth/user/me", &password),
        ] {
            let call = server.call(method, path).json(body).header(name, value);
            let call = call.header("host", "localhost:8001");
            let answer = call.cookie("access_token", &pair.access).send().await;
            answer.assert_problem(403, "cross-site");
            assert!(answer.cookies().is_empty(), "{path}");
        }
    }
    let answer = server.me(&pair.access).await;
    assert_eq!(answer.status, StatusCode::OK, "the session lives");
    assert_eq!(answer.json, before);
    // The same from our own page is done.
    let call = server.call(Method::PATCH, "/auth/user/me").json(&names);
    let call = call.header("sec-fetch-site", "same-origin");
    let answer = call.cookie("access_token", &pair.access).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
}
