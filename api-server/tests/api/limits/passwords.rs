//! Limits on passwords: at login, and wherever else one is checked.

use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use futures::future::join_all;
use serde_json::json;
use sqlx::PgPool;

use super::{
    HOUR, SIX_SECONDS, assert_limited, exhaust, guess, limited, login, metric, pass, register,
    slowly_refilled,
};
use crate::support::{Answer, PASSWORD, Server};

#[sqlx::test(migrations = false)]
async fn ten_passwords_for_an_account_from_an_address_then_one_in_six_seconds(pool: PgPool) {
    let server = limited(&pool).await;
    register(&server, "192.0.2.1", "guybrush").await;
    exhaust(&server, 10, SIX_SECONDS, async |_| {
        guess(&server, "192.0.2.1", "guybrush").await
    })
    .await;
    let right = login(&server, "192.0.2.1", "guybrush", PASSWORD).await;
    assert_limited(&right, SIX_SECONDS);
    // Others are not concerned.
    login(&server, "192.0.2.2", "guybrush", PASSWORD)
        .await
        .pair();
    guess(&server, "192.0.2.1", "elaine")
        .await
        .assert_problem(401, "login-refused");
    // A token comes back with time; another server sees it at once.
    pass(&server, SIX_SECONDS).await;
    let other = limited(&pool).await;
    login(&other, "192.0.2.1", "guybrush", PASSWORD)
        .await
        .pair();
    assert_limited(&guess(&other, "192.0.2.1", "guybrush").await, SIX_SECONDS);
    // A full bucket holds no more than ten.
    pass(&server, Duration::from_hours(9)).await;
    let other = limited(&pool).await;
    exhaust(&server, 10, SIX_SECONDS, async |_| {
        guess(&other, "192.0.2.1", "guybrush").await
    })
    .await;
}

#[sqlx::test(migrations = false)]
async fn forty_passwords_for_an_account_wherever_they_come_from(pool: PgPool) {
    let server = limited(&pool).await;
    register(&server, "192.0.2.1", "guybrush").await;
    exhaust(&server, 40, SIX_SECONDS, async |n| {
        guess(&server, &format!("198.51.100.{n}"), "guybrush").await
    })
    .await;
    pass(&server, SIX_SECONDS).await;
    let other = limited(&pool).await;
    login(&other, "192.0.2.1", "guybrush", PASSWORD)
        .await
        .pair();
    let refused = login(&other, "192.0.2.1", "guybrush", PASSWORD).await;
    assert_limited(&refused, SIX_SECONDS);
}

#[sqlx::test(migrations = false)]
async fn a_hundred_passwords_from_an_address_whomever_they_are_for(pool: PgPool) {
    let server = limited(&pool).await;
    register(&server, "192.0.2.1", "guybrush").await;
    let started = Instant::now();
    let calls = (0..200).map(|n| {
        let server = server.clone();
        tokio::spawn(async move { guess(&server, "192.0.2.1", &format!("pirate{n}")).await })
    });
    let answers: Vec<_> = join_all(calls)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let refilled = usize::try_from(started.elapsed().as_millis() / 500).unwrap();
    let (passed, refused): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.status != StatusCode::TOO_MANY_REQUESTS);
    let most = 100 + refilled;
    assert!((100..=most).contains(&passed.len()), "{}", passed.len());
    for answer in refused {
        answer.assert_problem(429, "rate-limited");
        assert_eq!(answer.header("retry-after"), "1");
    }
    login(&server, "192.0.2.2", "guybrush", PASSWORD)
        .await
        .pair();
}

#[sqlx::test(migrations = false)]
async fn who_is_refused_by_one_limit_takes_nothing_from_another(pool: PgPool) {
    let server = limited(&pool).await;
    register(&server, "192.0.2.1", "guybrush").await;
    // A server without a memory of refusals, each time: the database decides.
    for _ in 0..30 {
        guess(&limited(&pool).await, "203.0.113.1", "guybrush").await;
    }
    // Ten of forty are used up, not thirty.
    let started = Instant::now();
    let mut passed = 0;
    for n in 0..40 {
        let answer = guess(&server, &format!("198.51.100.{n}"), "guybrush").await;
        passed += usize::from(answer.status == StatusCode::UNAUTHORIZED);
    }
    let refilled = usize::try_from(started.elapsed().as_secs() / 6).unwrap() + 1;
    assert!((30..=30 + refilled).contains(&passed), "{passed}");
}

#[sqlx::test(migrations = false)]
async fn unknown_names_are_limited_as_known_ones(pool: PgPool) {
    let server = limited(&pool).await;
    register(&server, "192.0.2.1", "guybrush").await;
    register(&server, "192.0.2.1", "disabled").await;
    sqlx::query("UPDATE authstack.users SET disabled_at = now() WHERE username = 'disabled'")
        .execute(&pool)
        .await
        .unwrap();
    let names = [
        "guybrush",
        "disabled",
        "disabled@example.com",
        "nobody",
        "nobody@example.com",
        "no\0body",
        "NOBODY ",
    ];
    for (n, name) in names.into_iter().enumerate() {
        let address = format!("192.0.2.{}", 10 + n);
        let refused = exhaust(&server, 10, SIX_SECONDS, async |_| {
            guess(&server, &address, name).await
        });
        let mut body = refused.await.json;
        body["instance"] = json!(null);
        let title = "Too many attempts";
        let detail = "too many attempts; try again after as many seconds as Retry-After says";
        assert_eq!(body["title"], title, "{name:?}");
        assert_eq!(body["detail"], detail, "{name:?}");
    }
}

/// Name and address share one budget, or whoever knows both had two. But a 429
/// for an address because of tries at a name would tell that both are one
/// account's. So those attempts fail as with a wrong password.
#[sqlx::test(migrations = false)]
async fn a_name_and_its_address_share_a_budget_and_no_answer_says_so(pool: PgPool) {
    let server = slowly_refilled(&pool).await;
    register(&server, "192.0.2.1", "guybrush").await;
    exhaust(&server, 10, HOUR, async |_| {
        guess(&server, "192.0.2.1", "guybrush").await
    })
    .await;
    // The other name, with the right password: refused, and not by a 429.
    let hashes = async || metric(&server, "password_hash_wait_seconds_count").await;
    let before = hashes().await;
    let known = login(&server, "192.0.2.1", "guybrush@example.com", PASSWORD).await;
    assert_eq!(hashes().await, before + 1, "it costs a hash");
    let unknown = login(&server, "192.0.2.1", "nobody@example.com", PASSWORD).await;
    known.assert_problem(401, "login-refused");
    unknown.assert_problem(401, "login-refused");
    // Either is limited after as many attempts: nine more pass.
    for name in ["guybrush@example.com", "nobody@example.com"] {
        for n in 0..9 {
            let answer = login(&server, "192.0.2.1", name, PASSWORD).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{name}, {n}");
        }
        let answer = login(&server, "192.0.2.1", name, PASSWORD).await;
        assert_limited(&answer, HOUR);
    }
    // What was void charged nothing to the account: one token is one login.
    pass(&server, HOUR).await;
    let other = slowly_refilled(&pool).await;
    login(&other, "192.0.2.1", "guybrush@example.com", PASSWORD)
        .await
        .pair();
    let reasons: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM authstack.audit WHERE detail->>'reason' = 'limited'",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(reasons, 10, "the audit log says what the answer does not");
}

#[sqlx::test(migrations = false)]
async fn alternating_between_name_and_address_gains_nothing(pool: PgPool) {
    let server = slowly_refilled(&pool).await;
    register(&server, "192.0.2.1", "guybrush").await;
    for n in 0..10 {
        let name = ["guybrush", "guybrush@example.com"][n % 2];
        guess(&server, "192.0.2.1", name).await;
    }
    for name in ["guybrush", "guybrush@example.com"] {
        let answer = login(&server, "192.0.2.1", name, PASSWORD).await;
        answer.assert_problem(401, "login-refused");
    }
}

/// Every route that checks a password, from one address.
async fn confirm(server: &Server, access: &str, route: u32, password: &str) -> Answer {
    let (method, path, body) = match route % 3 {
        0 => (
            Method::POST,
            "/auth/user/me/password",
            json!({"current_password": password, "new_password": "look behind you"}),
        ),
        1 => (
            Method::PATCH,
            "/auth/user/me",
            json!({"current_password": password, "email": "mighty@example.com"}),
        ),
        _ => (
            Method::DELETE,
            "/auth/user/me",
            json!({"current_password": password}),
        ),
    };
    let call = server.call(method, path).bearer(access).json(&body);
    call.header("x-forwarded-for", "192.0.2.1").send().await
}

#[sqlx::test(migrations = false)]
async fn every_route_that_checks_a_password_shares_the_budget(pool: PgPool) {
    let server = limited(&pool).await;
    register(&server, "192.0.2.9", "guybrush").await;
    let pair = login(&server, "192.0.2.9", "guybrush", PASSWORD)
        .await
        .pair();
    // Each kind of route uses up what any other has then not.
    exhaust(&server, 10, SIX_SECONDS, async |n| match n % 4 {
        3 => guess(&server, "192.0.2.1", "guybrush").await,
        route => confirm(&server, &pair.access, route, "not the password").await,
    })
    .await;
    for route in 0..3 {
        let answer = confirm(&server, &pair.access, route, PASSWORD).await;
        assert_limited(&answer, SIX_SECONDS);
    }
    let answer = login(&server, "192.0.2.1", "guybrush", PASSWORD).await;
    assert_limited(&answer, SIX_SECONDS);
    // By the address two more guesses had been left, as of an unknown name;
    // but they are void.
    let answer = login(&server, "192.0.2.1", "guybrush@example.com", PASSWORD).await;
    answer.assert_problem(401, "login-refused");
    // Nothing was done by those that were refused.
    pass(&server, SIX_SECONDS).await;
    let other = limited(&pool).await;
    let answer = confirm(&other, &pair.access, 0, PASSWORD).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text);
}

#[sqlx::test(migrations = false)]
async fn a_hundred_logins_at_once_on_two_servers_are_ten(pool: PgPool) {
    let servers = [limited(&pool).await, limited(&pool).await];
    register(&servers[0], "192.0.2.1", "guybrush").await;
    let started = Instant::now();
    let calls = (0..100).map(|n| {
        let server = servers[n % 2].clone();
        tokio::spawn(async move { login(&server, "192.0.2.1", "guybrush", PASSWORD).await })
    });
    let answers: Vec<_> = join_all(calls)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let refilled = usize::try_from(started.elapsed().as_secs() / 6).unwrap();
    let passed = answers
        .iter()
        .filter(|answer| answer.status == StatusCode::OK)
        .count();
    assert!((10..=10 + refilled).contains(&passed), "{passed}");
    for answer in answers.iter().filter(|a| a.status != StatusCode::OK) {
        assert_limited(answer, SIX_SECONDS);
    }
}
