//! `DELETE /auth/user/me`

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Answer, PASSWORD, Pair, Server, assert_forgets};

async fn delete(server: &Server, pair: &Pair, body: &Value) -> Answer {
    let call = server.call(Method::DELETE, "/auth/user/me");
    call.bearer(&pair.access).json(body).send().await
}

async fn make_admin(server: &Server, username: &str) {
    sqlx::query("UPDATE authstack.users SET roles = '{admin}' WHERE username = $1")
        .bind(username)
        .execute(&server.pool)
        .await
        .unwrap();
}

#[sqlx::test(migrations = false)]
async fn the_account_and_its_sessions_go_and_nobody_elses(pool: PgPool) {
    let servers = [Server::new(pool.clone()).await, Server::new(pool).await];
    let bystander = servers[0].tokens("lechuck").await;
    let other = servers[0].tokens("guybrush").await;
    let mine = servers[0].login("guybrush").await.pair();
    let body = json!({"current_password": PASSWORD});
    let call = servers[1].call(Method::DELETE, "/auth/user/me");
    let call = call.cookie("access_token", &mine.access).json(&body);
    let answer = call.send().await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text);
    assert_forgets(&answer);
    for server in &servers {
        for pair in [&mine, &other] {
            let answer = server.me(&pair.access).await;
            answer.assert_problem(401, "invalid-token");
            let answer = server.refresh(&pair.refresh).await;
            answer.assert_problem(401, "invalid-token");
        }
        assert_eq!(server.me(&bystander.access).await.status, StatusCode::OK);
    }
    let sessions = "SELECT count(*) FROM authstack.sessions";
    assert_eq!(servers[0].count(sessions).await, 1);
    let answer = servers[0].login("guybrush").await;
    answer.assert_problem(401, "login-refused");
    // The names are free again, for somebody else.
    let again = servers[0].register("guybrush").await;
    assert_eq!(again.status, StatusCode::CREATED);
}

#[sqlx::test(migrations = false)]
async fn the_audit_log_keeps_the_identifier(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let id = server.me(&pair.access).await.json["id"].clone();
    delete(&server, &pair, &json!({"current_password": PASSWORD})).await;
    let actions: Vec<String> =
        sqlx::query_scalar("SELECT action FROM authstack.audit WHERE user_id = $1 ORDER BY id")
            .bind(id.as_str().unwrap().parse::<uuid::Uuid>().unwrap())
            .fetch_all(&server.pool)
            .await
            .unwrap();
    assert_eq!(actions, ["register", "login", "account_delete"]);
}

#[sqlx::test(migrations = false)]
async fn only_the_password_confirms_it(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    for wrong in ["not the password", "", &"x".repeat(1_025)] {
        let answer = delete(&server, &pair, &json!({"current_password": wrong})).await;
        answer.assert_problem(403, "wrong-password");
        assert!(answer.cookies().is_empty());
    }
    for body in [json!({}), json!({"current_password": null})] {
        let answer = delete(&server, &pair, &body).await;
        answer.assert_problem(422, "validation");
        assert_eq!(answer.pointers(), ["/current_password"]);
    }
    let call = server.call(Method::DELETE, "/auth/user/me");
    let answer = call.bearer(&pair.access).send().await;
    answer.assert_problem(415, "media-type");
    assert_eq!(server.me(&pair.access).await.status, StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn the_last_administrator_stays(pool: PgPool) {
    let server = Server::new(pool).await;
    server.tokens("lechuck").await;
    let pair = server.tokens("guybrush").await;
    make_admin(&server, "guybrush").await;
    make_admin(&server, "lechuck").await;
    // One who may not log in does not count.
    sqlx::query("UPDATE authstack.users SET disabled_at = now() WHERE username = 'lechuck'")
        .execute(&server.pool)
        .await
        .unwrap();
    let body = json!({"current_password": PASSWORD});
    let answer = delete(&server, &pair, &body).await;
    answer.assert_problem(409, "last-admin");
    assert!(answer.cookies().is_empty());
    assert_eq!(server.me(&pair.access).await.status, StatusCode::OK);
    // Who lacks the password does not learn it.
    let answer = delete(&server, &pair, &json!({"current_password": "a guess"})).await;
    answer.assert_problem(403, "wrong-password");
    sqlx::query("UPDATE authstack.users SET disabled_at = NULL")
        .execute(&server.pool)
        .await
        .unwrap();
    let answer = delete(&server, &pair, &body).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
}

#[sqlx::test(migrations = false)]
async fn of_the_last_two_administrators_one_stays_however_they_hurry(pool: PgPool) {
    let servers = [Server::new(pool.clone()).await, Server::new(pool).await];
    let pairs = [
        servers[0].tokens("guybrush").await,
        servers[0].tokens("lechuck").await,
    ];
    make_admin(&servers[0], "guybrush").await;
    make_admin(&servers[0], "lechuck").await;
    let calls = pairs
        .into_iter()
        .zip(servers.clone())
        .map(|(pair, server)| {
            let body = json!({"current_password": PASSWORD});
            tokio::spawn(async move { delete(&server, &pair, &body).await.status.as_u16() })
        });
    let answers = futures::future::join_all(calls).await;
    let mut answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    answers.sort_unstable();
    assert_eq!(answers, [204, 409]);
    let users = "SELECT count(*) FROM authstack.users";
    assert_eq!(servers[0].count(users).await, 1);
}
