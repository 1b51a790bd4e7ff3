//! Changes to an account while others use it, on two servers over one
//! database. Whichever comes first, nothing survives that should not.

use axum::http::{Method, StatusCode};
use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::support::{Answer, PASSWORD, Pair, Server};

const NEW: &str = "look behind you";
const LIVE: &str = "SELECT count(*) FROM authstack.sessions WHERE revoked_at IS NULL";

async fn two(pool: PgPool) -> [Server; 2] {
    [Server::new(pool.clone()).await, Server::new(pool).await]
}

async fn change_password(server: Server, pair: Pair, body: Value) -> Answer {
    let call = server.post("/auth/user/me/password");
    call.bearer(&pair.access).json(&body).send().await
}

async fn delete(server: Server, pair: Pair) -> Answer {
    let call = server.call(Method::DELETE, "/auth/user/me");
    let body = json!({"current_password": PASSWORD});
    call.bearer(&pair.access).json(&body).send().await
}

/// Refreshes until that is refused, and gives every pair that came of it. By
/// the time that this returns it is at it.
async fn refreshing_on_and_on(server: Server, mut pair: Pair) -> JoinHandle<Vec<Pair>> {
    let (begun, begins) = oneshot::channel();
    let task = tokio::spawn(async move {
        let mut begun = Some(begun);
        let mut pairs = vec![pair.clone()];
        loop {
            let answer = server.refresh(&pair.refresh).await;
            if answer.status != StatusCode::OK {
                answer.assert_problem(401, "invalid-token");
                return pairs;
            }
            pair = answer.pair();
            pairs.push(pair.clone());
            if let Some(begun) = begun.take() {
                begun.send(()).unwrap();
            }
        }
    });
    begins.await.unwrap();
    task
}

#[sqlx::test(migrations = false)]
async fn refreshing_does_not_outrun_another_password(pool: PgPool) {
    let servers = two(pool).await;
    let other = servers[0].tokens("guybrush").await;
    let mine = servers[0].login("guybrush").await.pair();
    let refreshing = refreshing_on_and_on(servers[1].clone(), other).await;
    let body = json!({"current_password": PASSWORD, "new_password": NEW});
    let changed = change_password(servers[0].clone(), mine.clone(), body).await;
    assert_eq!(changed.status, StatusCode::NO_CONTENT);
    let pairs = refreshing.await.unwrap();
    for pair in pairs.iter().rev().take(3) {
        let answer = servers[1].me(&pair.access).await;
        answer.assert_problem(401, "invalid-token");
        let answer = servers[1].refresh(&pair.refresh).await;
        answer.assert_problem(401, "invalid-token");
    }
    assert_eq!(servers[1].me(&mine.access).await.status, StatusCode::OK);
    assert_eq!(servers[0].count(LIVE).await, 1);
}

#[sqlx::test(migrations = false)]
async fn no_login_with_the_old_password_outlives_the_change(pool: PgPool) {
    let servers = two(pool).await;
    let mine = servers[0].tokens("guybrush").await;
    let logins = (0..12).map(|n| {
        let server = servers[n % 2].clone();
        tokio::spawn(async move { server.login("guybrush").await })
    });
    let logins: Vec<_> = logins.collect();
    let body = json!({"current_password": PASSWORD, "new_password": NEW});
    let changed = change_password(servers[0].clone(), mine.clone(), body).await;
    assert_eq!(changed.status, StatusCode::NO_CONTENT);
    for answer in join_all(logins).await {
        let answer = answer.unwrap();
        if answer.status == StatusCode::OK {
            let answer = servers[1].me(&answer.pair().access).await;
            answer.assert_problem(401, "invalid-token");
        } else {
            answer.assert_problem(401, "login-refused");
        }
    }
    assert_eq!(servers[0].me(&mine.access).await.status, StatusCode::OK);
    assert_eq!(servers[0].count(LIVE).await, 1);
}

#[sqlx::test(migrations = false)]
async fn of_two_changes_of_the_password_one_is_made(pool: PgPool) {
    let servers = two(pool).await;
    servers[0].register("guybrush").await;
    for keep in [true, false] {
        // Both before either change, which makes the password another.
        let mut pairs = Vec::new();
        for _ in 0..2 {
            pairs.push(servers[0].login("guybrush").await.pair());
        }
        let mut calls = Vec::new();
        for ((server, new), pair) in servers.iter().zip([NEW, "the second best"]).zip(pairs) {
            let body = json!({
                "current_password": PASSWORD, "new_password": new, "keep_sessions": keep,
            });
            let call = change_password(server.clone(), pair, body);
            calls.push(tokio::spawn(async move { (new, call.await) }));
        }
        let answers = join_all(calls).await.into_iter().map(Result::unwrap);
        let (won, lost): (Vec<_>, Vec<_>) =
            answers.partition(|(_, answer)| answer.status == StatusCode::NO_CONTENT);
        assert_eq!((won.len(), lost.len()), (1, 1));
        // Unless it was kept, the session that asked is over too.
        match lost[0].1.status.as_u16() {
            401 if !keep => lost[0].1.assert_problem(401, "invalid-token"),
            _ => lost[0].1.assert_problem(403, "wrong-password"),
        }
        for (new, expected) in [(won[0].0, 200), (lost[0].0, 401)] {
            let body = json!({"username": "guybrush", "password": new});
            let answer = servers[0].post("/auth/login").json(&body).send().await;
            assert_eq!(answer.status.as_u16(), expected);
            if expected == 200 {
                let body = json!({"current_password": new, "new_password": PASSWORD});
                change_password(servers[0].clone(), answer.pair(), body).await;
            }
        }
    }
}

#[sqlx::test(migrations = false)]
async fn refreshing_does_not_outrun_the_deletion(pool: PgPool) {
    let servers = two(pool).await;
    let other = servers[0].tokens("guybrush").await;
    let mine = servers[0].login("guybrush").await.pair();
    let refreshing = refreshing_on_and_on(servers[1].clone(), other).await;
    let deleted = delete(servers[0].clone(), mine).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    let pairs = refreshing.await.unwrap();
    let answer = servers[1].me(&pairs.last().unwrap().access).await;
    answer.assert_problem(401, "invalid-token");
    let sessions = "SELECT count(*) FROM authstack.sessions";
    assert_eq!(servers[0].count(sessions).await, 0);
}

#[sqlx::test(migrations = false)]
async fn no_login_outlives_the_deletion(pool: PgPool) {
    let servers = two(pool).await;
    let mine = servers[0].tokens("guybrush").await;
    let logins = (0..12).map(|n| {
        let server = servers[n % 2].clone();
        tokio::spawn(async move { server.login("guybrush").await })
    });
    let logins: Vec<_> = logins.collect();
    let deleted = delete(servers[0].clone(), mine).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    for answer in join_all(logins).await {
        let answer = answer.unwrap();
        if answer.status == StatusCode::OK {
            let answer = servers[1].me(&answer.pair().access).await;
            answer.assert_problem(401, "invalid-token");
        } else {
            answer.assert_problem(401, "login-refused");
        }
    }
    let sessions = "SELECT count(*) FROM authstack.sessions";
    assert_eq!(servers[0].count(sessions).await, 0);
}

#[sqlx::test(migrations = false)]
async fn of_ten_deletions_one_is_made(pool: PgPool) {
    let servers = two(pool).await;
    let pair = servers[0].tokens("guybrush").await;
    let calls = (0..10).map(|n| tokio::spawn(delete(servers[n % 2].clone(), pair.clone())));
    let answers = join_all(calls).await.into_iter().map(Result::unwrap);
    let (done, late): (Vec<_>, Vec<_>) =
        answers.partition(|answer| answer.status == StatusCode::NO_CONTENT);
    assert_eq!(done.len(), 1);
    for answer in late {
        answer.assert_problem(401, "invalid-token");
    }
    let events = "SELECT count(*) FROM authstack.audit WHERE action = 'account_delete'";
    assert_eq!(servers[0].count(events).await, 1);
}

#[sqlx::test(migrations = false)]
async fn refreshing_does_not_outrun_logging_out_everywhere(pool: PgPool) {
    let servers = two(pool).await;
    let other = servers[0].tokens("guybrush").await;
    let mine = servers[0].login("guybrush").await.pair();
    let refreshing = refreshing_on_and_on(servers[1].clone(), other).await;
    let calls = (0..6).map(|n| {
        let call = servers[n % 2].post("/auth/logout/all").bearer(&mine.access);
        tokio::spawn(async move { call.send().await.status.as_u16() })
    });
    let answers = join_all(calls).await.into_iter().map(Result::unwrap);
    let answers: Vec<_> = answers.collect();
    assert_eq!(answers.iter().filter(|status| **status == 204).count(), 1);
    assert_eq!(answers.iter().filter(|status| **status == 401).count(), 5);
    let last = refreshing.await.unwrap().pop().unwrap();
    let answer = servers[0].me(&last.access).await;
    answer.assert_problem(401, "invalid-token");
    assert_eq!(servers[0].count(LIVE).await, 0);
}
