//! That somebody is always left to administrate.

use axum::http::StatusCode;
use serde_json::json;
use sqlx::PgPool;

use crate::support::{Pair, Server};

const ADMINS: &str = "SELECT count(*) FROM authstack.users
                      WHERE 'admin' = ANY (roles) AND disabled_at IS NULL";

#[sqlx::test(migrations = false)]
async fn the_last_administrator_stays(pool: PgPool) {
    let server = Server::new(pool).await;
    let elaine = server.admin("elaine").await;
    let id = server.id_of(&elaine).await;
    // Another who has the role, and may not log in, does not help.
    server.register("lechuck").await;
    server.grant("lechuck", &["admin"]).await;
    sqlx::query("UPDATE authstack.users SET disabled_at = now() WHERE username = 'lechuck'")
        .execute(&server.pool)
        .await
        .unwrap();
    for change in [
        json!({"roles": []}),
        json!({"roles": ["editor"]}),
        json!({"disabled": true}),
        json!({"roles": ["editor"], "disabled": true, "email": "other@example.com"}),
    ] {
        let answer = server.patch_user(&elaine, &id, &change).await;
        answer.assert_problem(409, "last-admin");
    }
    let answer = server.delete_user(&elaine, &id).await;
    answer.assert_problem(409, "last-admin");
    let me = server.me(&elaine.access).await;
    assert_eq!(me.json["email"], "elaine@example.com", "all or nothing");
    let refused = "SELECT count(*) FROM authstack.audit
                   WHERE result = 'failure' AND detail->>'reason' = 'last_admin'";
    assert_eq!(server.count(refused).await, 5);
}

#[sqlx::test(migrations = false)]
async fn the_last_administrator_may_change_all_else(pool: PgPool) {
    let server = Server::new(pool).await;
    let elaine = server.admin("elaine").await;
    let id = server.id_of(&elaine).await;
    for change in [
        json!({"roles": ["editor", "admin"]}),
        json!({"email": "governor@example.com"}),
        json!({"disabled": false}),
    ] {
        let answer = server.patch_user(&elaine, &id, &change).await;
        assert_eq!(answer.status, StatusCode::OK, "{change}: {}", answer.text);
    }
}

#[sqlx::test(migrations = false)]
async fn one_of_two_may_go(pool: PgPool) {
    let server = Server::new(pool).await;
    let elaine = server.admin("elaine").await;
    let id = server.id_of(&elaine).await;
    server.admin("lechuck").await;
    let answer = server.patch_user(&elaine, &id, json!({"roles": []})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(server.count(ADMINS).await, 1);
}

/// What one administrator does to another.
#[derive(Clone, Copy, Debug)]
enum Attack {
    Demote,
    Disable,
    Delete,
}

async fn attack(server: &Server, by: &Pair, on: &str, attack: Attack) -> StatusCode {
    let answer = match attack {
        Attack::Demote => server.patch_user(by, on, json!({"roles": []})).await,
        Attack::Disable => server.patch_user(by, on, json!({"disabled": true})).await,
        Attack::Delete => server.delete_user(by, on).await,
    };
    answer.status
}

#[sqlx::test(migrations = false)]
async fn of_two_who_unmake_each_other_at_once_one_fails(pool: PgPool) {
    let server = Server::new(pool).await;
    let attacks = [Attack::Demote, Attack::Disable, Attack::Delete];
    for (round, (one, other)) in attacks
        .into_iter()
        .flat_map(|one| attacks.map(|other| (one, other)))
        .enumerate()
    {
        let (a, b) = (format!("elaine{round}"), format!("lechuck{round}"));
        let (a, b) = (server.admin(&a).await, server.admin(&b).await);
        let (id_a, id_b) = (server.id_of(&a).await, server.id_of(&b).await);
        let (first, second) = tokio::join!(
            attack(&server, &a, &id_b, one),
            attack(&server, &b, &id_a, other),
        );
        let done = [first, second].iter().filter(|s| s.is_success()).count();
        assert_eq!(done, 1, "{one:?} and {other:?}: {first} and {second}");
        assert_eq!(server.count(ADMINS).await, 1);
        sqlx::query("UPDATE authstack.users SET roles = '{}'")
            .execute(&server.pool)
            .await
            .unwrap();
    }
}

#[sqlx::test(migrations = false)]
async fn of_many_who_go_at_once_one_stays(pool: PgPool) {
    let server = Server::new(pool).await;
    let mut going = tokio::task::JoinSet::new();
    let mut admins = Vec::new();
    for n in 0..6 {
        let admin = server.admin(&format!("governor{n}")).await;
        admins.push((server.id_of(&admin).await, admin));
    }
    for (n, (id, admin)) in admins.into_iter().enumerate() {
        let server = server.clone();
        going.spawn(async move {
            if n % 2 == 0 {
                return attack(&server, &admin, &id, Attack::Demote).await;
            }
            // Through the door for everybody.
            let call = server.call(axum::http::Method::DELETE, "/auth/user/me");
            let body = json!({"current_password": crate::support::PASSWORD});
            let call = call.bearer(&admin.access).json(&body);
            call.send().await.status
        });
    }
    let answers = going.join_all().await;
    let kept = answers.iter().filter(|s| **s == StatusCode::CONFLICT);
    assert_eq!(kept.count(), 1, "{answers:?}");
    assert_eq!(server.count(ADMINS).await, 1);
}
