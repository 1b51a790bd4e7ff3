//! What a login tells of whether an account exists: neither its answer, nor
//! its time, nor a limit.

use std::time::{Duration, Instant};

use authstack_api::crypto::hasher::Limits;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Answer, PASSWORD, Server, Setup};

const WRONG: &str = "not the password";

/// Limits are asked, as in life, but never refuse.
const FLAGS: [&str; 4] = [
    "--rate-limits=on",
    "--limit-login-per-account-and-address=999999/1ms",
    "--limit-login-per-account=999999/1ms",
    "--limit-login-per-address=999999/1ms",
];

/// A kind of login that fails. The first is what all are compared with.
struct Class {
    name: &'static str,
    username: &'static str,
    password: String,
}

fn classes() -> Vec<Class> {
    let class = |name, username, password: &str| Class {
        name,
        username,
        password: password.to_owned(),
    };
    vec![
        class("wrong password", "guybrush", WRONG),
        class("wrong password, by address", "guybrush@example.com", WRONG),
        class("unknown name", "nobody", WRONG),
        class("unknown address", "nobody@example.com", WRONG),
        class("disabled, right password", "disabled", PASSWORD),
        class("disabled, wrong password", "disabled", WRONG),
        class("empty password", "guybrush", ""),
        class("empty password, unknown name", "nobody", ""),
        class("over-long password", "guybrush", &"x".repeat(2_000)),
        class(
            "over-long password, unknown name",
            "nobody",
            &"x".repeat(2_000),
        ),
        class("no name at all", "a\0b", WRONG),
    ]
}

async fn server(pool: PgPool, flags: &[&'static str]) -> Server {
    let setup = Setup {
        flags: flags.to_vec(),
        limits: Limits::new(1, 64),
        ..Setup::default()
    };
    let server = Server::with(pool, setup).await;
    server.register("guybrush").await;
    server.register("disabled").await;
    sqlx::query("UPDATE authstack.users SET disabled_at = now() WHERE username = 'disabled'")
        .execute(&server.pool)
        .await
        .unwrap();
    server
}

async fn login(server: &Server, username: &str, password: &str) -> Answer {
    let body = json!({"username": username, "password": password});
    server.post("/auth/login").json(&body).send().await
}

/// Everything of an answer but what names the request itself.
fn telling(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let headers = answer.headers.iter().map(|(name, value)| {
        let value = value.to_str().unwrap().to_owned();
        (name.as_str().to_owned(), value)
    });
    let headers = headers.filter(|(name, _)| name != "x-request-id");
    let mut body = answer.json.clone();
    assert_eq!(body["instance"], answer.header("x-request-id"));
    body["instance"] = Value::Null;
    (answer.status.as_u16(), headers.collect(), body)
}

#[sqlx::test(migrations = false)]
async fn every_failed_login_has_the_same_answer(pool: PgPool) {
    let server = server(pool, &FLAGS).await;
    let mut reference = None;
    for class in classes() {
        let answer = login(&server, class.username, &class.password).await;
        answer.assert_problem(401, "login-refused");
        let told = telling(&answer);
        let reference = reference.get_or_insert_with(|| told.clone());
        assert_eq!(told, *reference, "{}", class.name);
    }
}

#[sqlx::test(migrations = false)]
async fn every_limited_login_has_the_same_answer(pool: PgPool) {
    // So slow a refill that every Retry-After is the same, to the minute.
    let flags = [
        "--rate-limits=on",
        "--limit-login-per-account-and-address=3/2000h",
    ];
    let server = server(pool, &flags).await;
    let mut reference: Option<Vec<_>> = None;
    for class in classes() {
        sqlx::raw_sql("DELETE FROM authstack.buckets")
            .execute(&server.pool)
            .await
            .unwrap();
        // A server that remembers no refusal, as another replica.
        let server = Server::as_is(server.pool.clone(), &flags);
        let mut told = Vec::new();
        for _ in 0..5 {
            let answer = login(&server, class.username, &class.password).await;
            let (status, mut headers, body) = telling(&answer);
            for (name, value) in &mut headers {
                if name == "retry-after" {
                    // To the minute: the attempts before took some time.
                    *value = (value.parse::<u64>().unwrap().div_ceil(60)).to_string();
                }
            }
            told.push((status, headers, body));
        }
        let statuses: Vec<_> = told.iter().map(|(status, ..)| *status).collect();
        assert_eq!(statuses, [401, 401, 401, 429, 429], "{}", class.name);
        let reference = reference.get_or_insert_with(|| told.clone());
        assert_eq!(told, *reference, "{}", class.name);
    }
}

/// How often each kind of login is timed.
const SAMPLES: usize = 60;
/// How often everything is measured anew before a difference is believed. A
/// difference that is there is there each time; one that the machine's other
/// work makes is not.
const ATTEMPTS: usize = 4;
/// The part of a hash by which two kinds may differ. One hash more or less,
/// which is what there is to be seen, is all of it.
const TOLERANCE: f64 = 0.25;

/// The times of each kind of login, sorted. All kinds take turns, so that
/// whatever else the machine does is done to all.
async fn times(server: &Server, classes: &[Class]) -> Vec<Vec<f64>> {
    let mut times = vec![Vec::with_capacity(SAMPLES); classes.len()];
    for round in 0..SAMPLES {
        for turn in 0..classes.len() {
            // Not always after the same one, either.
            let index = (turn * (1 + round % 2 * (classes.len() - 2)) + round) % classes.len();
            let class = &classes[index];
            let started = Instant::now();
            login(server, class.username, &class.password).await;
            times[index].push(started.elapsed().as_secs_f64() * 1000.0);
        }
    }
    for times in &mut times {
        times.sort_by(f64::total_cmp);
    }
    times
}

fn quantile(sorted: &[f64], part: usize, of: usize) -> f64 {
    sorted[sorted.len() * part / of]
}

/// How likely it is that a time of one kind is longer than one of another
/// (Mann and Whitney's U, as a share): a half, if they cannot be told apart.
fn superiority(one: &[f64], other: &[f64]) -> f64 {
    let pairs = one.iter().flat_map(|a| other.iter().map(move |b| (a, b)));
    let longer: f64 = pairs
        .map(|(a, b)| match a.total_cmp(b) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        })
        .sum();
    longer / count(one.len()) / count(other.len())
}

fn count(samples: usize) -> f64 {
    f64::from(u32::try_from(samples).unwrap())
}

/// By how many milliseconds the times of one kind are longer. Other work of
/// the machine only ever adds, so the quicker half says most: of the
/// differences between lower quartiles and between medians, the smaller.
fn difference(one: &[f64], other: &[f64]) -> f64 {
    let of = |part| quantile(one, part, 4) - quantile(other, part, 4);
    let (lower, median) = (of(1), of(2));
    if lower.abs() < median.abs() {
        lower
    } else {
        median
    }
}

#[sqlx::test(migrations = false)]
async fn no_failed_login_is_told_by_its_time(pool: PgPool) {
    let server = server(pool, &FLAGS).await;
    let classes = classes();
    let mut apart = Vec::new();
    for _ in 0..ATTEMPTS {
        let times = times(&server, &classes).await;
        let hash = quantile(&times[0], 1, 4);
        apart.clear();
        println!(
            "{:>34}  lower quartile, median, 90 %; longer than the first",
            "ms"
        );
        for (class, times_of_it) in classes.iter().zip(&times) {
            let longer = superiority(times_of_it, &times[0]);
            println!(
                "{:>34}  {:6.2} {:6.2} {:6.2}; in {:3.0} % of pairs",
                class.name,
                quantile(times_of_it, 1, 4),
                quantile(times_of_it, 2, 4),
                quantile(times_of_it, 9, 10),
                longer * 100.0,
            );
            let difference = difference(times_of_it, &times[0]);
            if difference.abs() > TOLERANCE * hash {
                apart.push(format!("{}: {difference:.2} ms of {hash:.2}", class.name));
            }
        }
        if apart.is_empty() {
            return;
        }
    }
    panic!("told by their times: {apart:#?}");
}

/// The comparison does see a hash that is missing, or one too many.
#[sqlx::test(migrations = false)]
async fn a_hash_more_or_less_would_be_seen(pool: PgPool) {
    let server = server(pool, &FLAGS).await;
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..20 {
        for (hashes, times) in times.iter_mut().enumerate() {
            let started = Instant::now();
            for _ in 0..hashes {
                login(&server, "nobody", WRONG).await;
            }
            // What a login without a hash would do: a round trip or two.
            server.app.store.ping().await.unwrap();
            times.push(started.elapsed().as_secs_f64() * 1000.0);
        }
    }
    for times in &mut times {
        times.sort_by(f64::total_cmp);
    }
    let [none, one, two] = times;
    let hash = quantile(&one, 1, 4);
    assert!(difference(&none, &one).abs() > TOLERANCE * hash);
    assert!(difference(&two, &one).abs() > TOLERANCE * hash);
    assert!(Duration::from_secs_f64(hash / 1000.0) > Duration::from_millis(1));
}
