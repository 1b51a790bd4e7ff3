//! The one layer around every request: names it, catches panics, writes the
//! bodies of errors, adds the headers that every answer has, counts it, and
//! logs one line.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use tracing::{Instrument, Span};

use super::{ApiError, client, cors::Cors, error::Cause, problem, request_id};
use crate::{
    app::App,
    domain::{ids::UserId, trace_context::TraceParent},
    telemetry::spans::RequestTrace,
};

/// Where handlers leave what the log line should say.
#[derive(Clone, Default)]
pub(super) struct Seen(Arc<OnceLock<UserId>>);

impl Seen {
    /// The request turned out to be this user's.
    pub(super) fn user(&self, id: UserId) {
        // The first to say it is right; nobody says two.
        let _ = self.0.set(id);
    }
}

/// The request's id, for what happens on its way.
#[derive(Clone)]
pub(super) struct RequestId(pub(super) Arc<str>);

/// Handles one request.
pub(super) async fn edge(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let line = Line::begin(&app, &request);
    let seen = Seen::default();
    request.extensions_mut().insert(seen.clone());
    request
        .extensions_mut()
        .insert(RequestId(Arc::clone(&line.id)));

    let cors = Cors::of(&request, &app.services.cors_origins);
    let response = match cors.preflight() {
        Some(response) => response,
        None => run(next, request, line.trace.span()).await,
    };

    let mut response = problem::render(response, app.public_url.origin(), &line.id);
    add_headers(
        response.headers_mut(),
        &line.id,
        app.readiness.is_draining(),
    );
    cors.add_headers(response.headers_mut());
    line.end(&app, &response, &seen, started);
    response
}

/// The handler's answer. Its panic is one too.
async fn run(next: Next, request: Request, span: Span) -> Response {
    let answer = AssertUnwindSafe(next.run(request).instrument(span));
    let answer = answer.catch_unwind().await;
    answer.unwrap_or_else(|_| ApiError::Panic.into_response())
}

/// Adds the headers that every answer has.
pub(super) fn add_headers(headers: &mut HeaderMap, request_id: &str, draining: bool) {
    const ALWAYS: [(header::HeaderName, &str); 2] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    // The documentation pages bring their own.
    const UNLESS_SET: [(header::HeaderName, &str); 2] = [
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ];
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in UNLESS_SET {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(request_id::HEADER, id);
    }
    if draining {
        // Clients and proxies that keep connections open find another server.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

/// What the log line says, as far as the request tells.
struct Line {
    id: Arc<str>,
    method: &'static str,
    route: Option<MatchedPath>,
    client: Option<std::net::IpAddr>,
    trace: RequestTrace,
}

impl Line {
    fn begin(app: &App, request: &Request) -> Self {
        let (headers, extensions) = (request.headers(), request.extensions());
        let id = request_id::take_or_make(headers);
        let method = method_name(request.method());
        let route = extensions.get::<MatchedPath>().cloned();
        let template = route.as_ref().map(MatchedPath::as_str);
        Self {
            trace: RequestTrace::begin(traceparent(headers), method, template, &id),
            id,
            method,
            route,
            client: client::address(headers, extensions, app.trusted_proxy_hops),
        }
    }

    fn end(self, app: &App, response: &Response, seen: &Seen, started: Instant) {
        let took = started.elapsed();
        let status = response.status().as_u16();
        let route = self.route.as_ref().map_or("unmatched", MatchedPath::as_str);
        app.metrics.request(self.method, route, status, took);
        let cause = response.extensions().get::<Cause>().map(|cause| &*cause.0);
        let user = seen.0.get().map(tracing::field::display);
        let client = self.client.map(tracing::field::display);
        let trace = self.trace.id.map(tracing::field::display);
        let latency_ms = took.as_secs_f64() * 1000.0;
        // The level must be known to the macro, hence the repetition.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    request_id = &*self.id,
                    trace_id = trace,
                    method = self.method,
                    route,
                    status,
                    latency_ms,
                    user_id = user,
                    client,
                    cause,
                    "request"
                )
            };
        }
        match status {
            500 => line!(error),
            501.. => line!(warn),
            _ => line!(info),
        }
        self.trace.end(status);
    }
}

/// The caller's trace. Two callers cannot both be right.
fn traceparent(headers: &HeaderMap) -> Option<TraceParent> {
    let mut values = headers.get_all("traceparent").iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    TraceParent::parse(value.to_str().ok()?)
}

/// Methods are the client's text; as a label they are few.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}
