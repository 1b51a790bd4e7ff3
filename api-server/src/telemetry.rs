//! Logs: one JSON object per line, on standard output. Traces: where they are
//! asked for, by OTLP.

use std::{io, panic};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{args::LogLevel, config::Traces};

mod export;
pub mod spans;
mod writer;

use export::ExportGuard;
use writer::LogGuard;

/// Writes and sends what is left when it is dropped.
#[must_use = "dropping it ends the log"]
pub struct Guard {
    // In this order: the end of the export may have something to log.
    _export: Option<ExportGuard>,
    _log: LogGuard,
}

/// Starts logging, at `level` for this crate and no more than warnings for
/// others: at a lower level they would log statements and headers. Starts
/// exporting traces, if asked for. Both go on until the guard is dropped.
pub fn init(level: LogLevel, traces: Option<&Traces>) -> io::Result<Guard> {
    let ours = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let targets = Targets::new()
        .with_default(ours.min(LevelFilter::WARN))
        .with_target("authstack_api", ours)
        .with_target(
            spans::TARGET,
            traces.map_or(LevelFilter::OFF, |_| LevelFilter::INFO),
        );
    let (spans, export) = traces.map(export::start).transpose()?.unzip();
    let spans = spans.map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_level(false)
            .with_target(false)
            .with_tracked_inactivity(false)
    });
    let (writer, log) = writer::start(io::stdout())?;
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(writer);
    // The filter is the registry's, not the layer's own: a layer's own filter
    // remembers, thread by thread, that somebody merely asked whether a line
    // would be logged, and then swallows the next one that is.
    // Fails only where somebody else has set a subscriber up: a test.
    let _ = tracing_subscriber::registry()
        .with(targets)
        .with(spans)
        .with(lines)
        .try_init();
    log_panics();
    Ok(Guard {
        _export: export,
        _log: log,
    })
}

/// A panic is a log line with its place. Its message may quote data, but
/// without it nobody finds the fault; ours quote none.
fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string);
        let message = info.payload_as_str();
        tracing::error!(place, message, "panic");
    }));
}
