//! A wall clock that jumps, as one does when a machine resumes or its time is
//! set: `libfaketime` between the server and the system.

use std::{fs, path::PathBuf, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{api::Api, postgres::Postgres};

/// Debian's package `faketime` puts it there.
fn library() -> Option<PathBuf> {
    let architectures = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    architectures
        .map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"))
        .find(|path| path.exists())
}

/// A server whose clock can be set.
struct Clock {
    directory: TempDir,
}

impl Clock {
    fn step(&self, offset: &str) {
        // By renaming: the server may read it at any moment.
        let new = self.directory.path().join("new");
        fs::write(&new, offset).unwrap();
        fs::rename(new, self.directory.path().join("offset")).unwrap();
    }

    async fn start(&self, postgres: &Postgres, library: &str) -> Api {
        let file = self.directory.path().join("offset");
        let settings = [
            ("LD_PRELOAD", library),
            ("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            // A step of the wall clock is none of the monotonic one.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("DONT_FAKE_MONOTONIC", "1"),
        ];
        let api = Api::start(&postgres.url(), &settings).await;
        api.ready().await;
        api
    }
}

async fn refresh(api: &Api, token: &str) -> (u16, Value) {
    let body = json!({"refresh_token": token});
    let answer = api.post("/auth/refresh", &body).await;
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap())
}

fn tokens(pair: &Value) -> (&str, &str) {
    let token = |name: &str| pair[name].as_str().unwrap();
    (token("access_token"), token("refresh_token"))
}

#[tokio::test]
async fn sessions_survive_steps_of_the_clock_and_the_grace_does_not_widen() {
    let Some(library) = library() else {
        assert!(
            std::env::var_os("CI").is_none(),
            "faketime is not installed"
        );
        eprintln!("skipped: faketime is not installed");
        return;
    };
    let postgres = Postgres::migrated().await;
    let clock = Clock {
        directory: TempDir::new().unwrap(),
    };
    clock.step("+0");
    let api = clock.start(&postgres, library.to_str().unwrap()).await;
    let (access, first) = api.tokens("guybrush").await;
    assert_eq!(api.me(&access).await.status(), 200);

    // Forward: access tokens are over before their time; sessions are not, and
    // what is issued from here on works.
    clock.step("+120");
    assert_eq!(api.me(&access).await.status(), 401, "the step was not seen");
    let (status, pair) = refresh(&api, &first).await;
    assert_eq!(status, 200, "{pair}");
    let (ahead, second) = tokens(&pair);
    assert_eq!(api.me(ahead).await.status(), 200);
    assert_eq!(pair["expires_in"], 60);
    api.login("guybrush").await;

    // Back: tokens from the future are no error, and none is immortal: its
    // session ends it.
    clock.step("-120");
    assert_eq!(api.me(ahead).await.status(), 200);
    let (later, other) = api.login("guybrush").await;
    assert_eq!(api.me(&later).await.status(), 200);
    let body = json!({"refresh_token": other});
    assert_eq!(api.post("/auth/logout", &body).await.status(), 204);
    assert_eq!(api.me(&later).await.status(), 401);

    // The grace is the database's: to this server only seconds before it began
    // have passed, and yet it is over.
    tokio::time::sleep(Duration::from_secs(11)).await;
    clock.step("-3600");
    let (status, _) = refresh(&api, &first).await;
    assert_eq!(status, 401, "a replay");
    let (status, _) = refresh(&api, second).await;
    assert_eq!(status, 401, "which ended the session");

    // Far ahead and back again: nothing panics, and logins work.
    for offset in ["+400d", "-400d", "+0"] {
        clock.step(offset);
        let (access, refresh_token) = api.login("guybrush").await;
        assert_eq!(api.me(&access).await.status(), 200, "{offset}");
        if offset == "+400d" {
            // This server believes that the session is over; it is right to
            // refuse rather than to trust a clock that it does not have.
            assert_eq!(refresh(&api, &refresh_token).await.0, 401);
        } else {
            assert_eq!(refresh(&api, &refresh_token).await.0, 200, "{offset}");
        }
    }
    let log = api.log().await;
    let mut refreshes = log.iter().filter(|line| line["route"] == "/auth/refresh");
    assert_eq!(refreshes.next_back().expect("a refresh")["status"], 200);
    for line in log {
        assert_ne!(line["message"], "panic", "{line}");
        if let Some(latency) = line["latency_ms"].as_f64() {
            assert!((0.0..60_000.0).contains(&latency), "{line}");
        }
    }
}
