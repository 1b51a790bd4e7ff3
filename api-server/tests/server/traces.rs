//! Traces: W3C Trace Context taken up, and export by OTLP to a receiver that
//! is there, slow, or away.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value as AnyValue},
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use prost::Message;
use serde_json::{Value, json};

use crate::{
    api::{Api, NO_DATABASE, PASSWORD, SECRET},
    postgres::Postgres,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn traceparent() -> String {
    format!("00-{TRACE}-{PARENT}-01")
}

/// An OTLP receiver that keeps what it gets.
struct Receiver {
    url: String,
    got: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

impl Receiver {
    async fn start() -> Self {
        let got: Arc<Mutex<Vec<_>>> = Arc::default();
        let keep = Arc::clone(&got);
        let take = move |headers: HeaderMap, body: Bytes| async move {
            keep.lock().unwrap().push((headers, body));
        };
        let routes = Router::new().route("/v1/traces", post(take));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, got }
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let got = self.got.lock().unwrap();
        let decode = |body: &Bytes| ExportTraceServiceRequest::decode(body.clone()).unwrap();
        got.iter().map(|(_, body)| decode(body)).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let resources = self
            .requests()
            .into_iter()
            .flat_map(|request| request.resource_spans);
        resources
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| scope.spans)
            .collect()
    }

    /// The text of everything that was sent.
    fn printed(&self) -> String {
        let got = self.got.lock().unwrap();
        let bytes: Vec<u8> = got.iter().flat_map(|(_, body)| body.to_vec()).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn attribute(attributes: &[KeyValue], name: &str) -> Option<AnyValue> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    found.value.clone()?.value
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

async fn get_with(api: &Api, path: &str, traceparent: &str) -> u16 {
    let call = api.client.get(api.url(path));
    let call = call.header("traceparent", traceparent);
    call.send().await.unwrap().status().as_u16()
}

/// That a login is shown as it was.
fn check_spans(spans: &[Span]) {
    let ours: Vec<_> = spans
        .iter()
        .filter(|span| hex(&span.trace_id) == TRACE)
        .collect();
    let request = ours
        .iter()
        .find(|span| span.name == "POST /auth/login")
        .unwrap();
    assert_eq!(hex(&request.parent_span_id), PARENT);
    assert_eq!(request.kind, SpanKind::Server as i32);
    for (name, expected) in [
        ("http.request.method", AnyValue::StringValue("POST".into())),
        ("http.route", AnyValue::StringValue("/auth/login".into())),
        ("http.response.status_code", AnyValue::IntValue(200)),
        (
            "authstack.request_id",
            AnyValue::StringValue("the-one".into()),
        ),
    ] {
        assert_eq!(
            attribute(&request.attributes, name),
            Some(expected),
            "{name}"
        );
    }
    for name in ["password hash", "database statement", "database connection"] {
        let child = ours.iter().find(|span| span.name == name);
        assert!(child.is_some(), "no {name}: {ours:#?}");
        let child = child.unwrap();
        assert_eq!(child.parent_span_id, request.span_id, "{name}");
        assert!(child.start_time_unix_nano >= request.start_time_unix_nano);
    }
    let hash = ours
        .iter()
        .find(|span| span.name == "password hash")
        .unwrap();
    assert!(matches!(
        attribute(&hash.attributes, "queue_wait_ms"),
        Some(AnyValue::DoubleValue(ms)) if ms >= 0.0
    ));
    // The other requests, which had no caller, are traces of their own.
    let register = spans
        .iter()
        .find(|span| span.name == "POST /auth/register")
        .unwrap();
    assert_ne!(hex(&register.trace_id), TRACE);
    assert!(register.parent_span_id.is_empty());
}

/// That spans are sent as somebody's, to somebody who knows us.
fn check_envelope(receiver: &Receiver) {
    let requests = receiver.requests();
    let resource = requests[0].resource_spans[0].resource.as_ref().unwrap();
    for (name, value) in [
        ("service.name", "auth"),
        ("deployment.environment.name", "test"),
        ("service.version", env!("CARGO_PKG_VERSION")),
    ] {
        let expected = Some(AnyValue::StringValue(value.into()));
        assert_eq!(attribute(&resource.attributes, name), expected, "{name}");
    }
    let headers = receiver.got.lock().unwrap()[0].0.clone();
    assert_eq!(headers["authorization"], "Bearer the-collectors-key");
    assert_eq!(headers["content-type"], "application/x-protobuf");
}

#[tokio::test]
async fn a_request_is_a_span_of_its_callers_trace_with_what_took_time_below_it() {
    let receiver = Receiver::start().await;
    let postgres = Postgres::migrated().await;
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url.as_str()),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Bearer%20the-collectors-key",
        ),
        ("OTEL_SERVICE_NAME", "auth"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=test",
        ),
        // Spans do not hang on how much is logged.
        ("LOG_LEVEL", "info"),
    ];
    let mut api = Api::start(&postgres.url(), &settings).await;
    api.ready().await;
    let (access, refresh) = api.tokens("guybrush").await;
    let credentials = json!({"username": "guybrush", "password": PASSWORD});
    let call = api.client.post(api.url("/auth/login?secret=query"));
    let call = call.header("traceparent", traceparent()).json(&credentials);
    let answer = call.header("x-request-id", "the-one").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    api.signal("INT");
    let (status, log) = api.ended(Duration::from_secs(10)).await;
    assert!(status.success());

    let line = log
        .iter()
        .find(|line| line["request_id"] == "the-one")
        .unwrap();
    assert_eq!(line["trace_id"], TRACE);
    check_spans(&receiver.spans());
    check_envelope(&receiver);
    let printed = receiver.printed();
    for secret in [
        PASSWORD,
        SECRET,
        &access,
        &refresh,
        "guybrush",
        "secret=query",
        "example.com",
    ] {
        assert!(!printed.contains(secret), "{secret}\n{printed}");
    }
    assert!(!api.printed().await.contains("the-collectors-key"));
}

#[tokio::test]
async fn errors_are_marked_malformed_callers_ignored_and_unsampled_ones_obeyed() {
    let receiver = Receiver::start().await;
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url.as_str())];
    let mut api = Api::start(NO_DATABASE, &settings).await;
    assert_eq!(
        get_with(&api, "/", &format!("00-{TRACE}-{PARENT}-00")).await,
        200
    );
    assert_eq!(get_with(&api, "/auth", "00-nonsense").await, 503);
    assert_eq!(get_with(&api, "/nothing/at/all", &traceparent()).await, 404);
    api.signal("INT");
    let (_, log) = api.ended(Duration::from_secs(10)).await;

    let spans = receiver.spans();
    assert!(
        !spans.iter().any(|span| span.name == "GET /"),
        "its caller records nothing"
    );
    let failed = spans.iter().find(|span| span.name == "GET /auth").unwrap();
    assert_eq!(
        failed.status.as_ref().unwrap().code,
        StatusCode::Error as i32
    );
    assert!(failed.parent_span_id.is_empty());
    let line = log.iter().find(|line| line["route"] == "/auth").unwrap();
    assert_eq!(line["trace_id"], hex(&failed.trace_id));
    // The path of an unknown route is the client's text.
    let unknown = spans.iter().find(|span| span.name == "GET").unwrap();
    assert_eq!(hex(&unknown.trace_id), TRACE);
    assert_eq!(
        unknown.status.as_ref().map_or(0, |status| status.code),
        StatusCode::Unset as i32
    );
    assert!(!receiver.printed().contains("at/all"));
    // What the server does by itself, here looking for its database, is no trace.
    let parents: Vec<_> = spans
        .iter()
        .filter(|span| span.parent_span_id.is_empty())
        .collect();
    assert_eq!(parents.len(), 1, "{parents:#?}");
}

#[tokio::test]
async fn without_a_receiver_the_callers_trace_is_in_the_log_all_the_same() {
    let api = Api::start(NO_DATABASE, &[]).await;
    get_with(&api, "/", &traceparent()).await;
    get_with(&api, "/auth", "00-nonsense").await;
    let twice = api.client.get(api.url("/redoc"));
    let twice = twice
        .header("traceparent", traceparent())
        .header("traceparent", traceparent());
    twice.send().await.unwrap();
    for (route, trace) in [
        ("/", json!(TRACE)),
        ("/auth", Value::Null),
        ("/redoc", Value::Null),
    ] {
        let line = api.logged_line(|line| line["route"] == route).await;
        assert_eq!(line["trace_id"], trace, "{route}");
    }
}

#[tokio::test]
async fn a_receiver_that_is_away_or_hangs_hurts_nobody() {
    // It accepts connections and never says a word.
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    for receiver in ["http://127.0.0.1:1", silent.as_str()] {
        let settings = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "600"),
            // The library's own setting: how often it sends.
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ];
        let mut api = Api::start(NO_DATABASE, &settings).await;
        let started = Instant::now();
        for _ in 0..200 {
            assert_eq!(api.get("/").await.status(), 200);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Whoever waited for an export each time would take two minutes.
        assert!(started.elapsed() < Duration::from_mins(1), "{receiver}");
        api.logged("traces cannot be exported and are dropped")
            .await;
        api.signal("INT");
        let (status, log) = api.ended(Duration::from_secs(10)).await;
        assert!(status.success());
        let told = log.iter().filter(|line| {
            let target = line["target"].as_str().unwrap_or_default();
            target.contains("telemetry") || target.contains("opentelemetry")
        });
        let told: Vec<_> = told.collect();
        assert_eq!(told.len(), 1, "{receiver}: {told:#?}");
    }
}
