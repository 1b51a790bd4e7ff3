//! The election against a scripted API server and a clock that is set by hand:
//! hours pass in milliseconds, and every failure comes when it is told to.

use std::sync::{Arc, Mutex};

use http::{Method, Request, Response};
use kube::client::Body;
use tokio::{sync::oneshot, task::JoinHandle};
use tower::BoxError;

use super::*;

/// What the server does with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Well,
    /// Answers 500.
    Failing,
    /// Never answers, and does nothing.
    Silent,
    /// Does what it is asked and never says so.
    Mute,
}

struct Server {
    mood: Mood,
    lease: Option<Lease>,
    version: u64,
    reads: u32,
    writes: Vec<Instant>,
}

type Shared = Arc<Mutex<Server>>;

fn server() -> Shared {
    Arc::new(Mutex::new(Server {
        mood: Mood::Well,
        lease: None,
        version: 0,
        reads: 0,
        writes: Vec::new(),
    }))
}

impl Server {
    fn answer(&mut self, method: &Method, body: &[u8]) -> (u16, Vec<u8>) {
        if *method == Method::GET {
            self.reads += 1;
            return match &self.lease {
                Some(lease) => (200, serde_json::to_vec(lease).unwrap()),
                None => (404, failure(404, "NotFound")),
            };
        }
        self.writes.push(Instant::now());
        let mut lease: Lease = serde_json::from_slice(body).unwrap();
        let current = self.lease.as_ref();
        let version = current.and_then(|lease| lease.metadata.resource_version.clone());
        match (method, &version) {
            (&Method::POST, Some(_)) => return (409, failure(409, "AlreadyExists")),
            (&Method::PUT, None) => return (404, failure(404, "NotFound")),
            (&Method::PUT, _) if lease.metadata.resource_version != version => {
                return (409, failure(409, "Conflict"));
            }
            _ => {}
        }
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        self.lease = Some(lease.clone());
        (200, serde_json::to_vec(&lease).unwrap())
    }

    fn edit(&mut self, change: impl FnOnce(&mut LeaseSpec)) {
        self.version += 1;
        let lease = self.lease.as_mut().unwrap();
        lease.metadata.resource_version = Some(self.version.to_string());
        change(lease.spec.as_mut().unwrap());
    }

    fn spec(&self) -> LeaseSpec {
        self.lease.clone().unwrap().spec.unwrap()
    }
}

fn failure(code: u16, reason: &str) -> Vec<u8> {
    serde_json::json!({"status": "Failure", "reason": reason, "message": reason, "code": code})
        .to_string()
        .into_bytes()
}

fn client(server: &Shared) -> Client {
    let server = Arc::clone(server);
    let service = tower::service_fn(move |request: Request<Body>| {
        let server = Arc::clone(&server);
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await?;
            let (mood, answer) = {
                let mut server = server.lock().unwrap();
                let answer = match server.mood {
                    Mood::Well | Mood::Mute => server.answer(&parts.method, &body),
                    Mood::Failing | Mood::Silent => (500, failure(500, "InternalError")),
                };
                (server.mood, answer)
            };
            if matches!(mood, Mood::Silent | Mood::Mute) {
                std::future::pending::<()>().await;
            }
            Response::builder()
                .status(answer.0)
                .body(Body::from(answer.1))
                .map_err(BoxError::from)
        }
    });
    Client::new(service, "default")
}

struct Candidate {
    leadership: Leadership,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
    health: Health,
}

impl Candidate {
    fn start(server: &Shared, name: &str) -> Self {
        let config = Config::new("system".into(), "operator".into(), name.into());
        let health = Health::default();
        let elector = Elector::new(client(server), config, health.clone());
        let leadership = elector.leadership();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(elector.run(async {
            let _ = stopped.await;
        }));
        Self {
            leadership,
            stop: Some(stop),
            task,
            health,
        }
    }

    async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.task.await.unwrap();
    }
}

async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

#[test]
fn the_default_timing_keeps_leaderships_apart() {
    let config = Config::new(String::new(), String::new(), String::new());
    assert!(config.renew_deadline + crate::client::WRITE_TIMEOUT < config.lease_duration);
    // A renewal that hangs, the pause, a read that takes half its time: the
    // second attempt still begins before the deadline.
    let second = config.renew_period
        + config.request_timeout
        + config.retry_period
        + config.request_timeout / 2;
    assert!(second < config.renew_deadline);
}

#[tokio::test(start_paused = true)]
async fn a_leader_writes_at_most_twelve_times_a_minute_and_a_standby_never() {
    let server = server();
    let leader = Candidate::start(&server, "a");
    leader.leadership.acquired().await;
    let standby = Candidate::start(&server, "b");
    seconds(3600).await;
    assert!(leader.leadership.may_write());
    assert!(!standby.leadership.may_write());
    let server = server.lock().unwrap();
    let minute = Duration::from_mins(1);
    for (index, begin) in server.writes.iter().enumerate() {
        let within = server.writes[index..]
            .iter()
            .take_while(|at| **at < *begin + minute);
        assert!(within.count() <= 12);
    }
    assert!(server.writes.len() > 600, "an hour of renewals");
    assert!(server.reads <= 3700, "{} reads", server.reads);
    let spec = server.spec();
    assert_eq!(spec.holder_identity.as_deref(), Some("a"));
    assert_eq!(spec.lease_transitions, Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_ends_the_leadership_at_the_deadline() {
    let server = server();
    let leader = Candidate::start(&server, "a");
    leader.leadership.acquired().await;
    seconds(60).await;
    server.lock().unwrap().mood = Mood::Silent;
    let last = *server.lock().unwrap().writes.last().unwrap();
    leader.leadership.lost().await;
    assert_eq!(last.elapsed(), Duration::from_secs(10));
    assert!(!leader.leadership.may_write());
    assert_eq!(leader.health.liveness().stuck(), Vec::<String>::new());

    seconds(3600).await;
    assert_eq!(leader.health.liveness().stuck(), Vec::<String>::new());
    server.lock().unwrap().mood = Mood::Well;
    leader.leadership.acquired().await;
    // Nobody else was there, so nothing changed hands.
    assert_eq!(server.lock().unwrap().spec().lease_transitions, Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_short_failure_costs_nothing() {
    let server = server();
    let leader = Candidate::start(&server, "a");
    leader.leadership.acquired().await;
    let lost = tokio::spawn(leader.leadership.lost());
    for mood in [Mood::Failing, Mood::Silent, Mood::Mute] {
        for begin in 0..12 {
            seconds(begin).await;
            server.lock().unwrap().mood = mood;
            seconds(2).await;
            server.lock().unwrap().mood = Mood::Well;
            seconds(10).await;
            assert!(leader.leadership.may_write(), "{mood:?} {begin}");
        }
    }
    assert!(!lost.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_was_lost_is_recognised() {
    let server = server();
    server.lock().unwrap().mood = Mood::Mute;
    let leader = Candidate::start(&server, "a");
    seconds(60).await;
    assert!(!leader.leadership.may_write(), "no answer, no leadership");
    server.lock().unwrap().mood = Mood::Well;
    seconds(10).await;
    assert!(leader.leadership.may_write());
    assert_eq!(server.lock().unwrap().spec().lease_transitions, Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_dead_leaders_lease_is_taken_after_its_whole_duration() {
    let server = server();
    let leader = Candidate::start(&server, "a");
    leader.leadership.acquired().await;
    let standby = Candidate::start(&server, "b");
    seconds(60).await;
    leader.task.abort();
    let last = *server.lock().unwrap().writes.last().unwrap();
    leader.leadership.lost().await;
    assert!(!standby.leadership.may_write());
    standby.leadership.acquired().await;
    // From when the standby saw the last renewal, at most one look later.
    let gap = last.elapsed().as_secs_f32();
    assert!((15.0..=16.1).contains(&gap), "{gap}");
    let spec = server.lock().unwrap().spec();
    assert_eq!(spec.holder_identity.as_deref(), Some("b"));
    assert_eq!(spec.lease_transitions, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_stops_hands_over_within_its_successors_next_look() {
    let server = server();
    let leader = Candidate::start(&server, "a");
    leader.leadership.acquired().await;
    let standby = Candidate::start(&server, "b");
    seconds(60).await;
    let begin = Instant::now();
    leader.stop().await;
    standby.leadership.acquired().await;
    assert!(begin.elapsed() <= Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_stopping_standby_leaves_the_lease_alone() {
    let server = server();
    let leader = Candidate::start(&server, "a");
    leader.leadership.acquired().await;
    let standby = Candidate::start(&server, "b");
    seconds(3).await;
    standby.stop().await;
    let spec = server.lock().unwrap().spec();
    assert_eq!(spec.holder_identity.as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn a_stolen_lease_is_given_way_to() {
    let server = server();
    let leader = Candidate::start(&server, "a");
    leader.leadership.acquired().await;
    seconds(60).await;
    server
        .lock()
        .unwrap()
        .edit(|spec| spec.holder_identity = Some("thief".into()));
    let begin = Instant::now();
    leader.leadership.lost().await;
    assert!(
        begin.elapsed() < Duration::from_secs(6),
        "{:?}",
        begin.elapsed()
    );
    // The thief never renews.
    leader.leadership.acquired().await;
    assert!(begin.elapsed() > Duration::from_secs(15));
    assert_eq!(server.lock().unwrap().spec().lease_transitions, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_is_made_again() {
    let server = server();
    let leader = Candidate::start(&server, "a");
    leader.leadership.acquired().await;
    server.lock().unwrap().lease = None;
    seconds(7).await;
    assert!(leader.leadership.may_write());
    let spec = server.lock().unwrap().spec();
    assert_eq!(spec.holder_identity.as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn what_others_put_on_the_lease_stays() {
    let server = server();
    let leader = Candidate::start(&server, "a");
    leader.leadership.acquired().await;
    let labels = [("team".to_owned(), "identity".to_owned())];
    {
        let mut server = server.lock().unwrap();
        server.edit(|_| {});
        let lease = server.lease.as_mut().unwrap();
        lease.metadata.labels = Some(labels.clone().into());
    }
    seconds(60).await;
    assert!(leader.leadership.may_write());
    let lease = server.lock().unwrap().lease.clone().unwrap();
    assert_eq!(lease.metadata.labels, Some(labels.into()));
}

#[tokio::test(start_paused = true)]
async fn a_refused_lease_is_not_asked_for_in_a_hurry() {
    let server = server();
    server.lock().unwrap().mood = Mood::Failing;
    let candidate = Candidate::start(&server, "a");
    let unready = candidate.health.unready();
    seconds(60).await;
    assert!(unready.is_some());
    assert!(!candidate.leadership.may_write());
    server.lock().unwrap().mood = Mood::Well;
    candidate.leadership.acquired().await;
    assert_eq!(candidate.health.unready(), None);
}
