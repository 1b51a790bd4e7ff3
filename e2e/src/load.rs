//! Clients that send requests while something happens to a stack.

use std::time::{Duration, Instant};

use http::Method;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::gateway::{Answer, Gateway, Tokens, User};

/// How many people there are. Each registers first, and an address may do that
/// twenty times an hour.
const PEOPLE: u64 = 5;
/// Milliseconds between two logins of a person: one in six seconds is allowed.
const LOGIN_EVERY: u64 = 6_100;
/// Milliseconds between two refreshes of a session: one a second is allowed.
const REFRESH_EVERY: u64 = 1_010;
/// Milliseconds between two requests of a program.
const READ_EVERY: u64 = 20;

/// The clients of a stack as there are in life: programs that keep their
/// connection and programs that do not, reading profiles; and people who log
/// in, and whose browsers refresh, as often as limits let them.
pub struct Crowd {
    gateway: Gateway,
    program: Tokens,
    people: Vec<Person>,
}

struct Person {
    user: User,
    /// Signed in: it has cookies.
    browser: Gateway,
}

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
    /// Those that were asked to come back later: 503 with `Retry-After`.
    pub put_off: Vec<String>,
    /// What happened to the others that were not answered as they should be.
    pub failures: Vec<String>,
}

impl Crowd {
    /// Lets everybody register and sign in. Access tokens of the stack must
    /// outlive the test.
    pub async fn of(gateway: &Gateway) -> Self {
        let mut people = Vec::new();
        for _ in 0..PEOPLE {
            let browser = gateway.browser();
            let user = gateway.register().await;
            Tokens::of(&browser.try_login(&user).await.unwrap());
            people.push(Person { user, browser });
        }
        Self {
            program: gateway.login(&people[0].user).await,
            gateway: gateway.clone(),
            people,
        }
    }

    /// Starts them.
    pub fn work(&self) -> Load {
        let (stop, stopped) = watch::channel(false);
        let mut clients = JoinSet::new();
        for gateway in [self.gateway.clone(), self.gateway.without_keepalive()] {
            let tokens = self.program.clone();
            let read = async move || gateway.me(&tokens).await;
            clients.spawn(repeat(stopped.clone(), 0, READ_EVERY, read));
        }
        for (number, person) in (1..).zip(&self.people) {
            // Their requests shall not all come at once, nor those of one
            // person before it may log in again.
            let wait = LOGIN_EVERY * number / PEOPLE;
            let (user, at) = (person.user.clone(), self.gateway.clone());
            let login = async move || at.try_login(&user).await;
            clients.spawn(repeat(stopped.clone(), wait, LOGIN_EVERY, login));
            // By cookie, each time with the token that the last answer set.
            let browser = person.browser.clone();
            let refresh = async move || {
                let request = browser.request(Method::POST, "/auth/refresh");
                browser.send(request).await
            };
            clients.spawn(repeat(stopped.clone(), wait / 6, REFRESH_EVERY, refresh));
        }
        Load { stop, clients }
    }
}

impl Load {
    /// Stops the clients and says what became of their requests.
    pub async fn stop(self) -> Outcome {
        let _ = self.stop.send(true);
        let mut all = Outcome::default();
        for outcome in self.clients.join_all().await {
            all.sent += outcome.sent;
            all.put_off.extend(outcome.put_off);
            all.failures.extend(outcome.failures);
        }
        all
    }
}

impl Outcome {
    /// Asserts that there was work and that all of it was done at once.
    #[track_caller]
    pub fn assert_flawless(&self, during: &str) {
        self.report(during);
        let failed = self.put_off.len() + self.failures.len();
        assert_eq!(failed, 0, "{during}: {self:#?}");
    }

    /// Asserts that there was work, and that what was not done was put off.
    #[track_caller]
    pub fn assert_honest(&self, during: &str) {
        self.report(during);
        assert_eq!(self.failures, [""; 0], "{during}");
    }

    #[track_caller]
    fn report(&self, during: &str) {
        crate::figure(&format!(
            "{during}: {} requests, {} put off with Retry-After, {} failed",
            self.sent,
            self.put_off.len(),
            self.failures.len()
        ));
        assert!(self.sent > 50, "too few requests to say anything: {self:?}");
    }
}

/// Sends requests one after the other, the first after `wait` milliseconds, the
/// next ones with pauses of `pause`.
async fn repeat(
    mut stopped: watch::Receiver<bool>,
    wait: u64,
    pause: u64,
    mut send: impl AsyncFnMut() -> Result<Answer, reqwest::Error>,
) -> Outcome {
    let start = Instant::now();
    let mut outcome = Outcome::default();
    let mut rest = Duration::from_millis(wait);
    while tokio::time::timeout(rest, stopped.wait_for(|stop| *stop))
        .await
        .is_err()
    {
        let began = start.elapsed().as_secs_f64();
        let answered = send().await;
        let took = start.elapsed().as_secs_f64() - began;
        outcome.sent += 1;
        match answered {
            Ok(answer) if answer.status == 200 => {}
            Ok(answer) => {
                let put_off = answer.status == 503 && !answer.header("retry-after").is_empty();
                let text = format!(
                    "at {began:.2} s, for {took:.2} s: {} {}",
                    answer.status, answer.body
                );
                let list = if put_off {
                    &mut outcome.put_off
                } else {
                    &mut outcome.failures
                };
                list.push(text);
            }
            Err(error) => {
                let text = format!("at {began:.2} s, for {took:.2} s: {error:?}");
                outcome.failures.push(text);
            }
        }
        rest = Duration::from_millis(pause);
    }
    outcome
}
