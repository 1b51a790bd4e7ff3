//! The OpenAPI document and the pages that show it.

use std::collections::HashSet;

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

#[test]
fn every_error_has_an_example_and_every_route_a_summary() {
    let document = serde_json::to_value(document()).unwrap();
    let mut ids = HashSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap()));
            let route = format!("{method} {path}");
            assert!(operation["summary"].is_string(), "{route}");
            assert!(operation["tags"][0].is_string(), "{route}");
            assert!(operation.get("x-problems").is_none(), "{route}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                let route = format!("{route}: {status}");
                assert!(
                    !response["description"].as_str().unwrap().is_empty(),
                    "{route}"
                );
                let problem = &response["content"]["application/problem+json"];
                // A body that is no problem is meant: the status page.
                if status.as_str() < "400" || response["content"]["application/json"].is_object() {
                    continue;
                }
                let examples = problem["examples"].as_object();
                let examples = examples.unwrap_or_else(|| panic!("{route} names no problem"));
                for (kind, example) in examples {
                    let pointer = example["$ref"].as_str().unwrap();
                    let example = document.pointer(&pointer[1..]).unwrap();
                    assert_eq!(example["value"]["status"].to_string(), *status, "{route}");
                    let uri = format!("http://localhost:8001/problems/{kind}");
                    assert_eq!(example["value"]["type"], uri, "{route}");
                }
            }
        }
    }
}

#[sqlx::test(migrations = false)]
async fn every_documented_route_exists(pool: PgPool) {
    let server = Server::new(pool).await;
    let document = serde_json::to_value(document()).unwrap();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let method = method.to_uppercase().parse().unwrap();
            let some = path.replace("{id}", "0198c5a4-7d3e-7c11-9d33-7b6a5d1f2a10");
            let answer = server.call(method, &some).send().await;
            assert!(!answer.text.contains("no route has this path"), "{path}");
            assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
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
