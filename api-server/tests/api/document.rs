//! The OpenAPI document and the pages that show it.

use authstack_api::http::document;
use axum::http::StatusCode;
use serde_json::Value;
use sqlx::PgPool;

use crate::support::Server;

#[test]
fn the_document_is_as_it_was() {
    insta::assert_json_snapshot!(document());
}

#[sqlx::test(migrations = false)]
async fn the_document_is_served(pool: PgPool) {
    let server = Server::new(pool).await;
    let answer = server.get("/openapi.json").send().await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    let expected: Value = serde_json::to_value(document()).unwrap();
    assert_eq!(answer.json, expected);
}

#[sqlx::test(migrations = false)]
async fn every_documented_route_exists(pool: PgPool) {
    let server = Server::new(pool).await;
    let document = serde_json::to_value(document()).unwrap();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let method = method.to_uppercase().parse().unwrap();
            let status = server.call(method, path).send().await.status;
            assert_ne!(status, StatusCode::NOT_FOUND, "{path}");
            assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        }
    }
}

#[sqlx::test(migrations = false)]
async fn the_pages_ask_no_other_host_and_run_no_inline_script(pool: PgPool) {
    let server = Server::new(pool).await;
    let answer = server.get("/docs").send().await;
    assert_eq!(answer.status, StatusCode::PERMANENT_REDIRECT);
    assert_eq!(answer.header("location"), "/docs/");
    for (path, bundle) in [
        ("/docs/", "swagger-ui-bundle.js"),
        ("/redoc", "/redoc/redoc.standalone.js"),
    ] {
        let answer = server.get(path).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(
            answer.header("content-type").starts_with("text/html"),
            "{path}"
        );
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("script-src 'self';"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        if answer.header("content-encoding").is_empty() {
            assert!(answer.text.contains(bundle), "{path}");
            assert!(!answer.text.contains("://"), "{path}: {}", answer.text);
            assert!(!answer.text.contains("<script>"), "{path}");
        }
    }
    for path in [
        "/docs/swagger-ui-bundle.js",
        "/docs/swagger-ui.css",
        "/docs/swagger-initializer.js",
        "/redoc/redoc.standalone.js",
        "/redoc/start.js",
    ] {
        assert_eq!(
            server.get(path).send().await.status,
            StatusCode::OK,
            "{path}"
        );
    }
    let start = server.get("/docs/swagger-initializer.js").send().await;
    assert!(start.text.contains("/openapi.json"), "{}", start.text);
    for path in ["/docs/nothing.js", "/docs/../Cargo.toml", "/redoc/nothing"] {
        server
            .get(path)
            .send()
            .await
            .assert_problem(404, "not-found");
    }
}
