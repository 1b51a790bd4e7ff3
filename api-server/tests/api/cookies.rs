//! Cookies: their names, their attributes, and which are read.

use axum::http::{HeaderValue, StatusCode, header::COOKIE};
use serde_json::json;
use sqlx::PgPool;

use crate::support::{PASSWORD, Pair, Server};

#[sqlx::test(migrations = false)]
async fn over_http_they_have_plain_names(pool: PgPool) {
    let server = Server::new(pool).await;
    server.register("guybrush").await;
    let answer = server.login("guybrush").await;
    let Pair { access, refresh } = answer.pair();
    let expected = [
        format!("access_token={access}; HttpOnly; SameSite=Lax; Path=/; Max-Age=60"),
        format!("refresh_token={refresh}; HttpOnly; SameSite=Lax; Path=/auth; Max-Age=604800"),
    ];
    assert_eq!(answer.cookies(), expected);
}

#[sqlx::test(migrations = false)]
async fn over_https_they_are_secure_and_prefixed(pool: PgPool) {
    let server = Server::with_flags(pool, &["--public-url=https://auth.example.com"]).await;
    server.register("guybrush").await;
    let answer = server.login("guybrush").await;
    let Pair { access, refresh } = answer.pair();
    let expected = [
        format!("__Host-access_token={access}; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=60"),
        format!(
            "__Secure-refresh_token={refresh}; HttpOnly; SameSite=Lax; Secure; Path=/auth; Max-Age=604800"
        ),
    ];
    assert_eq!(answer.cookies(), expected);
    let me = server
        .get("/auth/user/me")
        .cookie("__Host-access_token", &access);
    assert_eq!(me.send().await.status, StatusCode::OK);
    // One that a neighbouring host could have planted is not read.
    let me = server.get("/auth/user/me").cookie("access_token", &access);
    assert_eq!(me.send().await.status, StatusCode::UNAUTHORIZED);
    let call = server
        .post("/auth/refresh")
        .cookie("refresh_token", &refresh);
    assert_eq!(call.send().await.status, StatusCode::UNAUTHORIZED);
    let call = server
        .post("/auth/refresh")
        .cookie("__Secure-refresh_token", &refresh);
    assert_eq!(call.send().await.status, StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn one_sent_twice_is_a_problem(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let twice = format!("access_token={0}; access_token={0}", pair.access);
    let answer = server
        .get("/auth/user/me")
        .header("cookie", &twice)
        .send()
        .await;
    answer.assert_problem(400, "bad-request");
    let call = server
        .get("/auth/user/me")
        .cookie("access_token", &pair.access);
    call.cookie("access_token", "x")
        .send()
        .await
        .assert_problem(400, "bad-request");
    let call = server
        .post("/auth/refresh")
        .cookie("refresh_token", &pair.refresh);
    call.cookie("refresh_token", "x")
        .send()
        .await
        .assert_problem(400, "bad-request");
}

#[sqlx::test(migrations = false)]
async fn max_age_is_what_is_left_of_the_session(pool: PgPool) {
    let flags = ["--access-token-ttl=90s", "--refresh-token-ttl=2h"];
    let server = Server::with_flags(pool, &flags).await;
    let pair = server.tokens("guybrush").await;
    sqlx::query("UPDATE authstack.sessions SET expires_at = now() + interval '1 hour'")
        .execute(&server.pool)
        .await
        .unwrap();
    let answer = server.refresh(&pair.refresh).await;
    let [access, refresh] = answer.cookies()[..] else {
        panic!("two cookies");
    };
    assert!(access.ends_with("Max-Age=90"), "{access}");
    let left: i64 = refresh.rsplit('=').next().unwrap().parse().unwrap();
    assert!((3_590..=3_600).contains(&left), "{left}");
}

#[sqlx::test(migrations = false)]
async fn a_login_beside_a_stale_cookie_succeeds(pool: PgPool) {
    let server = Server::new(pool).await;
    server.register("guybrush").await;
    let body = json!({"username": "guybrush", "password": PASSWORD});
    let call = server
        .post("/auth/login")
        .json(&body)
        .cookie("access_token", "stale");
    assert_eq!(call.send().await.status, StatusCode::OK);
}

/// What other programs on this host put into theirs is no affair of ours, and
/// hides nothing.
#[sqlx::test(migrations = false)]
async fn neighbours_that_are_no_text_change_nothing(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let me = async |cookies: &[u8]| {
        let cookies = HeaderValue::from_bytes(cookies).unwrap();
        let call = server.get("/auth/user/me");
        call.header_value(COOKIE, cookies).send().await
    };
    let ours = format!("access_token={}", pair.access).into_bytes();
    for neighbour in ["name=é; ".as_bytes(), b"name=\xe9; ", b"\xff\xfe=1; "] {
        let answer = me(&[neighbour, &ours].concat()).await;
        assert_eq!(answer.status, StatusCode::OK, "{neighbour:?}");
        let twice = [neighbour, &ours, b"; ", &ours].concat();
        me(&twice).await.assert_problem(400, "bad-request");
    }
    let answer = me(b"access_token=\xff").await;
    answer.assert_problem(401, "no-token");
    // Two headers, one of which is no text, are twice too.
    let call = server
        .get("/auth/user/me")
        .cookie("access_token", &pair.access);
    let other = HeaderValue::from_bytes(b"access_token=x; name=\xe9").unwrap();
    let answer = call.header_value(COOKIE, other).send().await;
    answer.assert_problem(400, "bad-request");
}
