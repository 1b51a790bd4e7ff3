//! Traces, by OTLP, to a receiver that is there, or away.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Client,
    api::{Api, ListParams},
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value as AnyValue},
    trace::v1::Span,
};
use prost::Message as _;

use super::operator::{Operator, apply_stack};
use super::support::{define, eventually, in_namespace};

const SOON: Duration = Duration::from_mins(1);
const HAS_STATUS: &str = "authstack_managed_stacks{condition=\"Ready\",status=\"False\"}";

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
            .flat_map(|one| one.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// The text of everything that was sent.
    fn printed(&self) -> String {
        let got = self.got.lock().unwrap();
        let bytes: Vec<u8> = got.iter().flat_map(|(_, body)| body.to_vec()).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    match found.value.clone()?.value? {
        AnyValue::StringValue(text) => Some(text),
        _ => None,
    }
}

#[tokio::test]
async fn a_reconcile_is_a_trace_with_its_steps_and_their_requests_below_it() {
    in_namespace("traces", |config, namespace| async move {
        define(&config).await;
        let receiver = Receiver::start().await;
        let settings = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url.as_str()),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "authorization=Bearer%20the-collectors-key",
            ),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "deployment.environment.name=test",
            ),
            // Spans do not hang on how much is logged.
            ("LOG_LEVEL", "error"),
        ];
        let operator = Operator::start(&namespace, "a", &settings);
        eventually("it leads", SOON, async || operator.leads()).await;
        apply_stack(&config, &namespace, "shop", "{}").await;
        eventually("it has a status", SOON, async || {
            operator.value(HAS_STATUS) == Some(1.0)
        })
        .await;
        operator.rests(Duration::from_secs(2)).await;
        operator.signal("TERM");
        assert_eq!(operator.exit(Duration::from_secs(10)).await.code(), Some(0));

        let spans = receiver.spans();
        check_tree(&spans, &namespace);
        let request = &receiver.requests()[0];
        let resource = request.resource_spans[0].resource.as_ref().unwrap();
        for (name, value) in [
            ("service.name", "authstack-operator"),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("deployment.environment.name", "test"),
        ] {
            assert_eq!(
                attribute(&resource.attributes, name).as_deref(),
                Some(value)
            );
        }
        let headers = receiver.got.lock().unwrap()[0].0.clone();
        assert_eq!(headers["authorization"], "Bearer the-collectors-key");

        let secrets = Api::<Secret>::namespaced(Client::try_from(config).unwrap(), &namespace);
        let secrets = secrets.list(&ListParams::default()).await.unwrap();
        let data = secrets
            .iter()
            .flat_map(|secret| secret.data.iter().flatten());
        let passwords: Vec<_> = data
            .filter(|(key, _)| key.contains("password"))
            .map(|(_, value)| String::from_utf8(value.0.clone()).unwrap())
            .collect();
        assert!(!passwords.is_empty());
        let printed = receiver.printed();
        assert!(passwords.iter().all(|password| !printed.contains(password)));
    })
    .await;
}

/// That the first reconcile is shown as it was, and nothing else is a trace.
fn check_tree(spans: &[Span], namespace: &str) {
    let named = |name: &str| spans.iter().find(|span| span.name == name);
    for span in spans.iter().filter(|span| span.parent_span_id.is_empty()) {
        assert_eq!(span.name, "reconcile");
        assert_eq!(
            attribute(&span.attributes, "stack").as_deref(),
            Some("shop")
        );
        assert_eq!(
            attribute(&span.attributes, "namespace").as_deref(),
            Some(namespace)
        );
        assert!(attribute(&span.attributes, "reconcile_id").is_some());
    }
    let create = named("create deployments").unwrap();
    assert_eq!(
        attribute(&create.attributes, "outcome").as_deref(),
        Some("ok")
    );
    let apply = spans
        .iter()
        .find(|span| span.span_id == create.parent_span_id)
        .unwrap();
    assert_eq!(apply.name, "apply");
    let root = apply.parent_span_id.clone();
    for name in [
        "dereference",
        "validate",
        "desired",
        "apply",
        "inspect",
        "observe",
        "status",
    ] {
        let is_step = |span: &&Span| span.name == name && span.parent_span_id == root;
        assert!(
            spans.iter().any(|span| is_step(&span)),
            "no {name} in {spans:#?}"
        );
    }
    let status = named("apply authstacks/status").unwrap();
    let parent = spans
        .iter()
        .find(|span| span.span_id == status.parent_span_id);
    assert_eq!(parent.unwrap().name, "status");
}

#[tokio::test]
async fn a_receiver_that_is_away_or_hangs_holds_nothing_up() {
    // It accepts connections and never says a word.
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    in_namespace("traces", |config, namespace| async move {
        define(&config).await;
        for (stack, receiver) in [("shop", "http://127.0.0.1:1"), ("club", silent.as_str())] {
            let settings = [
                ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "600"),
                // The library's own: how often it sends.
                ("OTEL_BSP_SCHEDULE_DELAY", "100"),
            ];
            let operator = Operator::start(&namespace, "a", &settings);
            eventually("it leads", SOON, async || operator.leads()).await;
            apply_stack(&config, &namespace, stack, "{}").await;
            let told = || {
                let log = operator.log();
                let told = log
                    .iter()
                    .filter(|line| line["message"] == "traces cannot be exported and are dropped");
                told.count()
            };
            eventually("it has a status", SOON, async || {
                operator.value(HAS_STATUS) >= Some(1.0)
            })
            .await;
            eventually("the loss is told", SOON, async || told() > 0).await;
            operator.rests(Duration::from_secs(2)).await;
            assert_eq!(told(), 1);
            operator.signal("TERM");
            assert_eq!(operator.exit(Duration::from_secs(10)).await.code(), Some(0));
        }
    })
    .await;
}
