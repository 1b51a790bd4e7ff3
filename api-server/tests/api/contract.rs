//! What every test checks besides its own matter: that the answer it got is
//! one that the OpenAPI document describes, by status, kind of problem, media
//! type and shape.

use std::sync::LazyLock;

use authstack_api::http::document;
use axum::http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Value, json};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(document()).unwrap());

/// Holds an answer to the document. Paths that it does not list (pages, probes)
/// are nobody's contract.
#[track_caller]
pub(crate) fn check(
    method: &Method,
    path: &str,
    status: StatusCode,
    headers: &HeaderMap,
    body: &Value,
) {
    let Some((template, operations)) = operations_at(path) else {
        return;
    };
    let name = match *method {
        Method::HEAD => "get".to_owned(),
        _ => method.as_str().to_lowercase(),
    };
    let route = format!("{method} {template}");
    let Some(operation) = operations.get(&name) else {
        let refused = status == StatusCode::METHOD_NOT_ALLOWED;
        let preflight = method == Method::OPTIONS && status == StatusCode::NO_CONTENT;
        assert!(
            refused || preflight,
            "{route} answered {status} and is not documented"
        );
        return;
    };
    let response = &operation["responses"][status.as_str()];
    assert!(
        response.is_object(),
        "{route} answered {status}, which is not documented: {body}"
    );
    if method == Method::HEAD {
        return;
    }
    let given = headers.get(header::CONTENT_TYPE);
    let given = given.map(|value| value.to_str().unwrap());
    let Some(given) = given.and_then(|value| value.split(';').next()) else {
        assert!(
            response["content"].is_null(),
            "{route}: {status} has no body, but a documented one"
        );
        return;
    };
    let content = &response["content"][given];
    assert!(
        content.is_object(),
        "{route}: {status} is not documented to be {given}: {body}"
    );
    if given == "application/problem+json" {
        let kind = body["type"].as_str().unwrap().rsplit('/').next().unwrap();
        assert!(
            content["examples"][kind].is_object(),
            "{route}: {status} is not documented to be a problem {kind}; name it in x-problems"
        );
    }
    let fits = conforms(body, &content["schema"]);
    assert_eq!(
        fits,
        Ok(()),
        "{route}: the body of {status} is not as documented: {body}"
    );
}

/// The operations at a path, and the template that it matches.
fn operations_at(path: &str) -> Option<(&'static str, &'static Value)> {
    let path = path.split('?').next().unwrap();
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let matches = |template: &str| {
        let (template, path) = (template.split('/'), path.split('/'));
        template.clone().count() == path.clone().count()
            && template
                .zip(path)
                .all(|(part, given)| part == given || (part.starts_with('{') && !given.is_empty()))
    };
    let exact = paths.get_key_value(path);
    let found = exact.or_else(|| paths.iter().find(|(template, _)| matches(template)));
    found.map(|(template, operations)| (template.as_str(), operations))
}

/// Whether a value is as a schema says, as far as this API's schemas go.
fn conforms(value: &Value, schema: &Value) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        let pointer = name.strip_prefix('#').unwrap();
        return conforms(
            value,
            DOCUMENT
                .pointer(pointer)
                .expect("a reference leads somewhere"),
        );
    }
    for (keyword, enough) in [("oneOf", 1), ("anyOf", 1), ("allOf", usize::MAX)] {
        if let Some(choices) = schema[keyword].as_array() {
            let fits = choices
                .iter()
                .filter(|choice| conforms(value, choice).is_ok())
                .count();
            if fits < enough.min(choices.len()) {
                return Err(format!("{value} fits too few of {keyword}"));
            }
        }
    }
    let is = |name: &Value| match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => unreachable!("the document has a type {other}"),
    };
    let typed = match &schema["type"] {
        Value::Null => true,
        Value::Array(names) => names.iter().any(is),
        name => is(name),
    };
    if !typed {
        return Err(format!("{value} is no {}", schema["type"]));
    }
    match value {
        Value::Object(members) => {
            for name in schema["required"].as_array().into_iter().flatten() {
                if !members.contains_key(name.as_str().unwrap()) {
                    return Err(format!("{name} is missing"));
                }
            }
            let Some(properties) = schema["properties"].as_object() else {
                return Ok(());
            };
            members.iter().try_for_each(|(name, member)| {
                let schema = properties
                    .get(name)
                    .ok_or(format!("{name} is not documented"))?;
                conforms(member, schema).map_err(|reason| format!("{name}: {reason}"))
            })
        }
        Value::Array(items) => items
            .iter()
            .try_for_each(|item| conforms(item, &schema["items"])),
        _ => Ok(()),
    }
}

/// The check itself can fail.
#[test]
fn a_breach_of_the_document_is_noticed() {
    let breach = |method: Method, status: u16, content_type: &str, body: Value| {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        let status = StatusCode::from_u16(status).unwrap();
        let check = || check(&method, "/auth/user/me", status, &headers, &body);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err()
    };
    let json = "application/json";
    let problem = "application/problem+json";
    let user = json!({
        "id": "0198c5a4-7d3e-7c11-9d33-7b6a5d1f2a10", "username": "guybrush",
        "email": "guybrush@example.com", "roles": [], "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    });
    let with = |name: &str, value: Value| {
        let mut user = user.clone();
        user[name] = value;
        user
    };
    let failed = |kind: &str| {
        json!({
            "type": format!("http://localhost:8001/problems/{kind}"), "title": "x",
            "status": 401, "detail": "x", "instance": "x",
        })
    };
    assert!(!breach(Method::GET, 200, json, user.clone()));
    assert!(!breach(Method::GET, 401, problem, failed("no-token")));
    assert!(breach(Method::GET, 418, json, user.clone()), "status");
    assert!(breach(Method::PUT, 200, json, user.clone()), "method");
    assert!(
        breach(Method::GET, 200, "text/plain", user.clone()),
        "media type"
    );
    assert!(
        breach(Method::GET, 200, json, with("username", json!(5))),
        "type"
    );
    assert!(
        breach(Method::GET, 200, json, with("password_hash", json!("x"))),
        "more"
    );
    assert!(
        breach(Method::GET, 200, json, with("roles", json!([1]))),
        "item"
    );
    assert!(breach(Method::GET, 200, json, json!({"id": "x"})), "less");
    assert!(
        breach(Method::GET, 401, problem, failed("login-refused")),
        "kind"
    );
}
