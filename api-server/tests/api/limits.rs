//! Limits: each at its boundary, across servers, for whoever is asked about.

use std::time::{Duration, Instant};

use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use futures::future::join_all;
use serde_json::json;
use sqlx::PgPool;

use crate::support::{Answer, PASSWORD, Server};

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

#[sqlx::test(migrations = false)]
async fn limits_can_be_switched_off(pool: PgPool) {
    let server = Server::with_flags(pool, &["--rate-limits=off"]).await;
    for n in 0..25 {
        let answer = server.register(&format!("pirate{n}")).await;
        assert_eq!(answer.status, StatusCode::CREATED);
    }
    for _ in 0..15 {
        server.login("pirate1").await.pair();
    }
    assert_eq!(
        server.count("SELECT count(*) FROM authstack.buckets").await,
        0
    );
}

#[sqlx::test(migrations = false)]
async fn limits_are_what_the_settings_say(pool: PgPool) {
    let flags = [
        ON[0],
        ON[1],
        "--limit-login-per-account-and-address=2/1h",
        "--limit-registration-per-address=1/1h",
        "--limit-refresh-per-session=1/1h",
    ];
    let server = Server::with_flags(pool, &flags).await;
    register(&server, "192.0.2.1", "guybrush").await;
    let answer = register(&server, "192.0.2.1", "elaine").await;
    assert_limited(&answer, HOUR);
    let pair = login(&server, "192.0.2.1", "guybrush", PASSWORD)
        .await
        .pair();
    guess(&server, "192.0.2.1", "guybrush").await;
    assert_limited(&guess(&server, "192.0.2.1", "guybrush").await, HOUR);
    let pair = server.refresh(&pair.refresh).await.pair();
    assert_limited(&server.refresh(&pair.refresh).await, HOUR);
}

/// Whatever keeps the limiter from counting, nobody passes uncounted.
#[sqlx::test(migrations = false)]
async fn a_limiter_that_cannot_count_refuses(pool: PgPool) {
    let server = slowly_refilled(&pool).await;
    register(&server, "192.0.2.1", "guybrush").await;
    let pair = login(&server, "192.0.2.1", "guybrush", PASSWORD)
        .await
        .pair();
    exhaust(&server, 10, HOUR, async |_| {
        guess(&server, "192.0.2.9", "guybrush").await
    })
    .await;
    for (broken, mended) in [
        (
            "ALTER TABLE authstack.buckets RENAME TO elsewhere",
            "ALTER TABLE authstack.elsewhere RENAME TO buckets",
        ),
        (
            "ALTER FUNCTION authstack.take_tokens RENAME TO elsewhere",
            "ALTER FUNCTION authstack.elsewhere RENAME TO take_tokens",
        ),
        // What a standby says, which has no unlogged table.
        (
            "ALTER FUNCTION authstack.take_tokens RENAME TO elsewhere;
             CREATE FUNCTION authstack.take_tokens(bytea[], bigint[], bigint[], boolean[])
             RETURNS TABLE (place bigint, wait bigint) LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION USING ERRCODE = '0A000'; END $$",
            "DROP FUNCTION authstack.take_tokens;
             ALTER FUNCTION authstack.elsewhere RENAME TO take_tokens",
        ),
    ] {
        // What this server knows to be used up needs no database.
        let answer = guess(&server, "192.0.2.9", "guybrush").await;
        answer.assert_problem(429, "rate-limited");
        sqlx::raw_sql(broken).execute(&pool).await.unwrap();
        assert_limited(&guess(&server, "192.0.2.9", "guybrush").await, HOUR);
        // One that has the secret already, and one that has it not.
        for server in [&server, &slowly_refilled(&pool).await] {
            let answer = login(server, "192.0.2.1", "guybrush", PASSWORD).await;
            answer.assert_problem(503, "unavailable");
            let answer = register(server, "192.0.2.1", "elaine").await;
            answer.assert_problem(503, "unavailable");
            let answer = server.refresh(&pair.refresh).await;
            answer.assert_problem(503, "unavailable");
        }
        sqlx::raw_sql(mended).execute(&pool).await.unwrap();
    }
    sqlx::raw_sql("ALTER TABLE authstack.secrets RENAME TO elsewhere")
        .execute(&pool)
        .await
        .unwrap();
    let answer = login(
        &slowly_refilled(&pool).await,
        "192.0.2.1",
        "guybrush",
        PASSWORD,
    )
    .await;
    answer.assert_problem(503, "unavailable");
    // Refused, the refresh changed nothing.
    server.refresh(&pair.refresh).await.pair();
}

#[sqlx::test(migrations = false)]
async fn a_server_remembers_refusals_and_never_a_permission(pool: PgPool) {
    let servers = [slowly_refilled(&pool).await, slowly_refilled(&pool).await];
    register(&servers[0], "192.0.2.1", "guybrush").await;
    // Nine by one server leave one for both.
    for _ in 0..9 {
        guess(&servers[0], "192.0.2.1", "guybrush").await;
    }
    guess(&servers[1], "192.0.2.1", "guybrush").await;
    for _ in 0..2 {
        let answer = login(&servers[0], "192.0.2.1", "guybrush", PASSWORD).await;
        assert_limited(&answer, HOUR);
    }
    let refusals = |by: &str| {
        format!(r#"rate_limit_refusals_total{{limit="login_per_account_and_address",by="{by}"}}"#)
    };
    assert_eq!(metric(&servers[0], &refusals("database")).await, 1);
    assert_eq!(metric(&servers[0], &refusals("gate")).await, 1);
    // Filled by hand, it is full for who has not been refused yet.
    sqlx::raw_sql("DELETE FROM authstack.buckets")
        .execute(&pool)
        .await
        .unwrap();
    login(&servers[1], "192.0.2.1", "guybrush", PASSWORD)
        .await
        .pair();
    let answer = login(&servers[0], "192.0.2.1", "guybrush", PASSWORD).await;
    assert_limited(&answer, HOUR);
    assert_eq!(
        metric(&servers[0], r#"logins_total{result="refused"}"#).await,
        9
    );
    assert_eq!(
        metric(&servers[0], r#"logins_total{result="limited"}"#).await,
        3
    );
    assert_eq!(
        metric(&servers[1], r#"logins_total{result="success"}"#).await,
        1
    );
    assert_eq!(metric(&servers[1], "sessions_begun_total").await, 1);
}

#[sqlx::test(migrations = false)]
async fn what_people_type_is_not_in_the_buckets(pool: PgPool) {
    let servers = [limited(&pool).await, limited(&pool).await];
    // Both need the secret for the first time.
    let typed = "my password by mistake";
    let guesses = servers
        .iter()
        .map(|server| guess(server, "192.0.2.1", typed));
    join_all(guesses).await;
    assert_eq!(
        servers[0]
            .count("SELECT count(*) FROM authstack.secrets")
            .await,
        1
    );
    let buckets = "SELECT count(*) FROM authstack.buckets";
    assert_eq!(servers[0].count(buckets).await, 5, "both name them alike");
    let rows: Vec<String> = sqlx::query_scalar("SELECT b::text FROM authstack.buckets b")
        .fetch_all(&pool)
        .await
        .unwrap();
    for row in rows {
        assert!(!row.contains("password") && !row.contains("6d792070617373776f7264"));
    }
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
