//! Clients that send requests while something happens to a stack.

use std::time::Duration;

use http::Method;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::gateway::{Answer, Gateway, Tokens};

/// How many people there are. Each registers first, and an address may do that
/// twenty times an hour.
const PEOPLE: u64 = 5;
/// Milliseconds between two logins of a person: one in six seconds is allowed.
const LOGIN_EVERY: u64 = 6_100;
/// Milliseconds between two refreshes of a session: one a second is allowed.
const REFRESH_EVERY: u64 = 1_010;

/// Clients at work.
pub struct Load {
    stop: watch::Sender<bool>,
    clients: JoinSet<Outcome>,
}

/// What became of the clients' requests.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many were sent.
    pub sent: usize,
    /// What happened to those that were not answered as they should be.
    pub failures: Vec<String>,
}

impl Load {
    /// Starts clients as there are in life: programs that keep their connection
    /// and programs that do not, reading profiles; and people who log in, and
    /// whose browsers refresh, as often as limits let them.
    pub async fn start(gateway: &Gateway, tokens: &Tokens) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut clients = JoinSet::new();
        for gateway in [gateway.clone(), gateway.without_keepalive()] {
            let (tokens, stopped) = (tokens.clone(), stopped.clone());
            clients.spawn(repeat(stopped, 20, async move || gateway.me(&tokens).await));
        }
        for _ in 0..PEOPLE {
            let (person, at) = (gateway.register().await, gateway.clone());
            let browser = gateway.browser();
            Tokens::of(&browser.try_login(&person).await.unwrap());
            let login = async move || at.try_login(&person).await;
            clients.spawn(repeat(stopped.clone(), LOGIN_EVERY, login));
            // By cookie, each time with the token that the last answer set.
            let refresh = async move || {
                let request = browser.request(Method::POST, "/auth/refresh");
                browser.send(request).await
            };
            clients.spawn(repeat(stopped.clone(), REFRESH_EVERY, refresh));
            // Their requests shall not all come at once.
            tokio::time::sleep(Duration::from_millis(LOGIN_EVERY / PEOPLE)).await;
        }
        Self { stop, clients }
    }

    /// Stops the clients and says what became of their requests.
    pub async fn stop(self) -> Outcome {
        let _ = self.stop.send(true);
        let mut all = Outcome::default();
        for outcome in self.clients.join_all().await {
            all.sent += outcome.sent;
            all.failures.extend(outcome.failures);
        }
        all
    }
}

impl Outcome {
    /// Asserts that there was work and that nothing of it failed.
    #[track_caller]
    pub fn assert_flawless(&self, during: &str) {
        crate::figure(&format!(
            "{during}: {} requests, {} failed",
            self.sent,
            self.failures.len()
        ));
        assert!(self.sent > 50, "too few requests to say anything: {self:?}");
        assert!(self.failures.is_empty(), "{during}: {self:#?}");
    }
}

/// Sends requests one after the other, with pauses of some milliseconds.
async fn repeat(
    stopped: watch::Receiver<bool>,
    pause: u64,
    mut send: impl AsyncFnMut() -> Result<Answer, reqwest::Error>,
) -> Outcome {
    let start = std::time::Instant::now();
    let mut outcome = Outcome::default();
    while !*stopped.borrow() {
        let answered = send().await;
        outcome.sent += 1;
        let failure = match answered {
            Ok(answer) if answer.status == 200 => None,
            Ok(answer) => Some(format!("{} {}", answer.status, answer.body)),
            Err(error) => Some(format!("{error:?}")),
        };
        if let Some(failure) = failure {
            let at = start.elapsed().as_secs_f64();
            outcome.failures.push(format!("{at:.2} s: {failure}"));
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    outcome
}
