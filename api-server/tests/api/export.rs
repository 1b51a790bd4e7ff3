//! `GET /auth/user/me/export`

use authstack_api::app::router;
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use futures::FutureExt;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use sqlx::PgPool;
use tower::ServiceExt;

use crate::support::{Answer, PASSWORD, Pair, Server, Setup};

async fn export(server: &Server, pair: &Pair) -> Answer {
    let call = server.get("/auth/user/me/export");
    call.bearer(&pair.access).send().await
}

fn each<'a>(list: &'a Value, member: &str) -> Vec<&'a str> {
    let items = list.as_array().unwrap().iter();
    items.map(|item| item[member].as_str().unwrap()).collect()
}

#[sqlx::test(migrations = false)]
async fn it_holds_the_account_its_sessions_and_what_happened(pool: PgPool) {
    let server = Server::new(pool).await;
    server.tokens("lechuck").await;
    let ended = server.tokens("guybrush").await;
    let call = server.post("/auth/logout").bearer(&ended.access);
    call.send().await;
    let body = json!({"username": "guybrush", "password": "a guess"});
    server.post("/auth/login").json(&body).send().await;
    let pair = server.login("guybrush").await.pair();

    let answer = export(&server, &pair).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(
        answer.header("content-disposition"),
        r#"attachment; filename="authstack-account.json""#
    );
    let whole = answer.json.as_object().unwrap();
    let members: Vec<_> = whole.keys().map(String::as_str).collect();
    let expected = [
        "account",
        "audit",
        "exported_at",
        "imported_from",
        "sessions",
    ];
    assert_eq!(members, expected);
    assert_eq!(whole["imported_from"], json!([]));
    assert_eq!(whole["account"], server.me(&pair.access).await.json);
    let sessions = whole["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    assert_eq!(sessions[0]["end_reason"], "logout");
    assert!(sessions[0]["ended_at"].is_string());
    assert_eq!(sessions[1]["ended_at"], Value::Null);
    assert_eq!(sessions[1]["client_address"], "10.0.0.9");
    let expected = [
        "register",
        "login",
        "logout",
        "login",
        "login",
        "account_export",
    ];
    assert_eq!(each(&whole["audit"], "action"), expected);
    let failed = &whole["audit"][3];
    assert_eq!(failed["result"], "failure");
    assert_eq!(failed["by"], Value::Null);
    assert_eq!(failed["about"], "self");
    assert_eq!(failed["client_address"], "10.0.0.9");
    assert_eq!(whole["audit"][5]["by"], "self");
}

#[sqlx::test(migrations = false)]
async fn where_the_account_was_brought_from_is_in_it(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    server.tokens("lechuck").await;
    sqlx::query(
        "INSERT INTO authstack.imported_users (source, imported_id, user_id)
         SELECT 'shop', 'old ' || username, id FROM authstack.users",
    )
    .execute(&server.pool)
    .await
    .unwrap();
    let answer = export(&server, &pair).await;
    let sources = answer.json["imported_from"].as_array().unwrap();
    assert_eq!(sources.len(), 1);
    assert_eq!(sources[0]["source"], "shop");
    assert_eq!(sources[0]["id"], "old guybrush");
    assert!(sources[0]["at"].is_string());
}

#[sqlx::test(migrations = false)]
async fn no_hash_and_nothing_that_tokens_are_made_from_is_in_it(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let next = server.refresh(&pair.refresh).await.pair();
    let answer = export(&server, &next).await;
    let (hash, secret): (String, String) = sqlx::query_as(
        "SELECT password_hash, encode(secret, 'hex')
         FROM authstack.users JOIN authstack.sessions ON users.id = user_id",
    )
    .fetch_one(&server.pool)
    .await
    .unwrap();
    for forbidden in [
        &*hash,
        &secret,
        PASSWORD,
        "argon2",
        "secret",
        "counter",
        "hash",
        "_key",
        &pair.access,
        &pair.refresh,
        &next.access,
        &next.refresh,
    ] {
        assert!(!answer.text.contains(forbidden), "{forbidden}");
    }
}

#[sqlx::test(migrations = false)]
async fn what_others_did_is_told_without_where_they_were(pool: PgPool) {
    let server = Server::new(pool).await;
    let mine = server.tokens("guybrush").await;
    let admin = server.tokens("elaine").await;
    sqlx::query(
        "INSERT INTO authstack.audit
           (id, action, result, actor_id, user_id, client_address, user_agent, request_id, detail)
         SELECT gen_random_uuid(), 'admin_user_change', 'success', admin.id, mine.id,
           '192.0.2.77', 'An office', 'the-one', '{\"fields\": [\"roles\"]}'
         FROM authstack.users admin, authstack.users mine
         WHERE admin.username = 'elaine' AND mine.username = 'guybrush'",
    )
    .execute(&server.pool)
    .await
    .unwrap();
    let find = |answer: &Answer| {
        let mut events = answer.json["audit"].as_array().unwrap().iter();
        let found = events.find(|event| event["action"] == "admin_user_change");
        found.unwrap().clone()
    };
    let seen = find(&export(&server, &mine).await);
    assert_eq!(
        (&seen["by"], &seen["about"]),
        (&json!("other"), &json!("self"))
    );
    for hidden in ["client_address", "user_agent", "request_id"] {
        assert_eq!(seen[hidden], Value::Null, "{hidden}");
    }
    assert_eq!(seen["detail"], json!({"fields": ["roles"]}));
    let answer = export(&server, &admin).await;
    let seen = find(&answer);
    assert_eq!(
        (&seen["by"], &seen["about"]),
        (&json!("self"), &json!("other"))
    );
    assert_eq!(seen["client_address"], "192.0.2.77");
    let me = server.me(&mine.access).await.json;
    let (id, name) = (me["id"].as_str().unwrap(), me["username"].as_str().unwrap());
    assert!(!answer.text.contains(id) && !answer.text.contains(name));
}

#[sqlx::test(migrations = false)]
async fn however_much_there_is_it_is_whole(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    // Whole pieces, and a bit more.
    sqlx::query(
        "INSERT INTO authstack.sessions (id, user_id, secret, expires_at)
         SELECT gen_random_uuid(), user_id, secret, expires_at
         FROM authstack.sessions, generate_series(1, 999)",
    )
    .execute(&server.pool)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO authstack.audit (id, action, result, actor_id, user_id)
         SELECT gen_random_uuid(), 'login', 'success',
           CASE WHEN n % 3 > 0 THEN id END, CASE WHEN n % 3 < 2 THEN id END
         FROM authstack.users, generate_series(1, 2345) AS n",
    )
    .execute(&server.pool)
    .await
    .unwrap();
    let answer = export(&server, &pair).await;
    let mut sessions = each(&answer.json["sessions"], "id");
    let mut events = each(&answer.json["audit"], "id");
    assert_eq!(sessions.len(), 1_000);
    assert_eq!(events.len(), 2_345 + 3);
    for ids in [&mut sessions, &mut events] {
        assert!(ids.is_sorted());
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all, "each once");
    }
}

#[sqlx::test(migrations = false)]
async fn it_is_for_whoever_is_logged_in(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let answer = server.get("/auth/user/me/export").send().await;
    answer.assert_problem(401, "no-token");
    let call = server.get("/auth/user/me/export");
    let answer = call.cookie("access_token", &pair.access).send().await;
    assert_eq!(answer.status, StatusCode::OK);
    server.pool.close().await;
    let answer = export(&server, &pair).await;
    answer.assert_problem(503, "unavailable");
}

#[sqlx::test(migrations = false)]
async fn a_client_that_reads_slowly_holds_no_connection(pool: PgPool) {
    let setup = Setup {
        connections: Some(1),
        ..Setup::default()
    };
    let server = Server::with(pool, setup).await;
    let pair = server.tokens("guybrush").await;
    let request = Request::get("/auth/user/me/export")
        .header("authorization", format!("Bearer {}", pair.access))
        .body(Body::empty())
        .unwrap();
    let router = router(server.app.clone());
    let response = router.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap();
    assert!(first.into_data().unwrap().starts_with(b"{\"exported_at\":"));
    // It asks for more, and does not come back for it.
    assert!(body.frame().now_or_never().is_none(), "not there yet");
    assert_eq!(server.me(&pair.access).await.status, StatusCode::OK);
    let rest = body.collect().await.unwrap().to_bytes();
    assert!(rest.ends_with(b"]}\n"), "{rest:?}");
}
