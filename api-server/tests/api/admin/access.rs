//! Who may: administrators, as the database knows them now.

use authstack_api::crypto::jwt::AccessClaims;
use axum::http::StatusCode;
use serde_json::json;
use sqlx::PgPool;

use super::{call, every_route};
use crate::support::{Server, tokens};

#[sqlx::test(migrations = false)]
async fn no_route_is_for_anybody_but_administrators(pool: PgPool) {
    let server = Server::new(pool).await;
    let user = server.tokens("guybrush").await;
    let id = server.id_of(&user).await;
    for route in every_route(&id) {
        let without = call(&server, &route).send().await;
        without.assert_problem(401, "no-token");
        let with = call(&server, &route).bearer(&user.access);
        with.send().await.assert_problem(403, "forbidden");
        let with = call(&server, &route).cookie("access_token", &user.access);
        with.send().await.assert_problem(403, "forbidden");
        let with = call(&server, &route).bearer(&user.refresh);
        with.send().await.assert_problem(401, "invalid-token");
    }
    let unchanged = server.me(&user.access).await;
    assert_eq!(unchanged.json["roles"], json!([]));
    let users = server.count("SELECT count(*) FROM authstack.users");
    assert_eq!(users.await, 1, "none was made");
}

#[sqlx::test(migrations = false)]
async fn every_route_is_for_administrators(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    let id = server.register("guybrush").await.id();
    for route in every_route(&id) {
        let answer = call(&server, &route).bearer(&admin.access).send().await;
        assert!(answer.status.is_success(), "{route:?}: {}", answer.text);
    }
}

#[sqlx::test(migrations = false)]
async fn other_roles_do_not_suffice(pool: PgPool) {
    let server = Server::new(pool).await;
    let user = server.tokens("guybrush").await;
    for roles in [
        &[
            "administrator",
            "admin:read",
            "xadmin",
            "Admin",
            "ADMIN",
            "admin ",
        ][..],
        &["root"],
        &[],
    ] {
        server.grant("guybrush", roles).await;
        let answer = server.get_as(&user, "/admin/users").await;
        answer.assert_problem(403, "forbidden");
    }
}

#[sqlx::test(migrations = false)]
async fn what_the_token_says_of_roles_counts_for_nothing(pool: PgPool) {
    let server = Server::new(pool).await;
    let user = server.tokens("guybrush").await;
    let now = server.app.now();
    // Signed with the right key, as after a leak or a mistake elsewhere.
    let forged = AccessClaims {
        roles: vec!["admin".into()],
        ..tokens().read_access(&user.access, now).unwrap()
    };
    let forged = tokens().sign_access(&forged).unwrap();
    let answer = server.get("/admin/users").bearer(&forged).send().await;
    answer.assert_problem(403, "forbidden");

    // The other way round: the role counts before any token says so.
    server.grant("guybrush", &["admin"]).await;
    let answer = server.get_as(&user, "/admin/users").await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn the_loss_of_the_role_acts_at_once(pool: PgPool) {
    let server = Server::new(pool).await;
    let elaine = server.admin("elaine").await;
    let lechuck = server.admin("lechuck").await;
    let id = server.id_of(&lechuck).await;
    let demoted = server.patch_user(&elaine, &id, json!({"roles": []}));
    assert_eq!(demoted.await.status, StatusCode::OK);
    for route in every_route(&id) {
        let answer = call(&server, &route).bearer(&lechuck.access).send().await;
        answer.assert_problem(403, "forbidden");
    }
    assert_eq!(server.me(&lechuck.access).await.status, StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn a_disabled_administrator_is_none(pool: PgPool) {
    let server = Server::new(pool).await;
    let elaine = server.admin("elaine").await;
    let lechuck = server.admin("lechuck").await;
    let id = server.id_of(&lechuck).await;
    let disabled = server.patch_user(&elaine, &id, json!({"disabled": true}));
    assert_eq!(disabled.await.status, StatusCode::OK);
    let answer = server.get_as(&lechuck, "/admin/users").await;
    answer.assert_problem(401, "invalid-token");
    let login = server.login("lechuck").await;
    login.assert_problem(401, "login-refused");
}

#[sqlx::test(migrations = false)]
async fn nobody_gives_themselves_a_role(pool: PgPool) {
    let server = Server::new(pool).await;
    let body = json!({
        "username": "guybrush", "email": "guybrush@example.com", "password": "securepass",
        "roles": ["admin"], "role": "admin", "is_admin": true, "disabled": false,
    });
    let made = server.post("/auth/register").json(&body).send().await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let user = server.login("guybrush").await.pair();
    let change = json!({"roles": ["admin"], "disabled": false});
    let call = server.call(axum::http::Method::PATCH, "/auth/user/me");
    let changed = call.bearer(&user.access).json(&change).send().await;
    changed.assert_problem(422, "validation");
    assert_eq!(server.me(&user.access).await.json["roles"], json!([]));
    let answer = server.get_as(&user, "/admin/users").await;
    answer.assert_problem(403, "forbidden");
}

#[sqlx::test(migrations = false)]
async fn another_site_cannot_use_an_administrators_cookie(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    let id = server.register("guybrush").await.id();
    for route in every_route(&id) {
        let by_cookie = || call(&server, &route).cookie("access_token", &admin.access);
        if route.0.is_safe() {
            continue;
        }
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
        ] {
            let answer = by_cookie().header(name, value).send().await;
            answer.assert_problem(403, "cross-site");
        }
    }
    for route in every_route(&id) {
        let own = call(&server, &route)
            .cookie("access_token", &admin.access)
            .header("sec-fetch-site", "same-origin");
        let answer = own.send().await;
        assert!(answer.status.is_success(), "{route:?}: {}", answer.text);
    }
}

#[sqlx::test(migrations = false)]
async fn whether_an_account_exists_is_for_administrators_to_know(pool: PgPool) {
    let server = Server::new(pool).await;
    let user = server.tokens("guybrush").await;
    let there = server.id_of(&user).await;
    let not_there = "0198c5a4-7d3e-7c11-9d33-7b6a5d1f2a10";
    for id in [&*there, not_there, "banana"] {
        let path = format!("/admin/users/{id}");
        let answer = server.get_as(&user, &path).await;
        answer.assert_problem(403, "forbidden");
        let answer = server.get(&path).send().await;
        answer.assert_problem(401, "no-token");
    }
}
