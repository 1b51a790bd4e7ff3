//! Limits: each at its boundary, across servers, for whoever is asked about.

use std::time::{Duration, Instant};

use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::json;
use sqlx::PgPool;

use crate::support::{Answer, PASSWORD, Server};

mod limiter;
mod passwords;

const ON: [&str; 2] = ["--rate-limits=on", "--trusted-proxy-hops=1"];

const SIX_SECONDS: Duration = Duration::from_secs(6);

const HOUR: Duration = Duration::from_hours(1);

/// A replica with limits, behind a proxy: it knows nothing of other replicas
/// but what the database says.
async fn limited(pool: &PgPool) -> Server {
    Server::with_flags(pool.clone(), &ON).await
}

/// The same, where a token takes an hour instead of six seconds: for tests that
/// must not depend on how fast they run.
async fn slowly_refilled(pool: &PgPool) -> Server {
    let flags = [ON[0], ON[1], "--limit-login-per-account-and-address=10/1h"];
    Server::with_flags(pool.clone(), &flags).await
}

/// Logs in from an address.
async fn login(server: &Server, address: &str, username: &str, password: &str) -> Answer {
    let body = json!({"username": username, "password": password});
    let call = server.post("/auth/login").json(&body);
    call.header("x-forwarded-for", address).send().await
}

/// Tries a wrong password.
async fn guess(server: &Server, address: &str, username: &str) -> Answer {
    login(server, address, username, "not the password").await
}

/// Registers from an address.
async fn register(server: &Server, address: &str, username: &str) -> Answer {
    let body = json!({
        "username": username, "email": format!("{username}@example.com"), "password": PASSWORD,
    });
    let call = server.post("/auth/register").json(&body);
    call.header("x-forwarded-for", address).send().await
}

/// Lets the time of the buckets pass, without waiting.
pub(crate) async fn pass(server: &Server, time: Duration) {
    shift(server, -i64::try_from(time.as_micros()).unwrap()).await;
}

async fn shift(server: &Server, microseconds: i64) {
    sqlx::query("UPDATE authstack.buckets SET full_at = full_at + $1 * interval '1 microsecond'")
        .bind(microseconds)
        .execute(&server.pool)
        .await
        .unwrap();
}

/// That this is the refusal of a limit, for at most so long.
#[track_caller]
fn assert_limited(answer: &Answer, longest: Duration) -> Duration {
    answer.assert_problem(429, "rate-limited");
    let wait = Duration::from_secs(answer.header("retry-after").parse().unwrap());
    assert!(!wait.is_zero() && wait <= longest, "{wait:?}");
    wait
}

/// Tries until refused, and holds how many were not to what the limit allows
/// in the time that it took. Afterwards it is as if no time had passed.
async fn exhaust(
    server: &Server,
    burst: u32,
    period: Duration,
    mut attempt: impl AsyncFnMut(u32) -> Answer,
) -> Answer {
    let started = Instant::now();
    let (mut passed, mut first_done) = (0, None);
    let mut last_begun;
    let refused = loop {
        last_begun = Instant::now();
        let answer = attempt(passed).await;
        first_done = first_done.or(Some(Instant::now()));
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            break answer;
        }
        passed += 1;
        assert!(passed < 3 * burst, "no limit");
    };
    let took = started.elapsed();
    assert!(passed >= burst, "{passed}, not {burst}");
    let beyond = passed - burst;
    assert!(
        period * beyond <= took,
        "{passed}, not {burst}, in {took:?}"
    );
    let wait = assert_limited(&refused, period.max(Duration::from_secs(1)));
    let shortest = (period * (beyond + 1)).saturating_sub(took);
    assert!(wait >= shortest, "{wait:?}, not {shortest:?}");
    // What was refilled meanwhile was used up by the attempts beyond the burst.
    let between = last_begun.saturating_duration_since(first_done.unwrap());
    let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap();
    shift(server, micros(between) - micros(period * beyond)).await;
    refused
}

#[sqlx::test(migrations = false)]
async fn a_change_of_names_counts_as_a_registration(pool: PgPool) {
    let server = limited(&pool).await;
    register(&server, "192.0.2.9", "elaine").await;
    register(&server, "192.0.2.9", "guybrush").await;
    let pair = login(&server, "192.0.2.9", "guybrush", PASSWORD)
        .await
        .pair();
    exhaust(&server, 20, Duration::from_mins(3), async |n| {
        // Taken or not, the answer tells.
        let name = if n % 2 == 0 {
            "elaine".to_owned()
        } else {
            format!("pirate{n}")
        };
        let call = server
            .call(Method::PATCH, "/auth/user/me")
            .bearer(&pair.access);
        let call = call.json(&json!({"username": name}));
        call.header("x-forwarded-for", "192.0.2.1").send().await
    })
    .await;
    let answer = register(&server, "192.0.2.1", "elaine").await;
    assert_limited(&answer, Duration::from_mins(3));
}

#[sqlx::test(migrations = false)]
async fn twenty_registrations_an_hour_from_an_address(pool: PgPool) {
    let server = limited(&pool).await;
    let period = Duration::from_mins(3);
    // What breaks a rule asks nothing of the database, and is not counted.
    for _ in 0..25 {
        let answer = register(&server, "192.0.2.1", "a b").await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    register(&server, "192.0.2.2", "guybrush").await;
    // A name that is taken is: it tells who has an account.
    exhaust(&server, 20, period, async |n| match n % 2 {
        0 => register(&server, "192.0.2.1", &format!("pirate{n}")).await,
        _ => register(&server, "192.0.2.1", "guybrush").await,
    })
    .await;
    let other = limited(&pool).await;
    let answer = register(&other, "192.0.2.1", "guybrush").await;
    assert_limited(&answer, period);
    let answer = register(&other, "192.0.2.2", "elaine").await;
    assert_eq!(answer.status, StatusCode::CREATED);
    pass(&server, period).await;
    let other = limited(&pool).await;
    let answer = register(&other, "192.0.2.1", "lechuck").await;
    assert_eq!(answer.status, StatusCode::CREATED);
}

#[sqlx::test(migrations = false)]
async fn a_hundred_refreshes_of_a_session_then_one_a_second(pool: PgPool) {
    let server = limited(&pool).await;
    register(&server, "192.0.2.1", "guybrush").await;
    let login = || login(&server, "192.0.2.1", "guybrush", PASSWORD);
    let (mut pair, other) = (login().await.pair(), login().await.pair());
    let refused = exhaust(&server, 100, Duration::from_secs(1), async |_| {
        let answer = server.refresh(&pair.refresh).await;
        if answer.status == StatusCode::OK {
            pair = answer.pair();
        }
        answer
    });
    refused.await;
    // Another session of the same user is not concerned, and this one goes on.
    server.refresh(&other.refresh).await.pair();
    pass(&server, Duration::from_secs(1)).await;
    limited(&pool).await.refresh(&pair.refresh).await.pair();
    // A token that is not ours has no session to count for.
    server
        .refresh("x.y.z")
        .await
        .assert_problem(401, "invalid-token");
}

#[sqlx::test(migrations = false)]
async fn a_64_of_version_6_is_one_address(pool: PgPool) {
    let server = limited(&pool).await;
    exhaust(&server, 10, SIX_SECONDS, async |n| {
        guess(&server, &format!("2001:db8:0:1::{n:x}"), "guybrush").await
    })
    .await;
    guess(&server, "2001:db8:0:2::1", "guybrush")
        .await
        .assert_problem(401, "login-refused");
}

#[sqlx::test(migrations = false)]
async fn what_a_client_writes_into_the_header_is_no_address(pool: PgPool) {
    // Behind one proxy, the last entry counts.
    let server = limited(&pool).await;
    exhaust(&server, 10, SIX_SECONDS, async |n| {
        guess(&server, &format!("203.0.113.{n}, 192.0.2.1"), "guybrush").await
    })
    .await;
    // Without one, no entry does.
    let direct = Server::with_flags(pool, &["--rate-limits=on"]).await;
    exhaust(&server, 10, SIX_SECONDS, async |n| {
        guess(&direct, &format!("203.0.113.{n}"), "guybrush").await
    })
    .await;
}

/// Each export is written down and is part of the next: without a limit, who
/// has an account could fill the database by reading.
#[sqlx::test(migrations = false)]
async fn ten_exports_of_an_account_then_one_in_six_minutes(pool: PgPool) {
    let server = limited(&pool).await;
    register(&server, "192.0.2.1", "guybrush").await;
    register(&server, "192.0.2.1", "lechuck").await;
    let of = async |name: &str| login(&server, "192.0.2.1", name, PASSWORD).await.pair();
    let (first, second, other) = (
        of("guybrush").await,
        of("guybrush").await,
        of("lechuck").await,
    );
    let export = async |access: &str| {
        let call = server.get("/auth/user/me/export").bearer(access);
        call.send().await
    };
    exhaust(&server, 10, Duration::from_mins(6), async |n| {
        export([&first, &second][n as usize % 2].access.as_str()).await
    })
    .await;
    let events = "SELECT count(*) FROM authstack.audit WHERE action = 'account_export'";
    assert_eq!(server.count(events).await, 10);
    assert_eq!(export(&other.access).await.status, StatusCode::OK);
    pass(&server, Duration::from_mins(6)).await;
    // Another replica, which remembers no refusal.
    let replica = limited(&pool).await;
    for status in [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS] {
        let call = replica.get("/auth/user/me/export").bearer(&first.access);
        assert_eq!(call.send().await.status, status);
    }
}

/// A figure of a server's metrics, or 0.
async fn metric(server: &Server, name: &str) -> u64 {
    let text = server.probe("/metrics").send().await.text;
    let line = text.lines().find(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(' '))
    });
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

/// A proxy appends to what a client sent, which may be anything.
#[sqlx::test(migrations = false)]
async fn bytes_that_are_no_text_do_not_hide_where_a_request_comes_from(pool: PgPool) {
    let server = limited(&pool).await;
    for value in [
        &b"\xff, 192.0.2.1"[..],
        b"\xc3\xa9, 198.51.100.1 , 192.0.2.1",
    ] {
        let body = json!({"username": "nobody", "password": "a guess"});
        let call = server.post("/auth/login").json(&body);
        let value = HeaderValue::from_bytes(value).unwrap();
        let call = call.header_value(HeaderName::from_static("x-forwarded-for"), value);
        call.send().await.assert_problem(401, "login-refused");
    }
    let seen = "SELECT count(*) FROM authstack.audit WHERE client_address = '192.0.2.1'";
    assert_eq!(server.count(seen).await, 2);
}
