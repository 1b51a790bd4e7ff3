//! Pages of other sites that may call this service, and those that may not.

use axum::http::{Method, StatusCode};
use serde_json::json;
use sqlx::PgPool;

use crate::support::{Answer, Call, PASSWORD, Server};

const APP: &str = "https://app.example.com";
const OPEN: [&str; 1] = ["--cors-origins=https://app.example.com,http://localhost:3000"];

#[track_caller]
fn assert_open(answer: &Answer, origin: &str) {
    assert_eq!(answer.header("access-control-allow-origin"), origin);
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
    assert_eq!(answer.header("vary"), "origin");
    let exposed = answer.header("access-control-expose-headers");
    for name in ["x-request-id", "retry-after", "www-authenticate"] {
        assert!(exposed.contains(name), "{exposed}");
    }
}

#[track_caller]
fn assert_closed(answer: &Answer) {
    for name in answer.headers.keys() {
        assert!(!name.as_str().starts_with("access-control-"), "{name}");
    }
}

fn preflight(server: &Server, path: &str, origin: &str) -> Call {
    server
        .call(Method::OPTIONS, path)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type")
}

#[sqlx::test(migrations = false)]
async fn it_is_closed_unless_an_origin_is_named(pool: PgPool) {
    let server = Server::new(pool).await;
    for origin in [APP, "null", "http://localhost:8001"] {
        let answer = server.get("/").header("origin", origin).send().await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_closed(&answer);
        assert_eq!(answer.header("vary"), "");
        let answer = preflight(&server, "/auth/login", origin).send().await;
        answer.assert_problem(405, "method-not-allowed");
        assert_closed(&answer);
    }
}

#[sqlx::test(migrations = false)]
async fn a_named_origin_may_read_every_answer(pool: PgPool) {
    let server = Server::with_flags(pool, &OPEN).await;
    for origin in [APP, "http://localhost:3000"] {
        let answer = server.get("/").header("origin", origin).send().await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_open(&answer, origin);
    }
    let errors = [
        (server.get("/nothing"), 404),
        (server.get("/auth/user/me"), 401),
        (server.call(Method::PUT, "/auth/login"), 405),
        (server.post("/auth/register").body("x".repeat(70_000)), 413),
        (server.post("/auth/register").body("x"), 415),
        (server.post("/auth/register").json(&json!({})), 422),
    ];
    for (call, status) in errors {
        let answer = call.header("origin", APP).send().await;
        assert_eq!(answer.status.as_u16(), status);
        assert_open(&answer, APP);
    }
    server.pool.close().await;
    let body = json!({"username": "x", "password": "y"});
    let call = server.post("/auth/login").json(&body);
    let answer = call.header("origin", APP).send().await;
    answer.assert_problem(503, "unavailable");
    assert_open(&answer, APP);
}

#[sqlx::test(migrations = false)]
async fn also_when_a_handler_panics(pool: PgPool) {
    let server = Server::with_flags(pool, &OPEN).await;
    let router = authstack_api::http::with_edge(
        server.app.clone(),
        axum::Router::new().route(
            "/panic",
            axum::routing::get(async || -> &'static str { panic!("provoked") }),
        ),
    );
    let call = Call::new(router, Method::GET, "/panic");
    let answer = call.header("origin", APP).send().await;
    answer.assert_problem(500, "internal");
    assert_open(&answer, APP);
}

#[sqlx::test(migrations = false)]
async fn a_preflight_is_answered_for_every_path(pool: PgPool) {
    let server = Server::with_flags(pool, &OPEN).await;
    for path in ["/auth/login", "/auth/user/me", "/nothing"] {
        let answer = preflight(&server, path, APP).send().await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert!(answer.text.is_empty());
        assert_open(&answer, APP);
        let allowed = answer.header("access-control-allow-methods");
        for method in ["GET", "POST", "PATCH", "DELETE"] {
            assert!(allowed.contains(method), "{allowed}");
        }
        let allowed = answer.header("access-control-allow-headers");
        assert!(allowed.contains("authorization") && allowed.contains("content-type"));
        assert_eq!(answer.header("access-control-max-age"), "600");
        assert!(!answer.header("x-request-id").is_empty());
    }
    // Not every OPTIONS is a preflight.
    let call = server.call(Method::OPTIONS, "/auth/login");
    let answer = call.header("origin", APP).send().await;
    answer.assert_problem(405, "method-not-allowed");
    assert_open(&answer, APP);
}

#[sqlx::test(migrations = false)]
async fn other_origins_get_nothing_and_caches_know(pool: PgPool) {
    let server = Server::with_flags(pool, &OPEN).await;
    for origin in [
        "https://evil.example",
        "https://app.example.com.evil.example",
        "http://app.example.com",
        "https://app.example.com:8443",
        "null",
        "*",
    ] {
        let answer = server.get("/").header("origin", origin).send().await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_closed(&answer);
        assert_eq!(answer.header("vary"), "origin");
        let answer = preflight(&server, "/auth/login", origin).send().await;
        answer.assert_problem(405, "method-not-allowed");
        assert_closed(&answer);
    }
    let both = server.get("/").header("origin", APP);
    let answer = both.header("origin", "https://evil.example").send().await;
    assert_closed(&answer);
    let answer = server.get("/").send().await;
    assert_closed(&answer);
    assert_eq!(answer.header("vary"), "origin");
}

#[sqlx::test(migrations = false)]
async fn a_named_origin_counts_as_our_own_for_what_changes_things(pool: PgPool) {
    let server = Server::with_flags(pool, &OPEN).await;
    server.register("guybrush").await;
    let body = json!({"username": "guybrush", "password": PASSWORD});
    let login = |origin: &str| {
        let call = server.post("/auth/login").json(&body);
        call.header("origin", origin)
            .header("sec-fetch-site", "cross-site")
    };
    let answer = login(APP).send().await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_open(&answer, APP);
    let refused = login("https://evil.example").send().await;
    refused.assert_problem(403, "cross-site");
    assert_closed(&refused);
}
