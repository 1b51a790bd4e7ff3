//! The log: one JSON line per request, and nothing in it that is secret.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    api::{Api, PASSWORD, SECRET},
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

    let log = api.log().await;
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

    let printed = api.printed().await;
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

/// What is sent to an account, and what it comes to.
fn things_said_in_confidence() -> Vec<(Method, &'static str, Value, u16)> {
    let names = |password: &str| {
        json!({
            "username": "Threepwood", "email": "governor@melee.example",
            "current_password": password,
        })
    };
    let new =
        |password: &str| json!({"current_password": password, "new_password": "look behind you"});
    let me = "/auth/user/me";
    vec![
        (Method::PATCH, me, names("a first guess"), 403),
        (Method::PATCH, me, names(PASSWORD), 200),
        (Method::PATCH, me, json!({"username": "not a name"}), 422),
        (Method::GET, "/auth/sessions", json!({}), 200),
        (
            Method::GET,
            "/auth/sessions?cursor=confidential",
            json!({}),
            422,
        ),
        (
            Method::POST,
            "/auth/user/me/password",
            new("a second guess"),
            403,
        ),
        (Method::POST, "/auth/user/me/password", new(PASSWORD), 204),
        (Method::GET, "/auth/user/me/export", json!({}), 200),
        (
            Method::DELETE,
            me,
            json!({"current_password": "a third guess"}),
            403,
        ),
        (
            Method::DELETE,
            me,
            json!({"current_password": "look behind you"}),
            204,
        ),
        (Method::POST, "/auth/logout/all", json!({}), 401),
    ]
}

/// Every route of an account, done and refused, at the level that says most.
#[tokio::test]
async fn nothing_that_is_said_in_confidence_is_logged() {
    let postgres = Postgres::migrated().await;
    let api = Api::start(&postgres.url(), &[("LOG_LEVEL", "trace")]).await;
    api.ready().await;
    let (access, refresh) = api.tokens("guybrush").await;
    let (other, other_refresh) = api.login("guybrush").await;
    let steps = things_said_in_confidence();
    let asked = steps.len();
    for (method, path, body, expected) in steps {
        let call = api.client.request(method, api.url(path));
        let answer = call.bearer_auth(&access).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), expected, "{path}");
        answer.bytes().await.unwrap();
    }
    let secrets = [
        "guybrush",
        "threepwood",
        "melee.example",
        "not a name",
        PASSWORD,
        "look behind you",
        "a first guess",
        "a second guess",
        "a third guess",
        "confidential",
        "argon2id",
        &access,
        &refresh,
        &other,
        &other_refresh,
    ];
    let requests = api.log().await.into_iter();
    let requests = requests.filter(|line| line["message"] == "request").count();
    assert!(requests >= asked, "{requests}");
    let printed = api.printed().await.to_lowercase();
    for secret in secrets {
        assert!(
            !printed.contains(&secret.to_lowercase()),
            "{secret}\n{printed}"
        );
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
    let line = api.logged_line(|line| line["request_id"] == id).await;
    assert_eq!(line["level"], "WARN");
    assert!(
        line["cause"].as_str().unwrap().contains("database"),
        "{line}"
    );
}
