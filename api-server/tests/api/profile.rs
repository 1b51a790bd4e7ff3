//! `PATCH /auth/user/me`

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Answer, PASSWORD, Pair, Server};

async fn patch(server: &Server, pair: &Pair, body: &Value) -> Answer {
    let call = server.call(Method::PATCH, "/auth/user/me");
    call.bearer(&pair.access).json(body).send().await
}

async fn login(server: &Server, name: &str) -> StatusCode {
    let body = json!({"username": name, "password": PASSWORD});
    let call = server.post("/auth/login").json(&body);
    call.send().await.status
}

#[sqlx::test(migrations = false)]
async fn the_name_changes_without_a_password(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let before = server.me(&pair.access).await.json;
    let answer = patch(&server, &pair, &json!({"username": "Threepwood"})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.json["username"], "Threepwood");
    for same in ["id", "email", "roles", "created_at"] {
        assert_eq!(answer.json[same], before[same], "{same}");
    }
    let [then, now] = [&before, &answer.json].map(|user| user["updated_at"].as_str());
    assert!(now > then);
    assert_eq!(server.me(&pair.access).await.json, answer.json);
    assert_eq!(login(&server, "threepwood").await, StatusCode::OK);
    assert_eq!(login(&server, "guybrush").await, StatusCode::UNAUTHORIZED);
}

#[sqlx::test(migrations = false)]
async fn the_address_changes_with_the_password_only(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let change = |password: Value| {
        json!({
            "username": "threepwood", "email": "Threepwood@example.com",
            "current_password": password,
        })
    };
    let answer = patch(&server, &pair, &change(Value::Null)).await;
    answer.assert_problem(422, "validation");
    assert_eq!(answer.pointers(), ["/current_password"]);
    for wrong in ["not the password", "", &"x".repeat(1_025)] {
        let answer = patch(&server, &pair, &change(json!(wrong))).await;
        answer.assert_problem(403, "wrong-password");
    }
    let me = server.me(&pair.access).await;
    assert_eq!(me.json["username"], "guybrush", "all or nothing");
    let answer = patch(&server, &pair, &change(json!(PASSWORD))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.json["email"], "Threepwood@example.com");
    assert_eq!(answer.json["username"], "threepwood");
    let found = login(&server, "threepwood@EXAMPLE.com").await;
    assert_eq!(found, StatusCode::OK);
    let found = login(&server, "guybrush@example.com").await;
    assert_eq!(found, StatusCode::UNAUTHORIZED);
    // Another spelling is another address to send mail to.
    let respelt = json!({"email": "THREEPWOOD@example.com"});
    let answer = patch(&server, &pair, &respelt).await;
    answer.assert_problem(422, "validation");
}

#[sqlx::test(migrations = false)]
async fn what_stays_changes_nothing_and_needs_nothing(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    // As it may have been imported.
    sqlx::query("UPDATE authstack.users SET username = 'guy brush'")
        .execute(&server.pool)
        .await
        .unwrap();
    let before = server.me(&pair.access).await.json;
    for body in [
        json!({}),
        json!({"username": null, "email": null, "current_password": null}),
        json!({"username": "guy brush", "email": "guybrush@example.com"}),
        json!({"email": "guybrush@example.com", "current_password": "not the password"}),
    ] {
        let answer = patch(&server, &pair, &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(answer.json, before);
    }
    let events = "SELECT count(*) FROM authstack.audit WHERE action = 'profile_change'";
    assert_eq!(server.count(events).await, 0);
}

#[sqlx::test(migrations = false)]
async fn everything_that_is_wrong_is_told_together(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let body = json!({"username": "a@b", "email": "nonsense"});
    let answer = patch(&server, &pair, &body).await;
    answer.assert_problem(422, "validation");
    assert_eq!(
        answer.pointers(),
        ["/username", "/email", "/current_password"]
    );
    for (body, pointer) in [
        (json!({"username": ""}), "/username"),
        (json!({"username": "x".repeat(65)}), "/username"),
        (json!({"username": "nul\0"}), "/username"),
        (json!({"username": 5}), "/username"),
        (json!({"email": "", "current_password": PASSWORD}), "/email"),
        (
            json!({"email": "a\0@b.c", "current_password": "x"}),
            "/email",
        ),
        (json!({"email": ["x"]}), "/email"),
        // Misspelt, or not for users to change: neither is passed over.
        (json!({"user_name": "threepwood"}), "/user_name"),
        (
            json!({"username": "threepwood", "roles": ["admin"]}),
            "/roles",
        ),
        (json!({"disabled": false}), "/disabled"),
        (json!({"id": "x"}), "/id"),
    ] {
        let answer = patch(&server, &pair, &body).await;
        answer.assert_problem(422, "validation");
        assert_eq!(answer.pointers(), [pointer], "{body}");
    }
    let me = server.me(&pair.access).await;
    assert_eq!(me.json["username"], "guybrush", "all or nothing");
}

#[sqlx::test(migrations = false)]
async fn taken_names_are_told_with_where(pool: PgPool) {
    let server = Server::new(pool).await;
    server.register("lechuck").await;
    let pair = server.tokens("guybrush").await;
    for (body, expected) in [
        (json!({"username": "LeChuck"}), &["/username"][..]),
        (
            json!({"email": "LECHUCK@example.com", "current_password": PASSWORD}),
            &["/email"],
        ),
        (
            json!({
                "username": "lechuck", "email": "lechuck@example.com",
                "current_password": PASSWORD,
            }),
            &["/username", "/email"],
        ),
    ] {
        let answer = patch(&server, &pair, &body).await;
        answer.assert_problem(409, "taken");
        assert_eq!(answer.pointers(), expected);
    }
    // Whether an address is taken is not for who lacks the password.
    let body = json!({"email": "lechuck@example.com", "current_password": "a guess"});
    let answer = patch(&server, &pair, &body).await;
    answer.assert_problem(403, "wrong-password");
    // One's own name in another case is not taken.
    let answer = patch(&server, &pair, &json!({"username": "GUYBRUSH"})).await;
    assert_eq!(answer.json["username"], "GUYBRUSH");
}

#[sqlx::test(migrations = false)]
async fn of_ten_who_want_one_name_one_gets_it(pool: PgPool) {
    let servers = [Server::new(pool.clone()).await, Server::new(pool).await];
    let mut pairs = Vec::new();
    for n in 0..10 {
        pairs.push(servers[0].tokens(&format!("pirate{n}")).await);
    }
    let calls = pairs.into_iter().enumerate().map(|(n, pair)| {
        let server = servers[n % 2].clone();
        tokio::spawn(async move { patch(&server, &pair, &json!({"username": "captain"})).await })
    });
    let answers = futures::future::join_all(calls).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    let (won, lost): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.status == StatusCode::OK);
    assert_eq!(won.len(), 1);
    for answer in lost {
        answer.assert_problem(409, "taken");
        assert_eq!(answer.pointers(), ["/username"]);
    }
}

#[sqlx::test(migrations = false)]
async fn nobody_changes_anything_without_a_session(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let body = json!({"username": "threepwood"});
    let call = server.call(Method::PATCH, "/auth/user/me").json(&body);
    call.send().await.assert_problem(401, "no-token");
    let call = server.post("/auth/logout").bearer(&pair.access);
    call.send().await;
    let answer = patch(&server, &pair, &body).await;
    answer.assert_problem(401, "invalid-token");
}
