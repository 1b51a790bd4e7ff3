//! Many at once, on two servers over one database.

use std::collections::HashSet;

use authstack_api::store::{Store, migrate::migrate};
use axum::http::StatusCode;
use futures::future::join_all;
use sqlx::PgPool;

use crate::support::Server;

#[sqlx::test(migrations = false)]
async fn fifty_refreshes_of_one_token_give_one_successor(pool: PgPool) {
    let servers = [Server::new(pool.clone()).await, Server::new(pool).await];
    let first = servers[0].tokens("guybrush").await;
    let calls = (0..50).map(|n| {
        let (server, token) = (servers[n % 2].clone(), first.refresh.clone());
        tokio::spawn(async move { server.refresh(&token).await.pair() })
    });
    let pairs: Vec<_> = join_all(calls)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let successors: HashSet<_> = pairs.iter().map(|pair| &pair.refresh).collect();
    assert_eq!(successors.len(), 1);
    for pair in &pairs {
        assert_eq!(servers[1].me(&pair.access).await.status, StatusCode::OK);
    }
    servers[1].refresh(&pairs[0].refresh).await.pair();
    let counter = servers[0]
        .count("SELECT counter FROM authstack.sessions")
        .await;
    assert_eq!(counter, 2);
}

#[sqlx::test(migrations = false)]
async fn twenty_registrations_of_one_name_give_one_user(pool: PgPool) {
    let servers = [Server::new(pool.clone()).await, Server::new(pool).await];
    let calls = (0..20).map(|n| {
        let server = servers[n % 2].clone();
        tokio::spawn(async move { server.register("guybrush").await })
    });
    let answers: Vec<_> = join_all(calls)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let made = answers
        .iter()
        .filter(|a| a.status == StatusCode::CREATED)
        .count();
    assert_eq!(made, 1);
    for answer in answers.iter().filter(|a| a.status != StatusCode::CREATED) {
        answer.assert_problem(409, "taken");
    }
    assert_eq!(
        servers[0]
            .count("SELECT count(*) FROM authstack.users")
            .await,
        1
    );
}

#[sqlx::test(migrations = false)]
async fn ten_migrations_at_once_are_one(pool: PgPool) {
    let options = (*pool.connect_options()).clone();
    let patience = std::time::Duration::from_mins(1);
    let runs = (0..10).map(|_| migrate(&options, None, patience));
    for run in join_all(runs).await {
        run.unwrap();
    }
    let rows = "SELECT count(*) = count(DISTINCT version) FROM authstack._sqlx_migrations";
    let once: bool = sqlx::query_scalar(rows).fetch_one(&pool).await.unwrap();
    assert!(once);
    assert!(Store::new(pool).schema_is_ready().await.unwrap());
}
