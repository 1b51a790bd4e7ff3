//! What a trace shows: one span for each request, and below it one for each
//! password hash, each wait for a connection and each statement.
//!
//! The macros' targets are this module's own, [`TARGET`]: the registry lets
//! them through only where traces are exported. Otherwise a span costs one
//! comparison and is never made.

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceState},
};
use tracing::{
    Level, Span,
    field::{Empty, display},
    info_span, span_enabled,
};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::domain::trace_context::{TraceId, TraceParent};

/// The target of every span that is exported, and of nothing else.
pub(super) const TARGET: &str = "authstack_trace";

/// A request's part in a trace.
pub struct RequestTrace {
    span: Span,
    /// The trace that the request belongs to, if to any.
    pub id: Option<TraceId>,
}

impl RequestTrace {
    /// Begins the span of a request, as part of its caller's trace if there is
    /// one. `route` is the template, never the path: that is the client's text.
    /// The names are OpenTelemetry's (semantic conventions for HTTP servers).
    #[must_use]
    pub fn begin(
        caller: Option<TraceParent>,
        method: &'static str,
        route: Option<&str>,
        request_id: &str,
    ) -> Self {
        let span = info_span!(
            target: TARGET,
            "request",
            otel.kind = "server",
            otel.name = match route {
                Some(route) => format!("{method} {route}"),
                None => method.to_owned(),
            },
            otel.status_code = Empty,
            http.request.method = method,
            http.route = route,
            http.response.status_code = Empty,
            error.type = Empty,
            authstack.request_id = request_id,
        );
        if span.is_disabled() {
            let id = caller.map(|caller| caller.trace);
            return Self { span, id };
        }
        if let Some(caller) = caller {
            // Fails for a span that has begun to be exported; this one is new.
            let _ = span.set_parent(Context::new().with_remote_span_context(remote(caller)));
        }
        let id = span.context().span().span_context().trace_id();
        let id = Some(TraceId(u128::from_be_bytes(id.to_bytes())));
        Self { span, id }
    }

    /// The span, to run the request in.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// Ends it with the answer's status.
    pub fn end(self, status: u16) {
        self.span
            .record("http.response.status_code", i64::from(status));
        if status >= 500 {
            self.span.record("otel.status_code", "ERROR");
            self.span.record("error.type", display(status));
        }
    }
}

fn remote(caller: TraceParent) -> SpanContext {
    let flags = TraceFlags::default().with_sampled(caller.sampled);
    SpanContext::new(
        opentelemetry::trace::TraceId::from(caller.trace.0),
        SpanId::from(caller.span),
        flags,
        true,
        TraceState::default(),
    )
}

/// Whether there is a request to be a part of. What the server does by itself
/// is no trace of anybody's.
fn in_request() -> bool {
    span_enabled!(target: TARGET, Level::INFO) && !Span::current().is_none()
}

/// A password on its way through the queue and a hashing thread.
#[must_use]
pub fn password_hash() -> Span {
    if !in_request() {
        return Span::none();
    }
    info_span!(target: TARGET, "password hash", queue_wait_ms = Empty)
}

/// A wait for one of the pool's connections.
#[must_use]
pub fn database_connection() -> Span {
    if !in_request() {
        return Span::none();
    }
    info_span!(target: TARGET, "database connection")
}

/// A statement, or a transaction of several. Its text is not told: where it
/// stands in the trace tells which it is.
#[must_use]
pub fn database_statement() -> Span {
    if !in_request() {
        return Span::none();
    }
    info_span!(
        target: TARGET,
        "database statement",
        otel.kind = "client",
        db.system.name = "postgresql",
    )
}
