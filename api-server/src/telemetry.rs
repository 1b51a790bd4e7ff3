//! Logs: one JSON object per line, on standard output.

use std::{io, panic};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

use crate::args::LogLevel;

mod writer;

pub use writer::LogGuard;

/// Starts logging, at `level` for this crate and no more than warnings for
/// others: at a lower level they would log statements and headers. It goes on
/// until the guard is dropped.
pub fn init(level: LogLevel) -> io::Result<LogGuard> {
    let ours = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let targets = Targets::new()
        .with_default(ours.min(LevelFilter::WARN))
        .with_target("authstack_api", ours);
    let (writer, guard) = writer::start(io::stdout())?;
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
        .with(lines)
        .try_init();
    log_panics();
    Ok(guard)
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
