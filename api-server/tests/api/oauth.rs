//! `POST /oauth2/introspect` and `POST /oauth2/revoke`.

use axum::http::StatusCode;
use serde_json::{Value, json};
use sqlx::PgPool;
use time::OffsetDateTime;
use url::form_urlencoded;

use crate::support::{Answer, Call, PASSWORD, Server};

const CLIENT_SECRET: &str = "client-secret-client-secret-0123";
const CLIENTS: &str =
    "--oauth-clients=shop:client-secret-client-secret-0123,blog:another-secret-another-secret-01";

async fn server(pool: PgPool) -> Server {
    Server::with_flags(pool, &[CLIENTS]).await
}

trait AsClient {
    fn basic(self, id: &str, secret: &str) -> Self;
    fn form(self, pairs: &[(&str, &str)]) -> Self;
}

impl AsClient for Call {
    fn basic(self, id: &str, secret: &str) -> Self {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let encoded = STANDARD.encode(format!("{id}:{secret}"));
        self.header("authorization", &format!("Basic {encoded}"))
    }

    fn form(self, pairs: &[(&str, &str)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        self.header("content-type", "application/x-www-form-urlencoded")
            .body(body)
    }
}

async fn ask(server: &Server, path: &str, token: &str) -> Answer {
    let call = server.post(path).basic("shop", CLIENT_SECRET);
    call.form(&[("token", token)]).send().await
}

async fn introspect(server: &Server, token: &str) -> Value {
    let answer = ask(server, "/oauth2/introspect", token).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.json
}

async fn revoke(server: &Server, token: &str) {
    let answer = ask(server, "/oauth2/revoke", token).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert!(answer.text.is_empty());
}

fn assert_error(answer: &Answer, status: u16, kind: &str, code: &str) {
    answer.assert_problem(status, kind);
    assert_eq!(answer.json["error"], code);
    assert_eq!(answer.json["error_description"], answer.json["detail"]);
}

#[sqlx::test(migrations = false)]
async fn an_access_token_is_told_in_full(pool: PgPool) {
    let server = server(pool).await;
    let id = server.register("Guybrush").await.json["id"].clone();
    sqlx::query("UPDATE authstack.users SET roles = '{editor}'")
        .execute(&server.pool)
        .await
        .unwrap();
    let pair = server.login("guybrush").await.pair();
    let mut told = introspect(&server, &pair.access).await;
    let session: uuid::Uuid = sqlx::query_scalar("SELECT id FROM authstack.sessions")
        .fetch_one(&server.pool)
        .await
        .unwrap();
    let members = told.as_object_mut().unwrap();
    let [iat, exp] = ["iat", "exp"].map(|name| members.remove(name).unwrap().as_i64().unwrap());
    let now = OffsetDateTime::now_utc().unix_timestamp();
    assert!((now - 5..=now).contains(&iat));
    assert_eq!(exp, iat + 60);
    assert!(!members.remove("jti").unwrap().as_str().unwrap().is_empty());
    let expected = json!({
        "active": true, "token_type": "Bearer", "client_id": "authstack", "username": "Guybrush",
        "sub": id, "sid": session, "iss": "http://localhost:8001", "aud": "authstack",
        "roles": ["editor"],
    });
    assert_eq!(told, expected);
}

#[sqlx::test(migrations = false)]
async fn a_refresh_token_is_told_to_be_one_and_grants_nothing(pool: PgPool) {
    let server = server(pool).await;
    let pair = server.tokens("guybrush").await;
    let told = introspect(&server, &pair.refresh).await;
    assert_eq!(told["active"], true);
    assert_eq!(told["token_type"], "refresh_token");
    assert_eq!(told["username"], "guybrush");
    assert!(
        told.get("aud").is_none() && told.get("roles").is_none(),
        "{told}"
    );
    let access = introspect(&server, &pair.access).await;
    assert_eq!(told["sid"], access["sid"]);
    assert_eq!(told["sub"], access["sub"]);
    assert_eq!(
        told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap(),
        7 * 86_400
    );
}

#[sqlx::test(migrations = false)]
async fn what_happens_to_the_session_counts_at_once(pool: PgPool) {
    let server = server(pool).await;
    let pair = server.tokens("guybrush").await;
    sqlx::query("UPDATE authstack.users SET roles = '{admin}'")
        .execute(&server.pool)
        .await
        .unwrap();
    let told = introspect(&server, &pair.access).await;
    assert_eq!(told["roles"], json!(["admin"]), "as they are now");
    for (change, back) in [
        (
            "UPDATE authstack.users SET disabled_at = now()",
            "UPDATE authstack.users SET disabled_at = NULL",
        ),
        (
            "UPDATE authstack.sessions SET expires_at = now()",
            "UPDATE authstack.sessions SET expires_at = now() + interval '1 day'",
        ),
    ] {
        sqlx::query(change).execute(&server.pool).await.unwrap();
        for token in [&pair.access, &pair.refresh] {
            assert_eq!(introspect(&server, token).await, json!({"active": false}));
        }
        sqlx::query(back).execute(&server.pool).await.unwrap();
        assert_eq!(introspect(&server, &pair.access).await["active"], true);
    }
    server
        .post("/auth/logout")
        .bearer(&pair.access)
        .send()
        .await;
    for token in [&pair.access, &pair.refresh] {
        assert_eq!(introspect(&server, token).await, json!({"active": false}));
    }
}

#[sqlx::test(migrations = false)]
async fn a_refresh_token_is_active_as_long_as_it_would_be_taken(pool: PgPool) {
    let server = server(pool).await;
    let first = server.tokens("guybrush").await;
    let second = server.refresh(&first.refresh).await.pair();
    assert_eq!(introspect(&server, &second.refresh).await["active"], true);
    assert_eq!(
        introspect(&server, &first.refresh).await["active"],
        true,
        "within its grace"
    );
    server.age_rotations(11).await;
    assert_eq!(
        introspect(&server, &first.refresh).await,
        json!({"active": false})
    );
    // Asking is not presenting: the session lives on.
    assert_eq!(introspect(&server, &second.refresh).await["active"], true);
    assert_eq!(server.refresh(&second.refresh).await.status, StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn everything_else_is_inactive_and_nothing_more(pool: PgPool) {
    let server = server(pool).await;
    let pair = server.tokens("guybrush").await;
    let mut tampered = pair.access.clone();
    tampered.replace_range(tampered.len() - 4.., "AAAA");
    let long = "x".repeat(20_000);
    for token in ["x", "a.b.c", "é", &tampered, &long] {
        assert_eq!(introspect(&server, token).await, json!({"active": false}));
    }
    server.advance(66);
    assert_eq!(
        introspect(&server, &pair.access).await,
        json!({"active": false})
    );
    assert_eq!(introspect(&server, &pair.refresh).await["active"], true);
}

#[sqlx::test(migrations = false)]
async fn revoking_either_token_ends_its_session_and_no_other(pool: PgPool) {
    let server = server(pool).await;
    let other = server.tokens("guybrush").await;
    for refresh in [false, true] {
        let pair = server.login("guybrush").await.pair();
        revoke(&server, if refresh { &pair.refresh } else { &pair.access }).await;
        let me = server.me(&pair.access).await;
        me.assert_problem(401, "invalid-token");
        let again = server.refresh(&pair.refresh).await;
        again.assert_problem(401, "invalid-token");
        revoke(&server, &pair.refresh).await;
    }
    assert_eq!(server.me(&other.access).await.status, StatusCode::OK);
    let (events, reasons) = (
        "SELECT count(*) FROM authstack.audit WHERE action = 'token_revoke'
         AND result = 'success' AND detail = '{\"client_id\": \"shop\"}'
         AND user_id IS NOT NULL AND session_id IS NOT NULL AND actor_id IS NULL",
        "SELECT count(*) FROM authstack.sessions WHERE revoked_reason = 'token_revoke'",
    );
    assert_eq!(server.count(events).await, 2, "once for each session");
    assert_eq!(server.count(reasons).await, 2);
}

#[sqlx::test(migrations = false)]
async fn revoking_what_is_no_token_is_no_error(pool: PgPool) {
    let server = server(pool).await;
    for token in ["x", "a.b.c"] {
        revoke(&server, token).await;
    }
    let events = "SELECT count(*) FROM authstack.audit WHERE action = 'token_revoke'";
    assert_eq!(server.count(events).await, 0);
}

#[sqlx::test(migrations = false)]
async fn only_configured_clients_are_answered(pool: PgPool) {
    let server = server(pool).await;
    let pair = server.tokens("guybrush").await;
    for path in ["/oauth2/introspect", "/oauth2/revoke"] {
        let call = || server.post(path).form(&[("token", &pair.access)]);
        for call in [
            call(),
            call().bearer(&pair.access),
            call().basic("shop", ""),
            call().basic("shop", &CLIENT_SECRET[1..]),
            call().basic("shop", "another-secret-another-secret-01"),
            call().basic("nobody", CLIENT_SECRET),
            call().basic("guybrush", PASSWORD),
            call().cookie("access_token", &pair.access),
            call()
                .basic("shop", CLIENT_SECRET)
                .basic("shop", CLIENT_SECRET),
        ] {
            let answer = call.send().await;
            assert_error(&answer, 401, "invalid-client", "invalid_client");
            assert!(!answer.text.contains("active"));
        }
    }
    assert_eq!(server.me(&pair.access).await.status, StatusCode::OK);
    // Encoded as RFC 6749 says, or not: it is the same.
    let call = server
        .post("/oauth2/introspect")
        .basic("%73hop", &CLIENT_SECRET.replace('-', "%2D"))
        .form(&[("token", &pair.access)]);
    assert_eq!(call.send().await.json["active"], true);
}

#[sqlx::test(migrations = false)]
async fn without_clients_nobody_is_answered(pool: PgPool) {
    let server = Server::new(pool).await;
    for path in ["/oauth2/introspect", "/oauth2/revoke"] {
        for (id, secret) in [("", ""), ("shop", CLIENT_SECRET)] {
            let call = server.post(path).basic(id, secret);
            let answer = call.form(&[("token", "x")]).send().await;
            assert_error(&answer, 401, "invalid-client", "invalid_client");
        }
    }
}

#[sqlx::test(migrations = false)]
async fn requests_that_are_malformed_say_so_in_both_languages(pool: PgPool) {
    let server = server(pool).await;
    for path in ["/oauth2/introspect", "/oauth2/revoke"] {
        let call = || server.post(path).basic("shop", CLIENT_SECRET);
        for form in [
            &[][..],
            &[("token", "")],
            &[("token_type_hint", "access_token")],
            &[("token", "x"), ("token", "x")],
            &[
                ("token", "x"),
                ("token_type_hint", "a"),
                ("token_type_hint", "a"),
            ],
        ] {
            let answer = call().form(form).send().await;
            assert_error(&answer, 400, "bad-request", "invalid_request");
        }
        let answer = call().json(&json!({"token": "x"})).send().await;
        assert_error(&answer, 415, "media-type", "invalid_request");
        let answer = call().body("token=x").send().await;
        assert_error(&answer, 415, "media-type", "invalid_request");
        let answer = call().form(&[("token", &"x".repeat(70_000))]).send().await;
        assert_error(&answer, 413, "too-large", "invalid_request");
        let answer = server.get(path).send().await;
        assert_error(&answer, 405, "method-not-allowed", "invalid_request");
        // What is unknown is ignored, and so is a hint that is wrong.
        let answer = call()
            .form(&[
                ("token", "x"),
                ("token_type_hint", "saml"),
                ("x", "y"),
                ("x", "y"),
            ])
            .send()
            .await;
        assert_eq!(answer.status, StatusCode::OK);
    }
}

#[sqlx::test(migrations = false)]
async fn without_a_database_it_is_a_503(pool: PgPool) {
    let server = server(pool).await;
    let pair = server.tokens("guybrush").await;
    server.pool.close().await;
    for path in ["/oauth2/introspect", "/oauth2/revoke"] {
        let answer = ask(&server, path, &pair.access).await;
        assert_error(&answer, 503, "unavailable", "temporarily_unavailable");
    }
}
