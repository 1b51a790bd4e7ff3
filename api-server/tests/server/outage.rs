//! A database that is killed under load: prompt refusals while it is away,
//! service afterwards, and nothing lost that was acknowledged.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::{
    api::{Api, PASSWORD, eventually},
    postgres::Postgres,
};

/// Longer than a wait for a connection and a hash behind others, on a machine
/// that is busy; far shorter than a hang.
const PROMPT: Duration = Duration::from_secs(6);

/// What clients saw.
#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    registered: Mutex<Vec<String>>,
    /// Access tokens of sessions whose end was acknowledged.
    logged_out: Mutex<Vec<String>>,
    refused: AtomicUsize,
    disconnected: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

impl Seen {
    /// The status of an answer that was prompt, and is a proper refusal if it
    /// is one; the answer's body, if it is a success.
    async fn judge(&self, what: &str, call: reqwest::RequestBuilder) -> Option<(u16, Value)> {
        let started = Instant::now();
        let answer = match call.send().await {
            Ok(answer) => answer,
            Err(error) => {
                self.wrong.lock().unwrap().push(format!("{what}: {error}"));
                return None;
            }
        };
        let took = started.elapsed();
        let status = answer.status();
        let retry = answer.headers().contains_key("retry-after");
        let body: Value = answer.json().await.unwrap_or_default();
        if took > PROMPT {
            let text = format!("{what}: {status} after {took:?}");
            self.wrong.lock().unwrap().push(text);
        }
        let away = status == StatusCode::SERVICE_UNAVAILABLE;
        if away && body["database"] == "disconnected" {
            self.disconnected.fetch_add(1, Ordering::Relaxed);
        } else if away && retry && body["status"] == 503 {
            self.refused.fetch_add(1, Ordering::Relaxed);
        } else if !status.is_success() {
            let text = format!("{what}: {status} {body}");
            self.wrong.lock().unwrap().push(text);
        }
        status.is_success().then_some((status.as_u16(), body))
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn served(&self) -> usize {
        self.registered.lock().unwrap().len() + self.logged_out.lock().unwrap().len()
    }
}

fn take(list: &Mutex<Vec<String>>) -> Vec<String> {
    std::mem::take(&mut *list.lock().unwrap())
}

async fn register_for_ever(api: &Api, seen: &Seen, number: usize) {
    for attempt in 0.. {
        if !seen.goes_on() {
            return;
        }
        let name = format!("user-{number}-{attempt}");
        let account = json!({
            "username": name, "email": format!("{name}@example.com"), "password": PASSWORD,
        });
        let call = api.client.post(api.url("/auth/register")).json(&account);
        if seen.judge("register", call).await.is_some() {
            seen.registered.lock().unwrap().push(name);
        }
    }
}

async fn log_in_and_out_for_ever(api: &Api, seen: &Seen) {
    let credentials = json!({"username": "guybrush", "password": PASSWORD});
    while seen.goes_on() {
        let call = api.client.post(api.url("/auth/login")).json(&credentials);
        let Some((_, pair)) = seen.judge("login", call).await else {
            continue;
        };
        let body = json!({"refresh_token": pair["refresh_token"]});
        let call = api.client.post(api.url("/auth/logout")).json(&body);
        if seen.judge("logout", call).await.is_some() {
            let access = pair["access_token"].as_str().unwrap().to_owned();
            seen.logged_out.lock().unwrap().push(access);
        }
    }
}

async fn look_for_ever(api: &Api, seen: &Seen, access: &str) {
    while seen.goes_on() {
        let call = api.client.get(api.url("/auth/user/me")).bearer_auth(access);
        seen.judge("me", call).await;
        seen.judge("status", api.client.get(api.url("/auth/")))
            .await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn kill_and_start(api: &Api, seen: &Seen, postgres: &mut Postgres, access: &str) {
    for _ in 0..2 {
        let before = seen.served();
        eventually(Duration::from_secs(30), async || {
            (seen.served() >= before + 10).then_some(())
        })
        .await;
        let refused = || seen.refused.load(Ordering::Relaxed);
        let earlier = refused();
        postgres.kill();
        // Long enough for waits for a connection to run out.
        tokio::time::sleep(Duration::from_secs(3)).await;
        eventually(Duration::from_secs(30), async || {
            (refused() >= earlier + 6).then_some(())
        })
        .await;
        postgres.start().await;
        eventually(Duration::from_secs(10), async || {
            (api.me(access).await.status() == 200).then_some(())
        })
        .await;
    }
    let before = seen.served();
    eventually(Duration::from_secs(30), async || {
        (seen.served() >= before + 10).then_some(())
    })
    .await;
    seen.stop.store(true, Ordering::Relaxed);
}

#[tokio::test]
async fn killed_under_load_twice_it_is_prompt_refusals_and_nothing_lost() {
    let mut postgres = Postgres::migrated().await;
    let settings = [
        ("ACCESS_TOKEN_TTL", "1h"),
        ("DATABASE_MAX_CONNECTIONS", "4"),
    ];
    let api = Api::start(&postgres.url(), &settings).await;
    api.ready().await;
    let (access, _) = api.tokens("guybrush").await;
    let seen = Seen::default();
    tokio::join!(
        register_for_ever(&api, &seen, 0),
        register_for_ever(&api, &seen, 1),
        log_in_and_out_for_ever(&api, &seen),
        log_in_and_out_for_ever(&api, &seen),
        look_for_ever(&api, &seen, &access),
        look_for_ever(&api, &seen, &access),
        kill_and_start(&api, &seen, &mut postgres, &access),
    );

    let wrong = take(&seen.wrong);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen.disconnected.load(Ordering::Relaxed) > 0);
    let mut database = PgConnection::connect(&postgres.url()).await.unwrap();
    let found: Vec<String> = sqlx::query_scalar("SELECT username FROM authstack.users")
        .fetch_all(&mut database)
        .await
        .unwrap();
    for name in take(&seen.registered) {
        assert!(found.contains(&name), "{name} was lost");
    }
    for access in take(&seen.logged_out) {
        assert_eq!(api.me(&access).await.status(), 401, "a logout was lost");
    }
    let log = api.log().await;
    assert!(!log.iter().any(|line| line["level"] == "ERROR"), "{log:#?}");
}

/// A registration that is acknowledged outlives the server itself.
#[tokio::test]
async fn a_server_that_is_killed_loses_nothing_it_acknowledged() {
    let postgres = Postgres::migrated().await;
    let settings = [("ACCESS_TOKEN_TTL", "1h")];
    let mut api = Api::start(&postgres.url(), &settings).await;
    api.ready().await;
    let mut ended = Vec::new();
    for n in 0..5 {
        let (access, refresh) = api.tokens(&format!("user-{n}")).await;
        let body = json!({"refresh_token": refresh});
        assert_eq!(api.post("/auth/logout", &body).await.status(), 204);
        ended.push(access);
    }
    api.signal("KILL");
    api.ended(Duration::from_secs(5)).await;
    let api = Api::start(&postgres.url(), &settings).await;
    api.ready().await;
    for (n, access) in ended.iter().enumerate() {
        assert_eq!(api.me(access).await.status(), 401);
        let (access, _) = api.login(&format!("user-{n}")).await;
        assert_eq!(api.me(&access).await.status(), 200);
    }
}

/// Locks held elsewhere take every connection of the pool.
#[tokio::test]
async fn an_exhausted_pool_refuses_soon_and_recovers() {
    let postgres = Postgres::migrated().await;
    let settings = [
        ("ACCESS_TOKEN_TTL", "1h"),
        ("DATABASE_MAX_CONNECTIONS", "1"),
    ];
    let api = Api::start(&postgres.url(), &settings).await;
    api.ready().await;
    let (access, _) = api.tokens("guybrush").await;
    let mut other = PgConnection::connect(&postgres.url()).await.unwrap();
    let mut lock = other.begin().await.unwrap();
    sqlx::query("LOCK TABLE authstack.users")
        .execute(&mut *lock)
        .await
        .unwrap();

    let calls = (0..8).map(|_| async {
        let started = Instant::now();
        (api.me(&access).await, started.elapsed())
    });
    let (welcome, answers) = tokio::join!(api.get("/"), futures::future::join_all(calls));
    assert_eq!(welcome.status(), 200, "what needs no database is served");
    let mut soon = 0;
    for (answer, took) in answers {
        assert_eq!(answer.status(), 503);
        assert!(answer.headers().contains_key("retry-after"));
        assert!(took < Duration::from_secs(10), "{took:?}");
        // Sooner than the statement that holds the connection ends.
        soon += usize::from(took < Duration::from_secs(4));
    }
    assert!(soon >= 6, "{soon} were told soon");
    // The database was told too: nobody waits there for the lock any more.
    let mut observer = PgConnection::connect(&postgres.url()).await.unwrap();
    eventually(Duration::from_secs(6), async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE application_name = 'authstack-api' AND wait_event_type = 'Lock'";
        let waiting: i64 = sqlx::query_scalar(waiting)
            .fetch_one(&mut observer)
            .await
            .unwrap();
        (waiting == 0).then_some(())
    })
    .await;
    lock.rollback().await.unwrap();
    for _ in 0..5 {
        assert_eq!(api.me(&access).await.status(), 200);
    }
}
