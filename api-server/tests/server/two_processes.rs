//! Two servers as two processes over one database, as replicas are.

use std::{collections::HashSet, time::Duration};

use futures::future::join_all;
use reqwest::Response;
use serde_json::{Value, json};

use crate::{
    api::{Api, PASSWORD, eventually},
    postgres::Postgres,
};

async fn two(postgres: &Postgres) -> [Api; 2] {
    let url = postgres.url();
    let servers = [Api::start(&url, &[]).await, Api::start(&url, &[]).await];
    for server in &servers {
        server.ready().await;
    }
    servers
}

/// Asks until there is an answer. On a busy machine some of many that come at
/// once wait too long for a connection: they are told so (503), got nothing, and
/// come again.
async fn insist(server: &Api, path: &str, body: &Value) -> Response {
    eventually(Duration::from_secs(30), async || {
        let answer = server.post(path, body).await;
        (answer.status() != 503).then_some(answer)
    })
    .await
}

#[tokio::test]
async fn fifty_refreshes_of_one_token_at_both_give_one_successor() {
    let postgres = Postgres::migrated().await;
    let servers = two(&postgres).await;
    let (_, refresh) = servers[0].tokens("guybrush").await;
    let body = json!({"refresh_token": refresh});
    let calls = (0..50).map(|n| insist(&servers[n % 2], "/auth/refresh", &body));
    let mut successors = HashSet::new();
    let mut access = HashSet::new();
    for answer in join_all(calls).await {
        assert_eq!(answer.status(), 200);
        let pair: Value = answer.json().await.unwrap();
        successors.insert(pair["refresh_token"].as_str().unwrap().to_owned());
        access.insert(pair["access_token"].as_str().unwrap().to_owned());
    }
    assert_eq!(successors.len(), 1);
    assert!(!successors.contains(&refresh));
    assert_eq!(access.len(), 50, "each got an access token of its own");
    for (n, token) in access.iter().enumerate() {
        assert_eq!(servers[(n + 1) % 2].me(token).await.status(), 200);
    }
    // The session lives on, with that successor.
    let body = json!({"refresh_token": successors.iter().next().unwrap()});
    assert_eq!(servers[1].post("/auth/refresh", &body).await.status(), 200);
}

#[tokio::test]
async fn twenty_registrations_of_one_name_at_both_give_one_user() {
    let postgres = Postgres::migrated().await;
    let servers = two(&postgres).await;
    let calls = (0..20).map(|n| {
        // The same name in other letters, and always another address.
        let name = if n % 3 == 0 { "Guybrush" } else { "guybrush" };
        let account = json!({
            "username": name, "email": format!("g{n}@example.com"), "password": PASSWORD,
        });
        let server = &servers[n % 2];
        async move {
            let answer = insist(server, "/auth/register", &account).await;
            answer.status().as_u16()
        }
    });
    let mut statuses = join_all(calls).await;
    statuses.sort_unstable();
    assert_eq!(statuses[0], 201);
    assert_eq!(statuses[1..], [409; 19]);
    servers[1].login("guybrush").await;
}

#[tokio::test]
async fn a_logout_at_one_acts_at_once_at_the_other() {
    let postgres = Postgres::migrated().await;
    let servers = two(&postgres).await;
    servers[0].tokens("guybrush").await;
    for n in 0..10 {
        let (here, there) = (&servers[n % 2], &servers[(n + 1) % 2]);
        let (access, refresh) = here.login("guybrush").await;
        assert_eq!(there.me(&access).await.status(), 200);
        let body = json!({"refresh_token": refresh});
        assert_eq!(here.post("/auth/logout", &body).await.status(), 204);
        assert_eq!(there.me(&access).await.status(), 401);
        assert_eq!(there.post("/auth/refresh", &body).await.status(), 401);
    }
}
