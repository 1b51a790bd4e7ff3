//! Logs and metrics. No other state is global.

use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::args::{LogFormat, LogLevel};

/// Reconciles that ended, by `result` (`ok` or `error`) and `reason`.
pub const RECONCILES: &str = "authstack_reconciles_total";
/// How long reconciles took, in seconds, by `result`.
pub const RECONCILE_DURATION: &str = "authstack_reconcile_duration_seconds";
/// AuthStacks that this replica knows.
pub const MANAGED_STACKS: &str = "authstack_managed_stacks";
/// 1 while this replica leads.
pub const LEADER: &str = "authstack_leader";
/// Resident memory of the process, in bytes.
pub const MEMORY: &str = "process_resident_memory_bytes";

/// Buckets in seconds: a reconcile that changes nothing takes milliseconds, one
/// that waits for a slow API server takes the client's timeouts.
const BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// The recorder could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The exporter refused its configuration.
    #[error("metrics: {0}")]
    Metrics(#[from] BuildError),
    /// A logger is there already.
    #[error("logs: {0}")]
    Logs(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts logging to standard output.
///
/// # Errors
/// When the process logs already.
pub fn init_logs(level: LogLevel, format: LogFormat) -> Result<(), Error> {
    use tracing_subscriber::util::SubscriberInitExt as _;
    let logs = tracing_subscriber::fmt().with_env_filter(filter(level));
    match format {
        LogFormat::Json => logs
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .finish()
            .try_init()?,
        LogFormat::Text => logs.finish().try_init()?,
    }
    Ok(())
}

/// The level, but for libraries whose lower levels tell of themselves only.
fn filter(level: LogLevel) -> EnvFilter {
    let mut filter = level.as_str().to_owned();
    if level != LogLevel::Error && level != LogLevel::Trace {
        filter += ",hyper=warn,hyper_util=warn,rustls=warn,tower=warn";
    }
    if level != LogLevel::Trace {
        // It reports each failed request as an error; whoever sent the request
        // decides what a failure means and logs that.
        filter += ",kube_client::client::builder=off";
    }
    EnvFilter::new(filter)
}

/// Where metrics are collected; clones share it.
#[derive(Clone, Debug)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Installs the recorder that this process's metrics go to.
    ///
    /// # Errors
    /// When there is one already.
    pub fn install() -> Result<Self, Error> {
        let handle = builder()?.install_recorder()?;
        describe_counter!(RECONCILES, "Reconciles that ended, by result and reason.");
        describe_histogram!(
            RECONCILE_DURATION,
            Unit::Seconds,
            "How long reconciles took, by result."
        );
        describe_gauge!(MANAGED_STACKS, "AuthStacks that this replica knows.");
        Ok(Self { handle })
    }

    /// Renders the Prometheus text format, with what is only known when asked.
    #[must_use]
    pub fn render(&self, leads: bool) -> String {
        use std::fmt::Write as _;
        let mut text = self.handle.render();
        let mut gauge = |name: &str, help: &str, value: u64| {
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"
            );
        };
        gauge(LEADER, "1 while this replica leads.", leads.into());
        if let Some(bytes) = resident_memory() {
            gauge(MEMORY, "Resident memory size in bytes.", bytes);
        }
        text
    }

    /// Does what the recorder needs now and then so that its memory stays
    /// bounded when nobody scrapes. Never returns.
    pub async fn upkeep(self) {
        loop {
            tokio::time::sleep(Duration::from_secs(30)).await;
            self.handle.run_upkeep();
        }
    }

    /// Metrics that nothing is recorded to.
    #[cfg(test)]
    pub(crate) fn detached() -> Self {
        let handle = builder().unwrap().build_recorder().handle();
        Self { handle }
    }
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    let name = Matcher::Full(RECONCILE_DURATION.to_owned());
    PrometheusBuilder::new().set_buckets_for_metric(name, &BUCKETS)
}

/// Counts a reconcile that ended. `reason` is the condition's reason that it
/// ended with, from a fixed set: each is a time series.
pub fn record_reconcile(ok: bool, reason: &'static str, took: Duration) {
    let result = if ok { "ok" } else { "error" };
    counter!(RECONCILES, "result" => result, "reason" => reason).increment(1);
    histogram!(RECONCILE_DURATION, "result" => result).record(took);
}

/// Says how many AuthStacks this replica knows in a namespace, or in all.
pub fn set_managed_stacks(namespace: Option<&str>, count: u32) {
    gauge!(MANAGED_STACKS, "namespace" => namespace.unwrap_or("*").to_owned()).set(count);
}

/// Resident memory in bytes, from `/proc/self/status`, which unlike `statm`
/// does not count in pages of unknown size. None where there is no such file.
fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reconcile_is_counted_and_timed() {
        let recorder = builder().unwrap().build_recorder();
        let metrics = Metrics {
            handle: recorder.handle(),
        };
        metrics::with_local_recorder(&recorder, || {
            record_reconcile(true, "Ready", Duration::from_millis(20));
            record_reconcile(true, "Ready", Duration::from_millis(20));
            record_reconcile(false, "ApplyFailed", Duration::from_secs(2));
            set_managed_stacks(None, 7);
        });
        let text = metrics.render(true);
        for line in [
            r#"authstack_reconciles_total{result="ok",reason="Ready"} 2"#,
            r#"authstack_reconciles_total{result="error",reason="ApplyFailed"} 1"#,
            r#"authstack_reconcile_duration_seconds_bucket{result="ok",le="0.025"} 2"#,
            r#"authstack_reconcile_duration_seconds_count{result="error"} 1"#,
            "authstack_managed_stacks{namespace=\"*\"} 7",
            "authstack_leader 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn libraries_are_quieter_than_we_are() {
        let filter = filter(LogLevel::Debug).to_string();
        assert!(filter.contains("debug"), "{filter}");
        assert!(filter.contains("hyper=warn"), "{filter}");
    }
}
