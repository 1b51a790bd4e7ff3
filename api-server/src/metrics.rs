//! Figures for Prometheus.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::{crypto::hasher::Load, store::PoolUse};

mod limits;
mod reloads;
mod tls;

pub use reloads::Reloadable;
pub use tls::HandshakeFailure;

/// From half a millisecond, a quick `/auth/user/me`, to ten seconds.
const SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

const REQUESTS: &str = "http_request_duration_seconds";
const HASH_WAIT: &str = "password_hash_wait_seconds";
const HASH_QUEUE: &str = "password_hash_queue_depth";
const HASH_RUNNING: &str = "password_hash_running";
const POOL: &str = "database_pool_connections";
const POOL_MAX: &str = "database_pool_connections_max";

static METADATA: Metadata<'static> = Metadata::new("authstack_api", Level::INFO, None);

/// A registry of its own, not the process's: tests have several servers.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

/// Records how long passwords waited for a thread.
pub struct HashWait(Histogram);

impl HashWait {
    /// Records one wait.
    pub fn record(&self, waited: Duration) {
        self.0.record(waited);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        let builder = PrometheusBuilder::new();
        // Fails for an empty list only.
        let builder = builder.set_buckets(&SECONDS).unwrap_or_default();
        let recorder = builder.build_recorder();
        describe(&recorder);
        let handle = recorder.handle();
        Self { recorder, handle }
    }

    /// Records one answered request. `route` is the template, never the path,
    /// so that there are as many series as routes.
    pub fn request(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let labels = vec![
            Label::from_static_parts("method", method),
            Label::new("route", route.to_owned()),
            Label::new("status", status.to_string()),
        ];
        let key = Key::from_parts(REQUESTS, labels);
        self.recorder
            .register_histogram(&key, &METADATA)
            .record(took);
    }

    /// Records how long passwords wait.
    #[must_use]
    pub fn hash_wait(&self) -> HashWait {
        let key = Key::from_static_name(HASH_WAIT);
        HashWait(self.recorder.register_histogram(&key, &METADATA))
    }

    /// Everything, in Prometheus' text format, with the present state of the
    /// queue and the pool.
    #[must_use]
    pub fn render(&self, hashing: Load, pool: PoolUse) -> String {
        self.gauge(&Key::from_static_name(HASH_QUEUE))
            .set(count(hashing.waiting));
        self.gauge(&Key::from_static_name(HASH_RUNNING))
            .set(count(hashing.running));
        for (state, count) in [
            ("idle", pool.idle),
            ("used", pool.open.saturating_sub(pool.idle)),
        ] {
            let label = vec![Label::from_static_parts("state", state)];
            self.gauge(&Key::from_parts(POOL, label))
                .set(f64::from(count));
        }
        self.gauge(&Key::from_static_name(POOL_MAX))
            .set(f64::from(pool.max));
        self.handle.render()
    }

    /// Folds what was recorded into the histograms. Without it, and without
    /// anybody who scrapes, single observations would pile up.
    pub fn fold(&self) {
        self.handle.run_upkeep();
    }

    fn counter(&self, name: &'static str, labels: Vec<Label>) -> Counter {
        let key = Key::from_parts(name, labels);
        self.recorder.register_counter(&key, &METADATA)
    }

    fn gauge(&self, key: &Key) -> Gauge {
        self.recorder.register_gauge(key, &METADATA)
    }
}

/// Counts of jobs are far below where this would round.
fn count(jobs: usize) -> f64 {
    f64::from(u32::try_from(jobs).unwrap_or(u32::MAX))
}

fn describe(recorder: &PrometheusRecorder) {
    for (name, text) in [
        (
            REQUESTS,
            "How long requests took, by route template and status.",
        ),
        (HASH_WAIT, "How long passwords waited for a hashing thread."),
        limits::QUERY,
    ] {
        recorder.describe_histogram(KeyName::from(name), Some(Unit::Seconds), text.into());
    }
    for (name, text) in [
        (HASH_QUEUE, "Passwords that wait for a hashing thread."),
        (HASH_RUNNING, "Passwords that are being hashed."),
        (
            POOL,
            "Open database connections, by whether they are in use.",
        ),
        (POOL_MAX, "The most database connections that may be open."),
        limits::LIVE,
        tls::EXPIRY,
    ]
    .into_iter()
    .chain(reloads::GAUGES)
    {
        recorder.describe_gauge(KeyName::from(name), None, text.into());
    }
    let counters = limits::COUNTERS.into_iter().chain(reloads::COUNTERS);
    for (name, text) in counters.chain([tls::FAILURES]) {
        recorder.describe_counter(KeyName::from(name), None, text.into());
    }
}
