//! A database that comes late, goes away and comes back.

use std::{fs, process::Stdio, time::Duration};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    api::{Api, command, eventually, read_all, run},
    postgres::{PASSWORD, Postgres},
};

#[tokio::test]
async fn killed_and_restarted_it_is_503s_and_then_service() {
    let mut postgres = Postgres::migrated().await;
    let api = Api::start(&postgres.url(), &[]).await;
    api.ready().await;
    let (access, refresh) = api.tokens("guybrush").await;
    // Several connections, all of which are about to die.
    let calls = (0..16).map(|_| api.me(&access));
    for answer in futures::future::join_all(calls).await {
        assert_eq!(answer.status(), 200);
    }

    postgres.kill();
    for _ in 0..10 {
        let answer = api.me(&access).await;
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert!(answer.headers().contains_key("retry-after"));
        let problem: Value = answer.json().await.unwrap();
        assert!(
            problem["type"]
                .as_str()
                .unwrap()
                .ends_with("/problems/unavailable")
        );
    }
    let status: Value = api.get("/auth/").await.json().await.unwrap();
    assert_eq!(status["database"], "disconnected");
    assert_eq!(api.probe("/readyz").await, 200, "the API says so itself");
    assert_eq!(api.probe("/livez").await, 200);

    postgres.start().await;
    eventually(Duration::from_secs(10), async || {
        let status = api.me(&access).await.status();
        assert!(status == 200 || status == 503, "{status}");
        (status == 200).then_some(())
    })
    .await;
    // Every connection is a new one now: nothing fails any more.
    for _ in 0..20 {
        assert_eq!(api.me(&access).await.status(), 200);
    }
    let body = serde_json::json!({"refresh_token": refresh});
    assert_eq!(api.post("/auth/refresh", &body).await.status(), 200);
    api.login("guybrush").await;
}

#[tokio::test]
async fn the_runtime_role_is_enough_to_serve() {
    use sqlx::{Connection, PgConnection};
    let mut postgres = Postgres::prepare();
    postgres.start().await;
    let mut admin = eventually(Duration::from_secs(20), async || {
        PgConnection::connect(&postgres.url()).await.ok()
    })
    .await;
    let create = "CREATE ROLE runtime LOGIN PASSWORD 'secret'";
    sqlx::query(create).execute(&mut admin).await.unwrap();
    let url = postgres.url();
    let variables = [("DATABASE_URL", url.as_str()), ("RUNTIME_ROLE", "runtime")];
    assert!(run(&["migrate"], &variables).status.success());

    let url = format!(
        "postgres://runtime:secret@127.0.0.1:{}/postgres",
        postgres.port
    );
    let api = Api::start(&url, &[]).await;
    api.ready().await;
    let (_, refresh) = api.tokens("guybrush").await;
    let body = serde_json::json!({"refresh_token": refresh});
    let answer: Value = api.post("/auth/refresh", &body).await.json().await.unwrap();
    let access = answer["access_token"].as_str().unwrap();
    assert_eq!(api.me(access).await.status(), 200);
    let logout = api.client.post(api.url("/auth/logout")).bearer_auth(access);
    assert_eq!(logout.send().await.unwrap().status(), 204);
    assert_eq!(api.me(access).await.status(), 401);
}

#[tokio::test]
async fn a_server_that_is_first_waits_for_its_database() {
    let mut postgres = Postgres::prepare();
    let api = Api::start(&postgres.url(), &[]).await;
    assert_eq!(api.probe("/readyz").await, 503);
    postgres.start().await;
    assert_eq!(api.probe("/readyz").await, 503, "there is no schema yet");
    let output = run(&["migrate"], &[("DATABASE_URL", &postgres.url())]);
    assert!(output.status.success());
    api.ready().await;
    api.tokens("guybrush").await;
    let port = api.metrics_port.to_string();
    let healthy = run(&["healthcheck"], &[("METRICS_PORT", &port)]);
    assert!(
        healthy.status.success(),
        "{}",
        String::from_utf8_lossy(&healthy.stderr)
    );
}

#[tokio::test]
async fn migrate_waits_and_takes_the_password_from_a_file() {
    let mut postgres = Postgres::prepare();
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("password");
    fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let url = postgres.url_without_password();
    let variables = [
        ("DATABASE_URL", url.as_str()),
        ("DATABASE_PASSWORD_FILE", file.to_str().unwrap()),
    ];
    let mut migration = command(&["migrate"], &variables, directory.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(migration.try_wait().unwrap().is_none(), "it waits");
    postgres.start().await;
    let status = eventually(Duration::from_secs(20), async || {
        migration.try_wait().unwrap()
    })
    .await;
    let log = read_all(migration.stdout.take().unwrap());
    assert!(
        status.success(),
        "{log}{}",
        read_all(migration.stderr.take().unwrap())
    );
    assert!(log.contains("waiting for the database"), "{log}");
    assert!(!log.contains(PASSWORD), "{log}");
}

#[tokio::test]
async fn migrate_gives_up_with_one_line() {
    let url = crate::api::NO_DATABASE;
    let variables = [("DATABASE_URL", url), ("MIGRATE_TIMEOUT", "1s")];
    let output = run(&["migrate"], &variables);
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("did not become available"), "{text}");
}

#[tokio::test]
async fn migrate_says_once_that_it_waits_for_a_role() {
    let postgres = Postgres::migrated().await;
    let url = postgres.url();
    let variables = [
        ("DATABASE_URL", url.as_str()),
        ("RUNTIME_ROLE", "nobody"),
        ("MIGRATE_TIMEOUT", "2s"),
    ];
    let output = run(&["migrate"], &variables);
    assert!(!output.status.success());
    let log = String::from_utf8(output.stdout).unwrap();
    assert_eq!(log.matches("waiting for the role").count(), 1, "{log}");
    assert!(log.contains("\"nobody\""), "{log}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("the role \"nobody\""), "{text}");
}
