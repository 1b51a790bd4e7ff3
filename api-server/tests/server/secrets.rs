//! Every route gets a mark in each part of a request that may be secret or
//! somebody's name; the log, at its most talkative, has none of them.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::{
    api::{Api, PASSWORD, SECRET},
    postgres::Postgres,
};

const MARK: &str = "marked-for-the-log";

/// A value for everything that a schema describes, with the mark in every text
/// that is free.
fn marked(document: &Value, schema: &Value, name: &str) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#'));
        return marked(document, target.unwrap(), name);
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        if let Some(choices) = schema[choice].as_array() {
            let chosen = choices.iter().find(|choice| choice["type"] != "null");
            return marked(document, chosen.unwrap(), name);
        }
    }
    if let Some(properties) = schema["properties"].as_object() {
        let members = properties
            .iter()
            .map(|(name, schema)| (name.clone(), marked(document, schema, name)));
        return Value::Object(members.collect());
    }
    let kind = schema["type"].as_str();
    let kind = kind.or_else(|| schema["type"][0].as_str());
    match kind {
        Some("boolean") => json!(true),
        Some("integer" | "number") => json!(1),
        Some("array") => json!([marked(document, &schema["items"], name)]),
        _ if name == "email" => json!(format!("{MARK}@example.com")),
        _ => json!(MARK),
    }
}

/// One operation of the document, filled with marks.
struct Operation {
    method: Method,
    path: String,
    /// Its type and its text.
    body: Option<(String, String)>,
}

impl Operation {
    fn all(document: &Value) -> Vec<Self> {
        let mut all = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                if let Ok(method) = method.to_uppercase().parse() {
                    all.push(Self::read(document, method, path, operation));
                }
            }
        }
        all
    }

    fn read(document: &Value, method: Method, path: &str, operation: &Value) -> Self {
        let parts = path.split('/');
        let parts = parts.map(|part| if part.starts_with('{') { MARK } else { part });
        let content = operation["requestBody"]["content"].as_object();
        let content = content.and_then(|content| content.iter().next());
        let body = content.map(|(kind, media)| {
            let text = if kind.contains("json") {
                marked(document, &media["schema"], "").to_string()
            } else {
                format!("token={MARK}&token_type_hint={MARK}")
            };
            (kind.clone(), text)
        });
        Self {
            method,
            path: parts.collect::<Vec<_>>().join("/"),
            body,
        }
    }

    fn call(&self, api: &Api) -> RequestBuilder {
        let query = format!("?{MARK}={MARK}&q={MARK}&cursor={MARK}&search={MARK}");
        let url = api.url(&format!("{}{query}", self.path));
        let call = api.client.request(self.method.clone(), url);
        let call = call
            .header("x-forwarded-for", MARK)
            .header("x-forwarded-uri", format!("/{MARK}"))
            .header("user-agent", MARK);
        match &self.body {
            Some((kind, text)) => call.header("content-type", kind).body(text.clone()),
            None => call,
        }
    }
}

#[tokio::test]
async fn no_route_logs_what_it_was_given() {
    let postgres = Postgres::migrated().await;
    let api = Api::start(&postgres.url(), &[("LOG_LEVEL", "trace")]).await;
    api.ready().await;
    let mut tokens = vec![api.tokens(MARK).await];
    let mut database = PgConnection::connect(&postgres.url()).await.unwrap();
    sqlx::query("UPDATE authstack.users SET roles = '{admin}'")
        .execute(&mut database)
        .await
        .unwrap();
    let document: Value = api.get("/openapi.json").await.json().await.unwrap();
    let mut calls = 0;
    for operation in Operation::all(&document) {
        // Some of them end the session.
        tokens.push(api.login(MARK).await);
        let (access, refresh) = tokens.last().unwrap();
        let cookies =
            |token: &str, other: &str| format!("access_token={token}; refresh_token={other}");
        for call in [
            operation.call(&api),
            operation.call(&api).bearer_auth(MARK),
            operation.call(&api).basic_auth(MARK, Some(MARK)),
            operation.call(&api).header("cookie", cookies(MARK, MARK)),
            operation
                .call(&api)
                .header("origin", format!("https://{MARK}")),
            operation.call(&api).bearer_auth(access),
            operation
                .call(&api)
                .header("cookie", cookies(access, refresh)),
        ] {
            let answer = call.send().await.unwrap();
            assert_ne!(
                answer.status(),
                500,
                "{} {}",
                operation.method,
                operation.path
            );
            calls += 1;
        }
    }
    assert!(calls >= 50, "{calls}");
    let log = api.log().await.into_iter();
    let requests = log.filter(|line| line["message"] == "request").count();
    assert!(requests > calls, "{requests}");

    let printed = api.printed().await;
    let tokens = tokens
        .iter()
        .flat_map(|(access, refresh)| [access.as_str(), refresh.as_str()]);
    let secrets = [
        MARK,
        PASSWORD,
        SECRET,
        "@",
        "example.com",
        crate::postgres::PASSWORD,
    ];
    for secret in tokens.chain(secrets) {
        let line = printed.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "it has {secret}");
    }
}
