//! Figures for Prometheus. [`FAMILIES`] is all of them; docs/operator-metrics.md
//! says the same to users, and tests hold it and what is rendered to it.

use std::fmt::Write as _;
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};

mod process;
mod stacks;

pub use stacks::Census;

/// A family of time series.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name, which ends in its unit, or in `_total`.
    pub name: &'static str,
    /// What Prometheus calls its type.
    pub kind: Kind,
    /// The names of its labels. Each has few values, all of them from the code.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// Prometheus' types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations in buckets.
    Histogram,
}

impl Kind {
    /// As Prometheus spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

const RECONCILES: &str = "authstack_reconciles_total";
const RECONCILE_DURATION: &str = "authstack_reconcile_duration_seconds";
const IN_FLIGHT: &str = "authstack_reconciles_in_flight";
const QUEUE_DEPTH: &str = "authstack_reconcile_queue_depth";
const WRITES: &str = "authstack_writes_total";
const REQUEST_DURATION: &str = "authstack_api_request_duration_seconds";
const WATCH_RESTARTS: &str = "authstack_watch_restarts_total";
const MANAGED_STACKS: &str = "authstack_managed_stacks";
const LEADER: &str = "authstack_leader";
const BUILD_INFO: &str = "authstack_build_info";
const CPU: &str = "process_cpu_seconds_total";
const MEMORY: &str = "process_resident_memory_bytes";

/// Every family that the operator has.
pub const FAMILIES: &[Family] = &[
    Family {
        name: RECONCILES,
        kind: Kind::Counter,
        labels: &["result", "reason"],
        help: "Reconciles that ended, by result (ok or error) and reason.",
    },
    Family {
        name: RECONCILE_DURATION,
        kind: Kind::Histogram,
        labels: &["result"],
        help: "How long reconciles took, in seconds, by result.",
    },
    Family {
        name: IN_FLIGHT,
        kind: Kind::Gauge,
        labels: &[],
        help: "Reconciles that have begun and not ended.",
    },
    Family {
        name: QUEUE_DEPTH,
        kind: Kind::Gauge,
        labels: &[],
        help: "Stacks that something happened to and whose reconcile has not begun.",
    },
    Family {
        name: WRITES,
        kind: Kind::Counter,
        labels: &["resource", "verb", "outcome"],
        help: "Writes to the API server, by resource, verb and outcome (ok, an HTTP status, timeout, unreachable, not_leading or abandoned).",
    },
    Family {
        name: REQUEST_DURATION,
        kind: Kind::Histogram,
        labels: &["verb"],
        help: "How long the API server took to begin its answers, in seconds, by verb.",
    },
    Family {
        name: WATCH_RESTARTS,
        kind: Kind::Counter,
        labels: &["kind", "cause"],
        help: "Watches that began anew, by kind of object and cause (error, or relist: everything was listed again).",
    },
    Family {
        name: MANAGED_STACKS,
        kind: Kind::Gauge,
        labels: &["condition", "status"],
        help: "AuthStacks that this replica controls, by the status of a condition.",
    },
    Family {
        name: LEADER,
        kind: Kind::Gauge,
        labels: &[],
        help: "1 while this replica leads.",
    },
    Family {
        name: BUILD_INFO,
        kind: Kind::Gauge,
        labels: &["version"],
        help: "Always 1; the version is its label.",
    },
    Family {
        name: CPU,
        kind: Kind::Counter,
        labels: &[],
        help: "CPU time of the process, user and system, in seconds.",
    },
    Family {
        name: MEMORY,
        kind: Kind::Gauge,
        labels: &[],
        help: "Resident memory of the process, in bytes.",
    },
];

/// Buckets in seconds: a reconcile that changes nothing takes milliseconds, one
/// that waits for a slow API server takes the client's timeouts.
const BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

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
    pub fn install() -> Result<Self, BuildError> {
        let handle = builder()?.install_recorder()?;
        describe();
        Ok(Self { handle })
    }

    /// Renders the Prometheus text format, with what is only known when asked.
    #[must_use]
    pub fn render(&self, leads: bool) -> String {
        let mut text = self.handle.render();
        append(&mut text, LEADER, "", u8::from(leads));
        let version = concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}");
        append(&mut text, BUILD_INFO, version, 1);
        if let Some(seconds) = process::cpu_seconds() {
            append(&mut text, CPU, "", seconds);
        }
        if let Some(bytes) = process::resident_memory() {
            append(&mut text, MEMORY, "", bytes);
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
    PrometheusBuilder::new().set_buckets(&BUCKETS)
}

fn describe() {
    for Family {
        name, kind, help, ..
    } in FAMILIES
    {
        match kind {
            Kind::Counter => describe_counter!(*name, *help),
            Kind::Gauge => describe_gauge!(*name, *help),
            Kind::Histogram => describe_histogram!(*name, *help),
        }
    }
}

fn append(text: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    for family in FAMILIES.iter().filter(|family| family.name == name) {
        let (help, kind) = (family.help, family.kind.as_str());
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{labels} {value}\n\n"
        );
    }
}

/// Counts a reconcile that ended. `reason` is the condition's reason that it
/// ended with, from a fixed set: each is a time series.
pub fn record_reconcile(ok: bool, reason: &'static str, took: Duration) {
    let result = if ok { "ok" } else { "error" };
    counter!(RECONCILES, "result" => result, "reason" => reason).increment(1);
    histogram!(RECONCILE_DURATION, "result" => result).record(took);
}

/// A reconcile that has begun, until it is dropped.
#[derive(Debug)]
pub struct InFlight(());

impl InFlight {
    /// Counts one that begins.
    #[must_use]
    pub fn begin() -> Self {
        gauge!(IN_FLIGHT).increment(1.0);
        Self(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!(IN_FLIGHT).decrement(1.0);
    }
}

/// Adds to the number of stacks that wait for their reconcile.
pub fn add_waiting(stacks: i32) {
    gauge!(QUEUE_DEPTH).increment(f64::from(stacks));
}

/// Records that a request was answered, or that nobody waits for it any more.
pub fn record_request(verb: &'static str, took: Duration) {
    histogram!(REQUEST_DURATION, "verb" => verb).record(took);
}

/// Counts a write.
pub fn record_write(resource: String, verb: &'static str, outcome: String) {
    counter!(WRITES, "resource" => resource, "verb" => verb, "outcome" => outcome).increment(1);
}

/// Makes the series of a kind's watches, so that their first restart shows as
/// an increase.
pub fn expect_watch(kind: &'static str) {
    for cause in ["error", "relist"] {
        counter!(WATCH_RESTARTS, "kind" => kind, "cause" => cause).increment(0);
    }
}

/// Counts a watch that failed and begins anew.
pub fn record_watch_error(kind: &'static str) {
    counter!(WATCH_RESTARTS, "kind" => kind, "cause" => "error").increment(1);
}

/// Counts a watch that had to list everything again.
pub fn record_relist(kind: &'static str) {
    counter!(WATCH_RESTARTS, "kind" => kind, "cause" => "relist").increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_rendered() {
        let recorder = builder().unwrap().build_recorder();
        let metrics = Metrics {
            handle: recorder.handle(),
        };
        let text = metrics::with_local_recorder(&recorder, || {
            describe();
            record_reconcile(true, "Ready", Duration::from_millis(20));
            record_reconcile(true, "Ready", Duration::from_millis(20));
            record_reconcile(false, "ApplyFailed", Duration::from_secs(2));
            add_waiting(3);
            add_waiting(-1);
            record_write("secrets".into(), "create", "409".into());
            record_request("create", Duration::from_millis(3));
            expect_watch("Secret");
            record_watch_error("Secret");
            let (first, _second) = (InFlight::begin(), InFlight::begin());
            drop(first);
            metrics.render(true)
        });
        for line in [
            r#"authstack_reconciles_total{result="ok",reason="Ready"} 2"#,
            r#"authstack_reconciles_total{result="error",reason="ApplyFailed"} 1"#,
            r#"authstack_reconcile_duration_seconds_bucket{result="ok",le="0.025"} 2"#,
            r#"authstack_reconcile_duration_seconds_count{result="error"} 1"#,
            "authstack_reconciles_in_flight 1",
            "authstack_reconcile_queue_depth 2",
            r#"authstack_writes_total{resource="secrets",verb="create",outcome="409"} 1"#,
            r#"authstack_api_request_duration_seconds_bucket{verb="create",le="0.005"} 1"#,
            r#"authstack_watch_restarts_total{kind="Secret",cause="error"} 1"#,
            r#"authstack_watch_restarts_total{kind="Secret",cause="relist"} 0"#,
            "authstack_leader 1",
            "# HELP authstack_leader 1 while this replica leads.",
            concat!(
                "authstack_build_info{version=\"",
                env!("CARGO_PKG_VERSION"),
                "\"} 1"
            ),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn the_documented_families_are_these() {
        let page = include_str!("../../docs/operator-metrics.md");
        let rows: Vec<_> = page
            .lines()
            .filter(|line| line.starts_with("| `") && line.matches(" | ").count() == 3)
            .collect();
        let expected: Vec<_> = FAMILIES
            .iter()
            .map(|family| {
                let labels: Vec<_> = family.labels.iter().map(|of| format!("`{of}`")).collect();
                let (name, kind, help) = (family.name, family.kind.as_str(), family.help);
                format!("| `{name}` | {kind} | {} | {help} |", labels.join(", "))
            })
            .collect();
        assert_eq!(rows, expected);
    }
}
