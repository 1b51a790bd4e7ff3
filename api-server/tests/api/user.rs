//! `GET /auth/user/me`, and what makes a token good.

use authstack_api::crypto::{
    jwt::{AccessClaims, Tokens},
    keys::Keys,
};
use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use sqlx::PgPool;

use crate::support::{Server, tokens};

#[sqlx::test(migrations = false)]
async fn by_bearer_or_by_cookie(pool: PgPool) {
    let server = Server::new(pool).await;
    let id = server.register("Guybrush").await.json["id"].clone();
    let pair = server.login("guybrush").await.pair();
    let by_bearer = server.me(&pair.access).await;
    assert_eq!(by_bearer.status, StatusCode::OK);
    assert_eq!(by_bearer.json["id"], id);
    assert_eq!(by_bearer.json["username"], "Guybrush");
    assert_eq!(by_bearer.json["email"], "Guybrush@example.com");
    assert_eq!(by_bearer.json["roles"], json!([]));
    assert!(by_bearer.json["created_at"].is_string());
    let by_cookie = server
        .get("/auth/user/me")
        .cookie("access_token", &pair.access);
    assert_eq!(by_cookie.send().await.json, by_bearer.json);
}

#[sqlx::test(migrations = false)]
async fn without_a_token_one_is_asked_for(pool: PgPool) {
    let server = Server::new(pool).await;
    let answer = server.get("/auth/user/me").send().await;
    answer.assert_problem(401, "no-token");
    assert_eq!(
        answer.header("www-authenticate"),
        r#"Bearer realm="authstack""#
    );
}

#[sqlx::test(migrations = false)]
async fn with_authorization_cookies_are_ignored(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let call = server
        .get("/auth/user/me")
        .cookie("access_token", &pair.access);
    let answer = call
        .header("authorization", "Basic Zm9vOmJhcg==")
        .send()
        .await;
    answer.assert_problem(401, "invalid-token");
    let call = server
        .get("/auth/user/me")
        .cookie("access_token", "garbage");
    assert_eq!(
        call.bearer(&pair.access).send().await.status,
        StatusCode::OK
    );
}

#[sqlx::test(migrations = false)]
async fn a_refresh_token_is_no_access_token(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    server
        .me(&pair.refresh)
        .await
        .assert_problem(401, "invalid-token");
}

#[sqlx::test(migrations = false)]
async fn an_expired_token_is_refused(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    server.advance(63);
    assert_eq!(
        server.me(&pair.access).await.status,
        StatusCode::OK,
        "leeway"
    );
    server.advance(4);
    let answer = server.me(&pair.access).await;
    answer.assert_problem(401, "invalid-token");
    assert_eq!(answer.json["detail"], "the token has expired");
}

#[sqlx::test(migrations = false)]
async fn tampered_foreign_and_unsigned_tokens_are_refused(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let claims = tokens()
        .read_access(&pair.access, server.app.now())
        .unwrap();
    let (signed, signature) = pair.access.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();

    let other_key = Keys::from_secret(&"another secret of enough bytes...".into()).unwrap();
    let other_key = Tokens::new(other_key, claims.iss.clone(), claims.aud.clone());
    let with_alg =
        |alg: &str| URL_SAFE_NO_PAD.encode(format!(r#"{{"typ":"at+jwt","alg":"{alg}"}}"#));
    let other_user = AccessClaims {
        sub: uuid::Uuid::now_v7(),
        ..claims.clone()
    };
    let forged_payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&other_user).unwrap());
    let key = jsonwebtoken::EncodingKey::from_secret(crate::support::SECRET.as_bytes());
    let mut hs512 = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS512);
    hs512.typ = Some("at+jwt".into());

    for (what, token) in [
        ("another key", other_key.sign_access(&claims).unwrap()),
        (
            "another algorithm",
            jsonwebtoken::encode(&hs512, &claims, &key).unwrap(),
        ),
        ("alg none", format!("{}.{payload}.", with_alg("none"))),
        (
            "alg none, signed",
            format!("{}.{payload}.{signature}", with_alg("none")),
        ),
        (
            "another payload",
            format!("{header}.{forged_payload}.{signature}"),
        ),
        ("no signature", format!("{signed}.")),
        (
            "another header",
            format!("{}.{payload}.{signature}", with_alg("HS384")),
        ),
        ("cut short", pair.access[..pair.access.len() - 2].to_owned()),
        ("empty", String::new()),
        ("words", "not.a.token".to_owned()),
        ("huge", "x".repeat(200_000)),
        // Signed by us, for a user who does not own the session.
        ("another user", tokens().sign_access(&other_user).unwrap()),
        (
            "another audience",
            tokens()
                .sign_access(&AccessClaims {
                    aud: "other".into(),
                    ..claims.clone()
                })
                .unwrap(),
        ),
        (
            "another issuer",
            tokens()
                .sign_access(&AccessClaims {
                    iss: "http://evil.example".into(),
                    ..claims.clone()
                })
                .unwrap(),
        ),
        (
            "no such session",
            tokens()
                .sign_access(&AccessClaims {
                    sid: uuid::Uuid::now_v7(),
                    ..claims.clone()
                })
                .unwrap(),
        ),
    ] {
        let answer = server.me(&token).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{what}");
        answer.assert_problem(401, "invalid-token");
    }
    assert_eq!(server.me(&pair.access).await.status, StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn disabling_a_user_acts_at_once(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    sqlx::query("UPDATE authstack.users SET disabled_at = now()")
        .execute(&server.pool)
        .await
        .unwrap();
    server
        .me(&pair.access)
        .await
        .assert_problem(401, "invalid-token");
    server
        .refresh(&pair.refresh)
        .await
        .assert_problem(401, "invalid-token");
}

#[sqlx::test(migrations = false)]
async fn a_session_that_has_run_out_is_over_whatever_the_token_says(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    sqlx::query("UPDATE authstack.sessions SET expires_at = now()")
        .execute(&server.pool)
        .await
        .unwrap();
    server
        .me(&pair.access)
        .await
        .assert_problem(401, "invalid-token");
    server
        .refresh(&pair.refresh)
        .await
        .assert_problem(401, "invalid-token");
}

#[sqlx::test(migrations = false)]
async fn without_a_database_it_is_a_503(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    server.pool.close().await;
    server
        .me(&pair.access)
        .await
        .assert_problem(503, "unavailable");
    server
        .login("guybrush")
        .await
        .assert_problem(503, "unavailable");
    server
        .refresh(&pair.refresh)
        .await
        .assert_problem(503, "unavailable");
}
