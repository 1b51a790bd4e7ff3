//! Making, changing and removing accounts.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Answer, PASSWORD, Server, tokens};

const LIVE: &str = "SELECT count(*) FROM authstack.sessions WHERE revoked_at IS NULL";
const EVENTS: &str = "SELECT count(*) FROM authstack.audit";

async fn login(server: &Server, username: &str, password: &str) -> Answer {
    let body = json!({"username": username, "password": password});
    server.post("/auth/login").json(&body).send().await
}

#[sqlx::test(migrations = false)]
async fn an_account_is_made_where_registration_is_closed(pool: PgPool) {
    let server = Server::new(pool.clone()).await;
    let admin = server.admin("elaine").await;
    let server = Server::with_flags(pool, &["--registration=closed"]).await;
    let body = json!({
        "username": "Guybrush", "email": "Guybrush@Example.com", "password": "threepwood!",
        "roles": ["writer", "editor", "writer"],
    });
    let refused = server.post("/auth/register").json(&body).send().await;
    refused.assert_problem(403, "registration-closed");
    let made = server.post_user(&admin, &body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let members: Vec<_> = made.json.as_object().unwrap().keys().collect();
    assert_eq!(
        members,
        [
            "created_at",
            "disabled_at",
            "email",
            "id",
            "roles",
            "updated_at",
            "username"
        ]
    );
    assert_eq!(made.json["username"], "Guybrush");
    assert_eq!(made.json["email"], "Guybrush@Example.com");
    assert_eq!(made.json["roles"], json!(["editor", "writer"]));
    assert_eq!(made.json["disabled_at"], Value::Null);
    let shown = server.get_as(&admin, made.header("location")).await;
    assert_eq!(shown.json, made.json);
    let user = login(&server, "guybrush", "threepwood!").await.pair();
    assert_eq!(server.me(&user.access).await.json["id"], made.json["id"]);
}

#[sqlx::test(migrations = false)]
async fn an_account_may_begin_disabled(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    let body = json!({
        "username": "guybrush", "email": "guybrush@example.com", "password": PASSWORD,
        "disabled": true,
    });
    let made = server.post_user(&admin, &body).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert!(made.json["disabled_at"].is_string());
    let refused = server.login("guybrush").await;
    refused.assert_problem(401, "login-refused");
    let id = made.id();
    let enabled = server.patch_user(&admin, &id, json!({"disabled": false}));
    assert_eq!(enabled.await.json["disabled_at"], Value::Null);
    assert_eq!(server.login("guybrush").await.status, StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn the_rules_are_those_of_registration(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    let id = server.register("guybrush").await.id();
    let wrong = json!({
        "username": "a b", "email": "nowhere", "password": "short", "roles": ["Not A Role"],
    });
    let all = ["/username", "/email", "/password", "/roles"];
    let answer = server.post_user(&admin, &wrong).await;
    answer.assert_problem(422, "validation");
    assert_eq!(answer.pointers(), all);
    let answer = server.patch_user(&admin, &id, &wrong).await;
    answer.assert_problem(422, "validation");
    let mut pointers = answer.pointers();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/email", "/password", "/roles", "/username"]);
    for password in ["password", "Guybrush1", "guybrush@example.com"] {
        let change = json!({"password": password});
        let answer = server.patch_user(&admin, &id, &change).await;
        answer.assert_problem(422, "validation");
        assert_eq!(answer.pointers(), ["/password"]);
    }
    // The new name counts, as far as one is given.
    let change = json!({"username": "threepwood", "password": "threepwood1"});
    let answer = server.patch_user(&admin, &id, &change).await;
    answer.assert_problem(422, "validation");
    let many: Vec<_> = (0..33).map(|n| format!("role{n}")).collect();
    let answer = server.patch_user(&admin, &id, json!({"roles": many}));
    answer.await.assert_problem(422, "validation");
}

#[sqlx::test(migrations = false)]
async fn taken_names_are_refused(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    let id = server.register("guybrush").await.id();
    let body = json!({
        "username": "GUYBRUSH", "email": "Elaine@example.com", "password": "used ships",
    });
    let answer = server.post_user(&admin, &body).await;
    answer.assert_problem(409, "taken");
    assert_eq!(answer.pointers(), ["/username", "/email"]);
    let answer = server.patch_user(&admin, &id, json!({"username": "Elaine"}));
    let answer = answer.await;
    answer.assert_problem(409, "taken");
    assert_eq!(answer.pointers(), ["/username"]);
    let change = json!({"email": "elaine@EXAMPLE.com", "roles": ["x"]});
    let answer = server.patch_user(&admin, &id, &change).await;
    answer.assert_problem(409, "taken");
    assert_eq!(answer.pointers(), ["/email"]);
    let unchanged = server.get_as(&admin, format!("/admin/users/{id}")).await;
    assert_eq!(unchanged.json["roles"], json!([]), "all or nothing");
}

#[sqlx::test(migrations = false)]
async fn unknown_members_and_null_are_refused(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    let id = server.register("guybrush").await.id();
    for (change, pointer) in [
        (json!({"disable": true}), "/disable"),
        (json!({"id": id}), "/id"),
        (json!({"password_hash": "x"}), "/password_hash"),
        (json!({"created_at": "2026-01-01T00:00:00Z"}), "/created_at"),
        (json!({"roles": null}), "/roles"),
        (json!({"disabled": null}), "/disabled"),
        (json!({"disabled": "false"}), "/disabled"),
        (json!({"roles": "admin"}), "/roles"),
    ] {
        let answer = server.patch_user(&admin, &id, &change).await;
        answer.assert_problem(422, "validation");
        assert_eq!(answer.pointers(), [pointer], "{change}");
        let mut body = json!({
            "username": "stan", "email": "stan@example.com", "password": "used ships",
        });
        let members = change.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(members);
        let answer = server.post_user(&admin, &body).await;
        answer.assert_problem(422, "validation");
        assert_eq!(answer.pointers(), [pointer], "{body}");
    }
}

#[sqlx::test(migrations = false)]
async fn names_change_and_free_the_old_ones(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    let user = server.tokens("guybrush").await;
    let id = server.id_of(&user).await;
    let change = json!({"username": "Threepwood", "email": "t@example.org"});
    let changed = server.patch_user(&admin, &id, &change).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
    assert_eq!(changed.json["username"], "Threepwood");
    assert!(changed.json["updated_at"] != changed.json["created_at"]);
    let me = server.me(&user.access).await;
    assert_eq!(me.status, StatusCode::OK, "names end no session");
    assert_eq!(me.json["email"], "t@example.org");
    for name in ["threepwood", "T@example.org"] {
        assert_eq!(login(&server, name, PASSWORD).await.status, StatusCode::OK);
    }
    server
        .login("guybrush")
        .await
        .assert_problem(401, "login-refused");
    assert_eq!(
        server.register("guybrush").await.status,
        StatusCode::CREATED
    );
}

#[sqlx::test(migrations = false)]
async fn another_password_ends_every_session(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    let first = server.tokens("guybrush").await;
    let second = server.login("guybrush").await.pair();
    let id = server.id_of(&first).await;
    let changed = server.patch_user(&admin, &id, json!({"password": "root beer!"}));
    assert_eq!(changed.await.status, StatusCode::OK);
    for pair in [&first, &second] {
        let me = server.me(&pair.access).await;
        me.assert_problem(401, "invalid-token");
        let refresh = server.refresh(&pair.refresh).await;
        refresh.assert_problem(401, "invalid-token");
    }
    assert_eq!(server.me(&admin.access).await.status, StatusCode::OK);
    server
        .login("guybrush")
        .await
        .assert_problem(401, "login-refused");
    let answer = login(&server, "guybrush", "root beer!").await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn enabling_revives_no_session(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    let user = server.tokens("guybrush").await;
    let id = server.id_of(&user).await;
    let disabled = server.patch_user(&admin, &id, json!({"disabled": true}));
    assert!(disabled.await.json["disabled_at"].is_string());
    server
        .me(&user.access)
        .await
        .assert_problem(401, "invalid-token");
    server
        .login("guybrush")
        .await
        .assert_problem(401, "login-refused");
    let enabled = server.patch_user(&admin, &id, json!({"disabled": false}));
    assert_eq!(enabled.await.status, StatusCode::OK);
    server
        .me(&user.access)
        .await
        .assert_problem(401, "invalid-token");
    server
        .refresh(&user.refresh)
        .await
        .assert_problem(401, "invalid-token");
    assert_eq!(server.login("guybrush").await.status, StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn roles_are_in_the_next_token(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    let user = server.tokens("guybrush").await;
    let id = server.id_of(&user).await;
    let roles = |access: &str| {
        let claims = tokens().read_access(access, server.app.now());
        claims.unwrap().roles
    };
    let changed = server.patch_user(&admin, &id, json!({"roles": ["editor"]}));
    assert_eq!(changed.await.status, StatusCode::OK);
    assert_eq!(
        server.me(&user.access).await.json["roles"],
        json!(["editor"])
    );
    assert_eq!(roles(&user.access), [""; 0]);
    let next = server.refresh(&user.refresh).await.pair();
    assert_eq!(roles(&next.access), ["editor"]);
}

#[sqlx::test(migrations = false)]
async fn the_largest_token_fits_into_a_cookie(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    let id = server.register("guybrush").await.id();
    let roles: Vec<_> = (0..32).map(|n| format!("r{n:063}")).collect();
    let changed = server.patch_user(&admin, &id, json!({"roles": roles}));
    assert_eq!(changed.await.status, StatusCode::OK);
    let answer = server.login("guybrush").await;
    for cookie in answer.cookies() {
        assert!(cookie.len() <= 4_096, "{}", cookie.len());
    }
}

#[sqlx::test(migrations = false)]
async fn what_is_so_already_is_not_done_again(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    let user = server.tokens("guybrush").await;
    let id = server.id_of(&user).await;
    let before = server.get_as(&admin, format!("/admin/users/{id}")).await;
    let events = server.count(EVENTS).await;
    for change in [
        json!({}),
        json!({"username": "guybrush", "email": "guybrush@example.com"}),
        json!({"roles": [], "disabled": false}),
    ] {
        let answer = server.patch_user(&admin, &id, &change).await;
        assert_eq!(answer.status, StatusCode::OK, "{change}");
        assert_eq!(answer.json, before.json, "{change}");
    }
    assert_eq!(server.count(EVENTS).await, events);
    assert_eq!(server.me(&user.access).await.status, StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn an_imported_name_may_stay_whatever_the_rules_are(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    let id = server.register("guybrush").await.id();
    sqlx::query("UPDATE authstack.users SET username = 'a b' WHERE username = 'guybrush'")
        .execute(&server.pool)
        .await
        .unwrap();
    let change = json!({"username": "a b", "roles": ["editor"]});
    let changed = server.patch_user(&admin, &id, &change).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
    let answer = server.patch_user(&admin, &id, json!({"username": "c d"}));
    answer.await.assert_problem(422, "validation");
}

#[sqlx::test(migrations = false)]
async fn a_removed_account_is_gone_with_its_sessions(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    let user = server.tokens("guybrush").await;
    let id = server.id_of(&user).await;
    let gone = server.delete_user(&admin, &id).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(gone.text, "");
    server
        .me(&user.access)
        .await
        .assert_problem(401, "invalid-token");
    server
        .refresh(&user.refresh)
        .await
        .assert_problem(401, "invalid-token");
    assert_eq!(server.count(LIVE).await, 1, "the administrator's");
    let again = server.delete_user(&admin, &id).await;
    again.assert_problem(404, "not-found");
    assert_eq!(
        server.register("guybrush").await.status,
        StatusCode::CREATED
    );
}

#[sqlx::test(migrations = false)]
async fn logging_somebody_out_ends_every_session_of_theirs(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    let first = server.tokens("guybrush").await;
    let second = server.login("guybrush").await.pair();
    let id = server.id_of(&first).await;
    for _ in 0..2 {
        let call = server.post(&format!("/admin/users/{id}/logout"));
        let answer = call.bearer(&admin.access).send().await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
    }
    for pair in [first, second] {
        let me = server.me(&pair.access).await;
        me.assert_problem(401, "invalid-token");
    }
    assert_eq!(server.count(LIVE).await, 1, "the administrator's");
    assert_eq!(server.login("guybrush").await.status, StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn what_is_no_account_is_not_found(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    for id in [
        "0198c5a4-7d3e-7c11-9d33-7b6a5d1f2a10",
        "banana",
        "1",
        "%00",
        "%FF",
        "0198c5a47d3e7c119d337b6a5d1f2a10",
    ] {
        for (method, end) in [
            (Method::GET, ""),
            (Method::PATCH, ""),
            (Method::DELETE, ""),
            (Method::POST, "/logout"),
        ] {
            let call = server.call(method, &format!("/admin/users/{id}{end}"));
            let call = call.bearer(&admin.access).json(&json!({}));
            call.send().await.assert_problem(404, "not-found");
        }
    }
}
