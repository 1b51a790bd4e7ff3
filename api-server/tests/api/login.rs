//! `POST /auth/login`

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use authstack_api::crypto::hasher::Limits;
use axum::http::StatusCode;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Answer, PASSWORD, Server, Setup, tokens};

async fn login(server: &Server, username: &str, password: &str) -> Answer {
    let body = json!({"username": username, "password": password});
    server.post("/auth/login").json(&body).send().await
}

#[sqlx::test(migrations = false)]
async fn a_login_answers_as_existing_clients_know_it(pool: PgPool) {
    let server = Server::new(pool).await;
    server.register("guybrush").await;
    let answer = server.login("guybrush").await;
    assert_eq!(answer.status, StatusCode::OK);
    let body = answer.json.as_object().unwrap();
    let members: Vec<_> = body.keys().map(String::as_str).collect();
    assert_eq!(
        members,
        ["access_token", "expires_in", "refresh_token", "token_type"]
    );
    assert_eq!(body["token_type"], "bearer");
    assert_eq!(body["expires_in"], 60);
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[sqlx::test(migrations = false)]
async fn the_tokens_say_what_they_should(pool: PgPool) {
    let server = Server::new(pool).await;
    let id = server.register("guybrush").await.json["id"].clone();
    let pair = server.login("guybrush").await.pair();
    let now = server.app.now();
    let access = tokens().read_access(&pair.access, now).unwrap();
    assert_eq!(json!(access.sub), id);
    assert_eq!(access.exp - access.iat, 60);
    assert_eq!(access.client_id, "authstack");
    let refresh = tokens().read_refresh(&pair.refresh, now).unwrap();
    assert_eq!(refresh.sid, access.sid);
    assert_eq!(refresh.ctr, 0);
    assert_eq!(refresh.exp - refresh.iat, 7 * 86_400);
    for text in ["guybrush", id.as_str().unwrap()] {
        let claims = serde_json::to_string(&refresh).unwrap();
        assert!(!claims.contains(text), "nothing about the person: {claims}");
    }
}

#[sqlx::test(migrations = false)]
async fn a_name_or_an_address_in_any_case_will_do(pool: PgPool) {
    let server = Server::new(pool).await;
    server.register("guybrush").await;
    for name in [
        "guybrush",
        "GuyBrush",
        "guybrush@example.com",
        "GUYBRUSH@Example.COM",
    ] {
        assert_eq!(
            login(&server, name, PASSWORD).await.status,
            StatusCode::OK,
            "{name}"
        );
    }
}

#[sqlx::test(migrations = false)]
async fn an_address_wins_over_an_imported_name_like_it(pool: PgPool) {
    let server = Server::new(pool).await;
    server.register("guybrush").await;
    server.register("lechuck").await;
    sqlx::query("UPDATE authstack.users SET username_key = 'guybrush@example.com' WHERE username = 'lechuck'")
        .execute(&server.pool)
        .await
        .unwrap();
    let pair = login(&server, "guybrush@example.com", PASSWORD)
        .await
        .pair();
    assert_eq!(server.me(&pair.access).await.json["username"], "guybrush");
    sqlx::query("DELETE FROM authstack.users WHERE username = 'guybrush'")
        .execute(&server.pool)
        .await
        .unwrap();
    let pair = login(&server, "guybrush@example.com", PASSWORD)
        .await
        .pair();
    assert_eq!(server.me(&pair.access).await.json["username"], "lechuck");
}

#[sqlx::test(migrations = false)]
async fn every_refusal_is_the_same(pool: PgPool) {
    let server = Server::new(pool).await;
    server.register("guybrush").await;
    server.register("disabled").await;
    sqlx::query("UPDATE authstack.users SET disabled_at = now() WHERE username = 'disabled'")
        .execute(&server.pool)
        .await
        .unwrap();
    let without_instance = |answer: &Answer| {
        answer.assert_problem(401, "login-refused");
        let mut body = answer.json.clone();
        body["instance"] = Value::Null;
        body
    };
    let reference = without_instance(&login(&server, "guybrush", "wrong password").await);
    let long = "x".repeat(2_000);
    for (username, password) in [
        ("nobody", PASSWORD),
        ("nobody@example.com", PASSWORD),
        ("disabled", PASSWORD),
        ("disabled", "wrong password"),
        ("guybrush", ""),
        ("guybrush", &*long),
        ("guybrush", "secure\0pass"),
        ("", PASSWORD),
        ("guy\0brush", PASSWORD),
        (&*long, PASSWORD),
    ] {
        let answer = login(&server, username, password).await;
        assert_eq!(without_instance(&answer), reference, "{username:?}");
        assert!(answer.cookies().is_empty());
    }
}

/// That every refusal costs a hash: none is much quicker than the one for a
/// wrong password. The statistics of it are another test's.
#[sqlx::test(migrations = false)]
async fn every_refusal_costs_a_hash(pool: PgPool) {
    let server = Server::new(pool).await;
    server.register("guybrush").await;
    server.register("disabled").await;
    sqlx::query("UPDATE authstack.users SET disabled_at = now() WHERE username = 'disabled'")
        .execute(&server.pool)
        .await
        .unwrap();
    let long = "x".repeat(2_000);
    let waits = async || {
        let metrics = server.probe("/metrics").send().await.text;
        let line = metrics
            .lines()
            .find(|line| line.starts_with("password_hash_wait_seconds_count"));
        line.unwrap()
            .rsplit(' ')
            .next()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    for (username, password) in [
        ("guybrush", "wrong password"),
        ("nobody", PASSWORD),
        ("nobody@example.com", PASSWORD),
        ("disabled", PASSWORD),
        ("guybrush", ""),
        ("guybrush", &*long),
        ("guy\0brush", PASSWORD),
    ] {
        let before = waits().await;
        login(&server, username, password)
            .await
            .assert_problem(401, "login-refused");
        assert_eq!(waits().await, before + 1, "{username:?}");
    }
}

#[sqlx::test(migrations = false)]
async fn bodies_of_the_wrong_shape_are_problems(pool: PgPool) {
    let server = Server::new(pool).await;
    for body in [
        json!({}),
        json!({"username": "x"}),
        json!({"username": 5, "password": "x"}),
        json!([]),
    ] {
        let answer = server.post("/auth/login").json(&body).send().await;
        answer.assert_problem(422, "validation");
    }
    let call = server
        .post("/auth/login")
        .header("content-type", "application/json");
    call.body("{")
        .send()
        .await
        .assert_problem(400, "malformed-json");
}

#[sqlx::test(migrations = false)]
async fn a_full_queue_is_a_prompt_503(pool: PgPool) {
    let setup = Setup {
        limits: Limits::new(1, 1),
        ..Setup::default()
    };
    let server = Server::with(pool, setup).await;
    server.register("guybrush").await;
    let logins = (0..16).map(|_| login(&server, "guybrush", PASSWORD));
    let answers = futures::future::join_all(logins).await;
    let (done, refused): (Vec<_>, Vec<_>) =
        answers.iter().partition(|a| a.status == StatusCode::OK);
    assert!(!done.is_empty());
    assert!(!refused.is_empty());
    for answer in refused {
        answer.assert_problem(503, "busy");
    }
    // Afterwards all is as before.
    assert_eq!(
        login(&server, "guybrush", PASSWORD).await.status,
        StatusCode::OK
    );
}

#[sqlx::test(migrations = false)]
async fn others_are_served_while_passwords_wait(pool: PgPool) {
    let setup = Setup {
        limits: Limits::new(1, 256),
        ..Setup::default()
    };
    let server = Server::with(pool, setup).await;
    let pair = server.tokens("guybrush").await;
    let done = Arc::new(AtomicUsize::new(0));
    let flood = tokio::spawn({
        let (server, done) = (server.clone(), Arc::clone(&done));
        async move {
            let logins = (0..40).map(async |_| {
                login(&server, "guybrush", PASSWORD).await;
                done.fetch_add(1, Ordering::Relaxed);
            });
            futures::future::join_all(logins).await
        }
    });
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    assert_eq!(server.me(&pair.access).await.status, StatusCode::OK);
    // One thread hashes; who waited behind forty passwords would see them done.
    let done = done.load(Ordering::Relaxed);
    assert!(done < 40, "{done} logins came first");
    flood.abort();
}

#[sqlx::test(migrations = false)]
async fn the_session_records_where_it_began(pool: PgPool) {
    let server = Server::with_flags(pool, &["--trusted-proxy-hops=1"]).await;
    server.register("guybrush").await;
    let body = json!({"username": "guybrush", "password": PASSWORD});
    let call = server.post("/auth/login").json(&body);
    let call = call.header("x-forwarded-for", "203.0.113.66, 198.51.100.7");
    call.header("user-agent", "monkey/2").send().await.pair();
    let row: (String, String) =
        sqlx::query_as("SELECT host(client_address), user_agent FROM authstack.sessions")
            .fetch_one(&server.pool)
            .await
            .unwrap();
    assert_eq!(row, ("198.51.100.7".to_owned(), "monkey/2".to_owned()));
}
