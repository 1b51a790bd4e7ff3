//! `GET /auth/verify`

use axum::http::{Method, StatusCode};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Answer, Call, PASSWORD, Server};

const HEADERS: [&str; 4] = [
    "x-auth-user-id",
    "x-auth-session-id",
    "x-auth-roles",
    "x-auth-username",
];

/// That the four headers are there, once each, and empty.
#[track_caller]
fn assert_nobody(answer: &Answer) {
    for name in HEADERS {
        let values: Vec<_> = answer.headers.get_all(name).iter().collect();
        assert_eq!(values, [""], "{name}");
    }
}

fn by_cookie(server: &Server, access: &str) -> Call {
    server
        .get("/auth/verify")
        .cookie("access_token", access)
        .header("host", "auth.internal:8001")
}

#[sqlx::test(migrations = false)]
async fn whoever_is_logged_in_is_named(pool: PgPool) {
    let server = Server::new(pool).await;
    // Two bytes outside ASCII, and what would separate roles.
    let name = "Ælfrēd,admin";
    let body = json!({"username": name, "email": "a@example.com", "password": PASSWORD});
    let registered = server.post("/auth/register").json(&body).send().await;
    let id = registered.json["id"].clone();
    sqlx::query("UPDATE authstack.users SET roles = '{admin,editor}'")
        .execute(&server.pool)
        .await
        .unwrap();
    let pair = server.login(name).await.pair();
    for call in [
        server.get("/auth/verify").bearer(&pair.access),
        by_cookie(&server, &pair.access),
        server
            .call(Method::HEAD, "/auth/verify")
            .bearer(&pair.access),
    ] {
        let answer = call.send().await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.text.is_empty());
        assert_eq!(answer.header("x-auth-user-id"), id);
        assert!(Uuid::parse_str(answer.header("x-auth-session-id")).is_ok());
        assert_eq!(answer.header("x-auth-roles"), "admin,editor");
        assert_eq!(answer.header("x-auth-username"), "%C3%86lfr%C4%93d%2Cadmin");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[sqlx::test(migrations = false)]
async fn no_roles_are_an_empty_header(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let answer = server.get("/auth/verify").bearer(&pair.access).send().await;
    let roles: Vec<_> = answer.headers.get_all("x-auth-roles").iter().collect();
    assert_eq!(roles, [""]);
}

/// A role comes from the database, which others may write to.
#[sqlx::test(migrations = false)]
async fn one_role_never_reads_as_two(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    sqlx::query("UPDATE authstack.users SET roles = ARRAY['a,admin', E'b\\nadmin', 'é']")
        .execute(&server.pool)
        .await
        .unwrap();
    let answer = server.get("/auth/verify").bearer(&pair.access).send().await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("x-auth-roles"), "a%2Cadmin,b%0Aadmin,%C3%A9");
}

#[sqlx::test(migrations = false)]
async fn everybody_else_is_refused_with_empty_headers(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let call = || {
        server
            .get("/auth/verify")
            .header("x-auth-user-id", "forged")
    };
    for (call, kind) in [
        (call(), "no-token"),
        (call().bearer("x"), "invalid-token"),
        (call().bearer(&pair.refresh), "invalid-token"),
        (call().cookie("access_token", "x"), "invalid-token"),
        (
            call().header("authorization", "Basic eDp5"),
            "invalid-token",
        ),
        (
            call()
                .header("authorization", "Basic eDp5")
                .cookie("access_token", &pair.access),
            "invalid-token",
        ),
    ] {
        let answer = call.send().await;
        answer.assert_problem(401, kind);
        assert_nobody(&answer);
    }
    let twice = call()
        .cookie("access_token", &pair.access)
        .cookie("access_token", &pair.access);
    let answer = twice.send().await;
    answer.assert_problem(400, "bad-request");
    assert_nobody(&answer);
    let answer = server
        .post("/auth/verify")
        .bearer(&pair.access)
        .send()
        .await;
    answer.assert_problem(405, "method-not-allowed");
    assert_nobody(&answer);
    // On no other route.
    let answer = server.get("/nothing").send().await;
    assert!(answer.headers.get("x-auth-user-id").is_none());
}

#[sqlx::test(migrations = false)]
async fn logout_and_disabling_act_at_once(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let other = server.login("guybrush").await.pair();
    server
        .post("/auth/logout")
        .bearer(&pair.access)
        .send()
        .await;
    let answer = server.get("/auth/verify").bearer(&pair.access).send().await;
    answer.assert_problem(401, "invalid-token");
    let answer = server
        .get("/auth/verify")
        .bearer(&other.access)
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    sqlx::query("UPDATE authstack.users SET disabled_at = now()")
        .execute(&server.pool)
        .await
        .unwrap();
    let answer = server
        .get("/auth/verify")
        .bearer(&other.access)
        .send()
        .await;
    answer.assert_problem(401, "invalid-token");
    assert_nobody(&answer);
}

#[sqlx::test(migrations = false)]
async fn by_cookie_another_site_may_read_and_change_nothing(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    for name in ["x-forwarded-method", "x-original-method"] {
        for (method, expected) in [("GET", 200), ("HEAD", 200), ("POST", 403), ("DELETE", 403)] {
            for (site, origin) in [
                (Some("cross-site"), Some("https://evil.example")),
                (Some("same-site"), None),
                (None, Some("https://evil.example")),
                (None, Some("null")),
            ] {
                let mut call = by_cookie(&server, &pair.access).header(name, method);
                if let Some(site) = site {
                    call = call.header("sec-fetch-site", site);
                }
                if let Some(origin) = origin {
                    call = call.header("origin", origin);
                }
                let answer = call.send().await;
                assert_eq!(
                    answer.status.as_u16(),
                    expected,
                    "{method} {site:?} {origin:?}"
                );
                if expected == 403 {
                    answer.assert_problem(403, "cross-site");
                    assert_nobody(&answer);
                }
            }
        }
    }
    // A Bearer token is no browser's doing.
    let call = server.get("/auth/verify").bearer(&pair.access);
    let call = call.header("x-forwarded-method", "POST");
    let answer = call.header("sec-fetch-site", "cross-site").send().await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn the_other_services_own_pages_may_change_things(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let call = || by_cookie(&server, &pair.access).header("x-forwarded-method", "POST");
    for call in [
        call(),
        call().header("sec-fetch-site", "same-origin"),
        // Traefik says which host was called; nginx passes it as `Host`.
        call()
            .header("origin", "http://shop.example.com")
            .header("x-forwarded-host", "shop.example.com"),
        call().header("origin", "http://auth.internal:8001"),
    ] {
        assert_eq!(call.send().await.status, StatusCode::OK);
    }
    let answer = call()
        .header("origin", "http://evil.example")
        .header("x-forwarded-host", "shop.example.com")
        .send()
        .await;
    answer.assert_problem(403, "cross-site");
}

#[sqlx::test(migrations = false)]
async fn without_a_database_it_is_a_503_that_lets_nobody_through(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    server.pool.close().await;
    let answer = server.get("/auth/verify").bearer(&pair.access).send().await;
    answer.assert_problem(503, "unavailable");
    assert_nobody(&answer);
}
