//! The log: one JSON line per request, and nothing in it that is secret.

use std::time::Duration;

use serde_json::json;

use crate::{
    api::{Api, PASSWORD, SECRET, eventually},
    postgres::Postgres,
};

#[tokio::test]
async fn one_line_per_request_without_secrets() {
    let postgres = Postgres::migrated().await;
    let settings = [("LOG_LEVEL", "trace"), ("TRUSTED_PROXY_HOPS", "1")];
    let api = Api::start(&postgres.url(), &settings).await;
    api.ready().await;
    let (access, refresh) = api.tokens("guybrush").await;
    let call = api.client.get(api.url("/auth/user/me"));
    let call = call.bearer_auth(&access).header("x-request-id", "the-one");
    call.header("x-forwarded-for", "198.51.100.7")
        .send()
        .await
        .unwrap();
    let wrong = json!({"username": "guybrush@example.com", "password": "not the password"});
    assert_eq!(api.post("/auth/login", &wrong).await.status(), 401);
    let body = json!({"refresh_token": refresh});
    assert_eq!(api.post("/auth/refresh", &body).await.status(), 200);
    api.get("/some/path?with=query").await;

    // Lines gather for a moment before they are written.
    api.requested("unmatched").await;
    let log = api.log();
    let requests: Vec<_> = log
        .iter()
        .filter(|line| line["message"] == "request")
        .collect();
    assert_eq!(requests.len(), 6, "{requests:#?}");
    for line in &requests {
        for member in [
            "timestamp",
            "level",
            "request_id",
            "method",
            "route",
            "client",
        ] {
            assert!(line[member].is_string(), "{member}: {line}");
        }
        assert!(
            line["status"].is_u64() && line["latency_ms"].is_f64(),
            "{line}"
        );
    }
    let me = requests
        .iter()
        .find(|line| line["request_id"] == "the-one")
        .unwrap();
    assert_eq!(me["route"], "/auth/user/me");
    assert_eq!(me["status"], 200);
    assert_eq!(me["client"], "198.51.100.7");
    assert!(me["user_id"].is_string(), "{me}");
    assert_eq!(requests[5]["route"], "unmatched");

    let printed = api.printed();
    let secrets = [
        PASSWORD,
        SECRET,
        "not the password",
        &access,
        &refresh,
        "@example.com",
        "some/path",
        "with=query",
        crate::postgres::PASSWORD,
        "a%20password",
    ];
    for secret in secrets {
        assert!(!printed.contains(secret), "{secret}\n{printed}");
    }
}

#[tokio::test]
async fn the_cause_of_a_503_is_in_the_log_and_not_in_the_answer() {
    let mut postgres = Postgres::migrated().await;
    let api = Api::start(&postgres.url(), &[]).await;
    api.ready().await;
    let (access, _) = api.tokens("guybrush").await;
    postgres.kill();
    let answer = api.me(&access).await;
    assert_eq!(answer.status(), 503);
    let id = answer.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let text = answer.text().await.unwrap();
    assert!(
        !text.contains("127.0.0.1") && !text.contains("sqlx"),
        "{text}"
    );
    let line = eventually(Duration::from_secs(5), async || {
        let mut lines = api.log().into_iter();
        lines.find(|line| line["request_id"] == id)
    })
    .await;
    assert_eq!(line["level"], "WARN");
    assert!(
        line["cause"].as_str().unwrap().contains("database"),
        "{line}"
    );
}
