//! What probes and Prometheus ask: `/livez`, `/readyz` and `/metrics` on one
//! port.
//!
//! `/livez` fails when something that should move does not, so that the
//! kubelet restarts the process. Waiting for leadership or for work is
//! movement too: whatever runs says so with a [`Heartbeat`] while it runs, and
//! what does not run cannot be stuck. `/readyz` says that the API server has
//! been reached once and that the process is not about to leave.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use tokio::{net::TcpListener, time::Instant};

use crate::{leader::Leadership, metrics::Metrics};

/// The process's health; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health {
    liveness: Liveness,
    connected: Arc<AtomicBool>,
    draining: Arc<AtomicBool>,
}

impl Health {
    /// Where what runs registers its heartbeat.
    #[must_use]
    pub fn liveness(&self) -> &Liveness {
        &self.liveness
    }

    /// The API server has answered. Later trouble with it does not undo this:
    /// taking replicas out of service would not mend it.
    pub fn set_connected(&self) {
        self.connected.store(true, Ordering::Relaxed);
    }

    /// The process is leaving.
    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Why the process is not ready, if it is not.
    #[must_use]
    pub fn unready(&self) -> Option<&'static str> {
        if self.draining.load(Ordering::Relaxed) {
            Some("shutting down")
        } else if self.connected.load(Ordering::Relaxed) {
            None
        } else {
            Some("the API server has not answered yet")
        }
    }
}

/// Everything that must keep moving; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Liveness {
    beats: Arc<Mutex<BTreeMap<u64, Beat>>>,
    next: Arc<AtomicU64>,
}

#[derive(Clone, Debug)]
struct Beat {
    name: String,
    limit: Duration,
    last: Instant,
}

/// One thing that must keep moving. It is stuck when it has neither beaten nor
/// been dropped for longer than its limit.
#[derive(Debug)]
pub struct Heartbeat {
    liveness: Liveness,
    id: u64,
}

impl Liveness {
    /// Registers something that must beat, or be dropped, within `limit`. A
    /// loop beats once a turn; one piece of work is registered when it begins
    /// and dropped when it ends.
    #[must_use]
    pub fn watch(&self, name: impl Into<String>, limit: Duration) -> Heartbeat {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let beat = Beat {
            name: name.into(),
            limit,
            last: Instant::now(),
        };
        self.beats().insert(id, beat);
        Heartbeat {
            liveness: self.clone(),
            id,
        }
    }

    /// One line for each thing that is stuck; none when all is well.
    #[must_use]
    pub fn stuck(&self) -> Vec<String> {
        let now = Instant::now();
        self.beats()
            .values()
            .filter(|beat| now.duration_since(beat.last) > beat.limit)
            .map(|beat| {
                let silent = now.duration_since(beat.last).as_secs();
                let limit = beat.limit.as_secs();
                format!(
                    "{} has not moved for {silent} s (limit {limit} s)",
                    beat.name
                )
            })
            .collect()
    }

    fn beats(&self) -> MutexGuard<'_, BTreeMap<u64, Beat>> {
        // No code can panic while it holds the map.
        self.beats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heartbeat {
    /// Says that it moves.
    pub fn beat(&self) {
        if let Some(beat) = self.liveness.beats().get_mut(&self.id) {
            beat.last = Instant::now();
        }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.liveness.beats().remove(&self.id);
    }
}

#[derive(Clone)]
struct Endpoints {
    health: Health,
    metrics: Metrics,
    leadership: Leadership,
}

/// The routes.
pub fn router(health: Health, metrics: Metrics, leadership: Leadership) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(render))
        .with_state(Endpoints {
            health,
            metrics,
            leadership,
        })
}

/// Serves `router` until dropped.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(listener: TcpListener, router: Router) -> io::Result<()> {
    axum::serve(listener, router).await
}

async fn livez(State(endpoints): State<Endpoints>) -> impl IntoResponse {
    let stuck = endpoints.health.liveness.stuck();
    if stuck.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        let text = stuck.join("\n");
        tracing::error!(stuck = text, "the process is stuck");
        (StatusCode::INTERNAL_SERVER_ERROR, text + "\n")
    }
}

async fn readyz(State(endpoints): State<Endpoints>) -> impl IntoResponse {
    match endpoints.health.unready() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

async fn render(State(endpoints): State<Endpoints>) -> impl IntoResponse {
    let text = endpoints.metrics.render(endpoints.leadership.may_write());
    // https://prometheus.io/docs/instrumenting/exposition_formats/
    let format = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, format)], text)
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;
    use crate::leader::LeadershipSource;

    const LIMIT: Duration = Duration::from_secs(30);

    async fn ask(health: &Health, leads: bool, path: &str) -> (u16, String) {
        let source = LeadershipSource::new();
        if leads {
            source.lead_until(Instant::now() + LIMIT);
        }
        let router = router(health.clone(), Metrics::detached(), source.leadership());
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn idleness_and_standby_are_alive() {
        let health = Health::default();
        tokio::time::advance(LIMIT * 100).await;
        assert_eq!(ask(&health, false, "/livez").await, (200, "ok\n".into()));

        let heartbeat = health.liveness().watch("controller", LIMIT);
        drop(heartbeat);
        tokio::time::advance(LIMIT * 100).await;
        assert_eq!(ask(&health, false, "/livez").await.0, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_stops_turning_is_named_until_it_turns_again() {
        let health = Health::default();
        let heartbeat = health.liveness().watch("controller", LIMIT);
        let _other = health.liveness().watch("election", LIMIT * 3);
        tokio::time::advance(LIMIT).await;
        assert_eq!(ask(&health, true, "/livez").await.0, 200);
        tokio::time::advance(Duration::from_secs(1)).await;
        let (status, text) = ask(&health, true, "/livez").await;
        assert_eq!(status, 500);
        assert_eq!(text, "controller has not moved for 31 s (limit 30 s)\n");
        heartbeat.beat();
        assert_eq!(ask(&health, true, "/livez").await.0, 200);
    }

    #[tokio::test]
    async fn ready_from_the_first_answer_until_the_end() {
        let health = Health::default();
        let (status, text) = ask(&health, false, "/readyz").await;
        assert_eq!(status, 503);
        assert!(text.contains("has not answered"), "{text}");
        health.set_connected();
        assert_eq!(ask(&health, false, "/readyz").await.0, 200);
        health.set_draining();
        assert_eq!(ask(&health, false, "/readyz").await.0, 503);
    }

    #[tokio::test(start_paused = true)]
    async fn metrics_say_who_leads_and_how_much_memory_it_takes() {
        let health = Health::default();
        for (leads, line) in [(true, "authstack_leader 1"), (false, "authstack_leader 0")] {
            let (status, text) = ask(&health, leads, "/metrics").await;
            assert_eq!(status, 200);
            assert!(text.lines().any(|found| found == line), "{text}");
            let bytes = text
                .lines()
                .find_map(|line| line.strip_prefix("process_resident_memory_bytes "))
                .unwrap();
            assert!(bytes.parse::<f64>().unwrap() > 100_000.0, "{bytes}");
        }
    }
}
