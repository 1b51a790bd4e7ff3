//! What every answer has, and the errors that no handler makes.

use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Call, Server, Setup};

#[sqlx::test(migrations = false)]
async fn unknown_paths_are_problems(pool: PgPool) {
    let server = Server::new(pool).await;
    for path in [
        "/nothing",
        "/auth/nothing",
        "/auth/login/",
        "/%ff",
        "/auth/user/me/x",
        "//",
    ] {
        server
            .get(path)
            .send()
            .await
            .assert_problem(404, "not-found");
    }
}

#[sqlx::test(migrations = false)]
async fn other_methods_are_problems_that_name_the_right_ones(pool: PgPool) {
    let server = Server::new(pool).await;
    for (method, path, allow) in [
        (Method::GET, "/auth/login", "POST"),
        (Method::DELETE, "/auth/register", "POST"),
        (Method::POST, "/auth/sessions", "GET,HEAD"),
        (Method::OPTIONS, "/auth/login", "POST"),
        (Method::PUT, "/", "GET,HEAD"),
    ] {
        let answer = server.call(method, path).send().await;
        answer.assert_problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), allow);
    }
}

#[sqlx::test(migrations = false)]
async fn every_answer_has_the_security_headers(pool: PgPool) {
    let server = Server::new(pool).await;
    let calls = ["/", "/auth/", "/nothing", "/auth/user/me"].map(|path| server.get(path));
    let probes = ["/livez", "/readyz", "/metrics", "/nothing"].map(|path| server.probe(path));
    for call in calls.into_iter().chain(probes) {
        let answer = call.send().await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(
            answer.header("content-security-policy"),
            "default-src 'none'; frame-ancestors 'none'"
        );
        assert!(answer.headers.get("access-control-allow-origin").is_none());
    }
}

#[sqlx::test(migrations = false)]
async fn pages_have_policies_of_their_own_and_the_other_headers(pool: PgPool) {
    const DOCUMENTATION: &str = "default-src 'self'; script-src 'self'; \
        style-src 'self' 'unsafe-inline'; img-src 'self' data:; worker-src 'self' blob:; \
        frame-ancestors 'none'";
    let server = Server::new(pool).await;
    for path in [
        "/docs/",
        "/docs/swagger-ui-bundle.js",
        "/redoc",
        "/redoc/start.js",
    ] {
        let answer = server.get(path).send().await;
        assert_eq!(answer.header("content-security-policy"), DOCUMENTATION);
    }
    for path in [
        "/docs",
        "/docs/",
        "/redoc",
        "/openapi.json",
        "/problems",
        "/problems/busy",
    ] {
        let answer = server.get(path).send().await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(!answer.header("x-request-id").is_empty(), "{path}");
    }
}

#[sqlx::test(migrations = false)]
async fn a_request_has_one_id_everywhere(pool: PgPool) {
    let server = Server::new(pool).await;
    let answer = server
        .get("/nothing")
        .header("x-request-id", "abc-123")
        .send()
        .await;
    assert_eq!(answer.header("x-request-id"), "abc-123");
    assert_eq!(answer.json["instance"], "abc-123");
    let answer = server
        .get("/")
        .header("x-request-id", "<script>")
        .send()
        .await;
    assert!(Uuid::parse_str(answer.header("x-request-id")).is_ok());
}

#[sqlx::test(migrations = false)]
async fn a_draining_server_asks_clients_to_reconnect(pool: PgPool) {
    let server = Server::new(pool).await;
    assert_eq!(server.get("/").send().await.header("connection"), "");
    server.app.readiness.drain();
    let answer = server.get("/").send().await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("connection"), "close");
}

#[sqlx::test(migrations = false)]
async fn a_panic_is_one_500(pool: PgPool) {
    let server = Server::new(pool).await;
    let router = authstack_api::http::with_edge(
        server.app.clone(),
        axum::Router::new().route(
            "/panic",
            axum::routing::get(async || -> &'static str { panic!("provoked") }),
        ),
    );
    let answer = Call::new(router, Method::GET, "/panic").send().await;
    answer.assert_problem(500, "internal");
    assert!(!answer.text.contains("provoked"));
    assert_eq!(server.get("/").send().await.status, StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn without_a_schema_requests_are_503s(pool: PgPool) {
    let server = Server::without_schema(pool, &Setup::default());
    server
        .login("guybrush")
        .await
        .assert_problem(503, "unavailable");
    server
        .register("guybrush")
        .await
        .assert_problem(503, "unavailable");
}

#[sqlx::test(migrations = false)]
async fn an_exhausted_pool_is_a_503_soon_and_a_stuck_statement_one_later(pool: PgPool) {
    let setup = Setup {
        connections: Some(1),
        ..Setup::default()
    };
    let server = Server::with(pool.clone(), setup).await;
    let pair = server.tokens("guybrush").await;
    let mut lock = pool.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE authstack.users")
        .execute(&mut *lock)
        .await
        .unwrap();

    // A connection is given back a moment after its answer.
    while server.app.store.pool_use().idle == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let started = Instant::now();
    let stuck = tokio::spawn({
        let (server, pair) = (server.clone(), pair.clone());
        async move { server.me(&pair.access).await }
    });
    while server.app.store.pool_use().idle > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The only connection is taken: whoever comes next is told sooner than the
    // statement ends.
    server
        .me(&pair.access)
        .await
        .assert_problem(503, "unavailable");
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
    // The statement itself is not waited for without end.
    stuck.await.unwrap().assert_problem(503, "unavailable");
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );
    lock.rollback().await.unwrap();
    // And the connection is as good as new.
    assert_eq!(server.me(&pair.access).await.status, StatusCode::OK);
}
