//! Logs, on standard output, and traces, where they are asked for, by OTLP.

mod export;
mod lines;
pub mod spans;

use tracing_subscriber::{
    EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use self::export::ExportGuard;
use self::lines::Lines;
use crate::args::{LogFormat, LogLevel, TraceArgs};

/// Logs or traces cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A logger is there already.
    #[error("logs: {0}")]
    Logs(#[from] tracing_subscriber::util::TryInitError),
    /// The exporter refused its configuration.
    #[error("traces: {0}")]
    Traces(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// Sends the last traces when it is dropped.
#[must_use = "dropping it ends the traces"]
pub struct Guard {
    _export: Option<ExportGuard>,
}

/// Starts logging, and exporting traces if that is asked for, until the guard
/// is dropped. That waits for the receiver, so it is no matter for a runtime.
///
/// # Errors
/// When the process logs already, or a setting of the export is none.
pub fn init(level: LogLevel, format: LogFormat, traces: &TraceArgs) -> Result<Guard, Error> {
    let receiver = traces.otel_exporter_otlp_endpoint.as_deref();
    let exporting = receiver.map(|receiver| export::start(receiver, &traces.otel_service_name));
    let (exporter, export) = exporting.transpose()?.unzip();
    let filter = filter(level, exporter.is_some());
    let spans = exporter.map(|exporter| {
        tracing_opentelemetry::layer()
            .with_tracer(exporter)
            .with_location(false)
            .with_threads(false)
            .with_level(false)
            .with_target(false)
            .with_tracked_inactivity(false)
    });
    let lines = tracing_subscriber::fmt::layer();
    let lines = match format {
        LogFormat::Json => lines.json().map_event_format(|_| Lines::default()).boxed(),
        LogFormat::Text => lines.boxed(),
    };
    // The filter is the registry's: a layer's own remembers, thread by thread,
    // that somebody merely asked whether a line would be logged, and then
    // swallows the next one that is.
    tracing_subscriber::registry()
        .with(filter)
        .with(spans)
        .with(lines)
        .try_init()?;
    Ok(Guard { _export: export })
}

/// The level, but for libraries whose lower levels tell of themselves only.
fn filter(level: LogLevel, traces: bool) -> EnvFilter {
    let mut filter = level.as_str().to_owned();
    if level != LogLevel::Error && level != LogLevel::Trace {
        filter += ",hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn,tower=warn";
        // Its span says of a reconcile what ours says.
        filter += ",kube_runtime::controller=warn";
    }
    if level != LogLevel::Trace {
        // It reports each failed request as an error; whoever sent the request
        // decides what a failure means and logs that.
        filter += ",kube_client::client::builder=off";
    }
    filter += if traces {
        ",authstack_trace=info"
    } else {
        ",authstack_trace=off"
    };
    EnvFilter::new(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_quieter_than_we_are() {
        let filter = filter(LogLevel::Debug, false).to_string();
        assert!(filter.contains("debug"), "{filter}");
        assert!(filter.contains("hyper=warn"), "{filter}");
    }

    #[test]
    fn what_is_traced_does_not_hang_on_what_is_logged() {
        for level in [LogLevel::Error, LogLevel::Trace] {
            let directive = |traces| {
                let filter = filter(level, traces).to_string();
                let mut parts = filter.split(',').map(ToOwned::to_owned);
                parts.find(|part| part.starts_with(spans::TARGET))
            };
            assert_eq!(directive(true).as_deref(), Some("authstack_trace=info"));
            assert_eq!(directive(false).as_deref(), Some("authstack_trace=off"));
        }
    }
}
