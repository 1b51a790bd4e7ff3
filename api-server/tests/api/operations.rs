//! The port for operators.

use axum::http::StatusCode;
use sqlx::PgPool;

use crate::support::{Server, Setup};

#[sqlx::test(migrations = false)]
async fn ready_once_the_schema_was_seen_and_until_the_drain(pool: PgPool) {
    let server = Server::without_schema(pool, &Setup::default());
    assert_eq!(
        server.probe("/readyz").send().await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert!(server.app.store.schema_is_ready().await.is_err());
    server.app.readiness.schema_seen();
    assert_eq!(server.probe("/readyz").send().await.status, StatusCode::OK);
    server.pool.close().await;
    assert_eq!(
        server.probe("/readyz").send().await.status,
        StatusCode::OK,
        "the API says so itself"
    );
    assert_eq!(server.probe("/livez").send().await.status, StatusCode::OK);
    server.app.readiness.drain();
    let answer = server.probe("/readyz").send().await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.text, "draining\n");
    assert_eq!(server.probe("/livez").send().await.status, StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn metrics_count_by_route_template(pool: PgPool) {
    let server = Server::new(pool).await;
    server.tokens("guybrush").await;
    server.get("/nothing/at/all").send().await;
    let answer = server.probe("/metrics").send().await;
    assert_eq!(
        answer.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    for line in [
        r#"http_request_duration_seconds_count{method="POST",route="/auth/login",status="200"} 1"#,
        r#"http_request_duration_seconds_count{method="POST",route="/auth/register",status="201"} 1"#,
        r#"http_request_duration_seconds_count{method="GET",route="unmatched",status="404"} 1"#,
        r#"http_request_duration_seconds_bucket{method="POST",route="/auth/login",status="200",le="+Inf"} 1"#,
        "password_hash_wait_seconds_count 2",
        "password_hash_queue_depth 0",
        "# TYPE database_pool_connections gauge",
        "database_pool_connections_max ",
    ] {
        assert!(answer.text.contains(line), "{line}\n{}", answer.text);
    }
    assert!(!answer.text.contains("nothing/at/all"));
    assert!(!answer.text.contains("guybrush"));
}

#[sqlx::test(migrations = false)]
async fn the_two_ports_do_not_share_routes(pool: PgPool) {
    let server = Server::new(pool).await;
    for path in ["/metrics", "/livez", "/readyz"] {
        server
            .get(path)
            .send()
            .await
            .assert_problem(404, "not-found");
    }
    assert_eq!(
        server.probe("/auth/").send().await.status,
        StatusCode::NOT_FOUND
    );
}
