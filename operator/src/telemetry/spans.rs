//! What a trace shows: one span for each reconcile, and below it one for each
//! step of the pipeline and each request that it sent.
//!
//! But for the reconcile's own, which log lines refer to, the target of spans is
//! [`TARGET`]: the filter lets them through only where traces are exported.
//! Otherwise a span costs one comparison and is never made.

use tracing::{Level, Span, error_span, field::Empty, info_span, span_enabled};

use crate::reconcile::children::StackKey;

/// The target of every span that only traces show.
pub(super) const TARGET: &str = "authstack_trace";
/// The name of a reconcile's span.
pub(super) const RECONCILE: &str = "reconcile";

/// A reconcile. Its fields are in every log line from inside it, at whatever
/// level is logged; hence its own level.
#[must_use]
pub fn reconcile(stack: &StackKey) -> Span {
    error_span!(
        // The controller's span around it is a library's.
        parent: None,
        RECONCILE,
        namespace = stack.namespace,
        stack = stack.name,
        reconcile_id = format!("{:016x}", rand::random::<u64>()),
        otel.status_code = Empty,
        error.type = Empty,
    )
}

/// Says of the current reconcile that it failed.
pub fn failed(reason: &'static str) {
    let span = Span::current();
    span.record("otel.status_code", "ERROR");
    span.record("error.type", reason);
}

/// A step of the pipeline.
#[must_use]
pub fn step(name: &'static str) -> Span {
    info_span!(target: TARGET, "step", otel.name = name)
}

/// A request to the API server, if it is sent for a reconcile: elections and
/// watches are no part of any.
#[must_use]
pub(crate) fn request(verb: &'static str, resource: &str) -> Span {
    if !span_enabled!(target: TARGET, Level::INFO) || Span::current().is_none() {
        return Span::none();
    }
    info_span!(
        target: TARGET,
        "request",
        otel.kind = "client",
        otel.name = format!("{verb} {resource}"),
        otel.status_code = Empty,
        outcome = Empty,
    )
}

/// Says how a request ended.
pub(crate) fn ended(span: &Span, outcome: &str) {
    span.record("outcome", outcome);
    if outcome != "ok" {
        span.record("otel.status_code", "ERROR");
    }
}
