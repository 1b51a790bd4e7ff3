//! What is left of it all in the audit log, and how it is read.

use axum::http::StatusCode;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Pair, Server};

impl Server {
    async fn events(&self, admin: &Pair, query: &str) -> Vec<Value> {
        let answer = self.get_as(admin, &format!("/admin/audit?{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.text);
        answer.json["items"].as_array().unwrap().clone()
    }
}

fn actions(events: &[Value]) -> Vec<&str> {
    let actions = events.iter().map(|event| event["action"].as_str().unwrap());
    actions.collect()
}

#[sqlx::test(migrations = false)]
async fn the_log_says_who_did_what_to_whom(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    let actor = server.id_of(&admin).await;
    let made = server
        .post("/admin/users")
        .bearer(&admin.access)
        .header("user-agent", "a test")
        .json(&json!({
            "username": "guybrush", "email": "guybrush@example.com", "password": "root beer!",
        }))
        .send()
        .await;
    let user = made.id();
    let changes = [
        json!({"email": "secret@example.com", "password": "spiffy! dog"}),
        json!({"roles": ["admin", "editor"]}),
        json!({"disabled": true}),
        json!({"disabled": false, "roles": []}),
    ];
    for change in &changes {
        let answer = server.patch_user(&admin, &user, change).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
    let call = server.post(&format!("/admin/users/{user}/logout"));
    call.bearer(&admin.access).send().await;
    server.delete_user(&admin, &user).await;

    let events = server.events(&admin, &format!("user={user}")).await;
    assert_eq!(
        actions(&events),
        [
            "admin_user_delete",
            "admin_user_logout",
            "admin_user_change",
            "admin_user_change",
            "admin_user_change",
            "admin_user_change",
            "admin_user_create",
        ]
    );
    let details: Vec<_> = events[2..6].iter().map(|event| &event["detail"]).collect();
    assert_eq!(
        details,
        [
            &json!({"fields": ["roles", "disabled"], "effects": ["enabled", "admin_revoked"]}),
            &json!({"fields": ["disabled"], "effects": ["disabled", "sessions_ended"]}),
            &json!({"fields": ["roles"], "effects": ["admin_granted"]}),
            &json!({"fields": ["email", "password"], "effects": ["sessions_ended"]}),
        ]
    );
    for event in &events {
        assert_eq!(event["actor_id"], actor);
        assert_eq!(event["user_id"], user);
        assert_eq!(event["result"], "success");
        assert_eq!(event["client_address"], "10.0.0.9");
    }
    let creation = events.last().unwrap();
    assert_eq!(creation["user_agent"], "a test");
    assert_eq!(creation["request_id"], made.header("x-request-id"));
    let text = json!(events).to_string();
    for value in ["guybrush", "secret", "root beer", "spiffy", "editor"] {
        assert!(!text.contains(value), "{value} in {text}");
    }
}

#[sqlx::test(migrations = false)]
async fn filters_narrow_the_log(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    let elaine = server.id_of(&admin).await;
    let user = server.tokens("guybrush").await;
    let guybrush = server.id_of(&user).await;
    let wrong = json!({"username": "guybrush", "password": "wrong password"});
    server.post("/auth/login").json(&wrong).send().await;
    server
        .patch_user(&admin, &guybrush, json!({"roles": ["editor"]}))
        .await;
    for (query, expected) in [
        (
            format!("user={guybrush}"),
            &["admin_user_change", "login", "login", "register"][..],
        ),
        (format!("user={elaine}"), &["login", "register"]),
        (
            format!("actor={elaine}"),
            &["admin_user_change", "login", "register"],
        ),
        (
            format!("actor={elaine}&user={guybrush}"),
            &["admin_user_change"],
        ),
        (format!("actor={guybrush}"), &["login", "register"]),
        ("result=failure".into(), &["login"]),
        ("result=success&action=login".into(), &["login", "login"]),
        ("action=admin_user_change".into(), &["admin_user_change"]),
        ("action=user_import".into(), &[]),
        (
            "since=2020-01-01T00:00:00Z&action=register".into(),
            &["register", "register"],
        ),
        ("since=2999-01-01T00:00:00Z".into(), &[]),
        ("until=2020-01-01T00:00:00Z".into(), &[]),
        (
            "until=2999-01-01T00:00:00.5%2B02:00&action=register".into(),
            &["register", "register"],
        ),
        ("limit=1".into(), &["admin_user_change"]),
    ] {
        let events = server.events(&admin, &query).await;
        assert_eq!(actions(&events), expected, "{query}");
    }
    let failed = &server.events(&admin, "result=failure").await[0];
    assert_eq!(failed["actor_id"], Value::Null);
    assert_eq!(failed["user_id"], guybrush);
    assert_eq!(failed["detail"], json!({"reason": "wrong_password"}));
}

#[sqlx::test(migrations = false)]
async fn since_includes_its_moment_and_until_does_not(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    let event = &server.events(&admin, "action=login").await[0];
    let at = event["at"].as_str().unwrap();
    for (query, expected) in [
        (format!("action=login&since={at}"), 1),
        (format!("action=login&until={at}"), 0),
    ] {
        assert_eq!(
            server.events(&admin, &query).await.len(),
            expected,
            "{query}"
        );
    }
}

#[sqlx::test(migrations = false)]
async fn the_log_has_pages_that_new_events_do_not_move(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    for _ in 0..5 {
        server.login("elaine").await;
    }
    let all = server.events(&admin, "").await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = server.get_as(&admin, format!("/admin/audit?limit=3{cursor}"));
        let answer = answer.await;
        seen.extend(answer.json["items"].as_array().unwrap().clone());
        let Some(next) = answer.json["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
        server.login("elaine").await;
    }
    assert_eq!(seen, all, "as it was when the first page was asked for");
}

#[sqlx::test(migrations = false)]
async fn wrong_parameters_are_named(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    for (query, wrong) in [
        ("user=banana", &["user"][..]),
        ("user=", &["user"]),
        ("actor=1", &["actor"]),
        ("action=Login", &["action"]),
        ("action=login'--", &["action"]),
        ("action=logins", &["action"]),
        ("action=", &["action"]),
        ("result=maybe", &["result"]),
        ("since=yesterday", &["since"]),
        ("since=2026-11-22", &["since"]),
        ("until=2026-11-22T16:00:00", &["until"]),
        ("until=2026-13-01T00:00:00Z", &["until"]),
        ("until=99999-01-01T00:00:00Z", &["until"]),
        ("limit=1000", &["limit"]),
        ("since=x&until=y&user=z", &["user", "since", "until"]),
    ] {
        let answer = server.get_as(&admin, format!("/admin/audit?{query}")).await;
        answer.assert_problem(422, "validation");
        assert_eq!(answer.parameters(), wrong, "{query}");
    }
    let answer = server.get_as(&admin, "/admin/audit?action=logins").await;
    for known in ["login,", "token_replay,", "user_import"] {
        assert!(answer.text.contains(known), "{}", answer.text);
    }
}
