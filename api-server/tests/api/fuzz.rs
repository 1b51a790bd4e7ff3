//! Whatever is sent, the answer is no mistake of the server's: arbitrary
//! bodies and headers to every route that the document names.

use authstack_api::http::document;
use axum::http::{HeaderName, HeaderValue, Method};
use proptest::{collection::vec, prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Map, Value, json};
use sqlx::PgPool;

use crate::support::{Answer, Call, PASSWORD, Server};

/// A method and a path, with the names of its body's fields if it takes one.
type Route = (Method, String, Vec<String>);

fn routes() -> Vec<Route> {
    let document = serde_json::to_value(document()).unwrap();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else {
                continue;
            };
            let path = path.replace("{id}", "0198c5a4-7d3e-7c11-9d33-7b6a5d1f2a10");
            let content = operation["requestBody"]["content"].as_object();
            let media = content.and_then(|content| content.values().next());
            let names = media.map_or(Vec::new(), |media| {
                let schema = &media["schema"];
                // Optional bodies are one of null and the thing itself.
                let choices = schema["oneOf"].as_array().into_iter().flatten();
                let mut schemas = choices.chain([schema]);
                let reference = schemas.find_map(|schema| schema["$ref"].as_str());
                let name = reference.expect("a named schema").trim_start_matches('#');
                let fields = document.pointer(name).unwrap()["properties"].as_object();
                fields.map_or(Vec::new(), |fields| fields.keys().cloned().collect())
            });
            routes.push((method, path, names));
        }
    }
    routes
}

/// Any JSON, not very deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("\u{0}")),
        Just(json!("\u{202e}\u{feff}")),
        Just(json!("x".repeat(5_000))),
        Just(json!(PASSWORD)),
        Just(json!("guybrush@example.com")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z_]{0,10}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A body for a route with these fields: bytes, JSON, or an object that is
/// nearly right.
fn body(fields: &[String]) -> BoxedStrategy<Vec<u8>> {
    let fields = fields.to_vec();
    let nearly = vec(any_json(), fields.len()).prop_map(move |values| {
        let members = fields.iter().cloned().zip(values);
        Value::Object(members.collect::<Map<_, _>>())
    });
    prop_oneof![
        1 => vec(any::<u8>(), 0..200),
        1 => any_json().prop_map(|value| value.to_string().into_bytes()),
        3 => nearly.prop_map(|value| value.to_string().into_bytes()),
    ]
    .boxed()
}

#[track_caller]
fn assert_no_mistake(answer: &Answer, what: &str) {
    assert!(
        answer.status.as_u16() < 500,
        "{what}: {} {}",
        answer.status,
        answer.text
    );
    if answer.status.is_client_error() {
        assert_eq!(
            answer.header("content-type"),
            "application/problem+json",
            "{what}"
        );
        assert_eq!(answer.json["status"], answer.status.as_u16(), "{what}");
    }
}

#[sqlx::test(migrations = false)]
async fn no_body_is_a_500(pool: PgPool) {
    let server = Server::new(pool).await;
    let access = server.tokens("guybrush").await.access;
    let mut runner = TestRunner::deterministic();
    let with_body = routes()
        .into_iter()
        .filter(|(_, _, fields)| !fields.is_empty());
    let mut routes = 0;
    for (method, path, fields) in with_body {
        let bodies = body(&fields);
        for round in 0..60 {
            let bytes = bodies.new_tree(&mut runner).unwrap().current();
            let call = server
                .call(method.clone(), &path)
                .header("content-type", "application/json");
            let call = if round % 2 == 0 {
                call.bearer(&access)
            } else {
                call
            };
            let what = format!("{method} {path} {:?}", String::from_utf8_lossy(&bytes));
            assert_no_mistake(&call.body(bytes).send().await, &what);
        }
        routes += 1;
    }
    assert!(routes >= 3, "{routes}");
}

#[sqlx::test(migrations = false)]
async fn no_header_is_a_500(pool: PgPool) {
    let server = Server::with_flags(pool, &["--trusted-proxy-hops=1"]).await;
    let router = authstack_api::app::router(server.app.clone());
    let mut runner = TestRunner::deterministic();
    let value = prop_oneof![
        vec(any::<u8>(), 0..80),
        "[ -~]{0,60}".prop_map(String::into_bytes),
        "(Bearer |Basic |access_token=|refresh_token=|[0-9a-f.:,-]{0,30})[!-~]{0,60}(; [a-z_]{1,14}=[!-~]{0,20})?"
            .prop_map(String::into_bytes),
    ];
    for (method, path, _) in routes() {
        for name in [
            "cookie",
            "authorization",
            "x-forwarded-for",
            "x-forwarded-method",
            "x-forwarded-uri",
            "x-request-id",
            "traceparent",
            "user-agent",
            "origin",
            "host",
            "sec-fetch-site",
            "content-type",
            "content-length",
            "access-control-request-method",
        ] {
            for _ in 0..6 {
                let bytes = value.new_tree(&mut runner).unwrap().current();
                let Ok(header) = HeaderValue::from_bytes(&bytes) else {
                    continue;
                };
                let call = Call::new(router.clone(), method.clone(), &path);
                let call = call.header_value(HeaderName::from_static(name), header);
                let what = format!(
                    "{method} {path} {name}: {:?}",
                    String::from_utf8_lossy(&bytes)
                );
                assert_no_mistake(&call.send().await, &what);
            }
        }
    }
}
