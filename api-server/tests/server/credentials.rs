//! Credentials of the database that are changed while the server runs.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{
    api::{Api, eventually, run},
    mount::Mount,
    postgres::Postgres,
};

/// A look at the files takes five seconds.
const PATIENCE: Duration = Duration::from_secs(20);
/// As long as some dozens of requests may take on a machine that is busy.
const LOADED: Duration = Duration::from_mins(1);
const TAKEN: &str = "the database is reached as its files say now";
const REFUSED: &str = "DATABASE_URL_FILE or DATABASE_PASSWORD_FILE not reloaded: the old way to \
                       the database is kept until it is mended";

async fn admin(postgres: &Postgres) -> PgConnection {
    PgConnection::connect(&postgres.url()).await.unwrap()
}

async fn execute(admin: &mut PgConnection, statement: String) {
    let statement = sqlx::query(AssertSqlSafe(statement));
    statement.execute(admin).await.unwrap();
}

/// A database with a role for the server.
async fn prepared(role: &str, password: &str) -> Postgres {
    let postgres = Postgres::migrated().await;
    make_role(&postgres, role, password).await;
    postgres
}

async fn make_role(postgres: &Postgres, role: &str, password: &str) {
    let create = format!("CREATE ROLE {role} LOGIN PASSWORD '{password}'");
    execute(&mut admin(postgres).await, create).await;
    let url = postgres.url();
    let variables = [("DATABASE_URL", url.as_str()), ("RUNTIME_ROLE", role)];
    assert!(run(&["migrate"], &variables).status.success());
}

/// What clients were answered, and when they asked.
#[derive(Default)]
struct Answers {
    stop: AtomicBool,
    all: Mutex<Vec<(Instant, u16)>>,
}

impl Answers {
    async fn collect(&self, api: &Api, access: &str) {
        while !self.stop.load(Ordering::Relaxed) {
            let asked = Instant::now();
            let status = api.me(access).await.status().as_u16();
            self.all.lock().unwrap().push((asked, status));
        }
    }

    fn end(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// How many were served, and how many were not, of those who asked since.
    fn since(&self, moment: Instant) -> (usize, usize) {
        let all = self.all.lock().unwrap();
        let since = all.iter().filter(|(asked, _)| *asked >= moment);
        let (good, bad): (Vec<_>, Vec<_>) = since.partition(|(_, status)| *status == 200);
        assert!(bad.iter().all(|(_, status)| *status == 503), "{bad:?}");
        (good.len(), bad.len())
    }
}

/// Who is connected as `role`, but for those that came since `moment`.
async fn connections_before(admin: &mut PgConnection, role: &str, moment: &str) -> i64 {
    let count = "SELECT count(*) FROM pg_stat_activity
                 WHERE usename = $1 AND backend_start < $2::timestamptz";
    let count = sqlx::query_scalar(count).bind(role).bind(moment);
    count.fetch_one(admin).await.unwrap()
}

async fn now(admin: &mut PgConnection) -> String {
    let now = sqlx::query_scalar("SELECT clock_timestamp()::text");
    now.fetch_one(admin).await.unwrap()
}

async fn logged(api: &Api, message: &str) -> Vec<Value> {
    let log = api.log().await.into_iter();
    log.filter(|line| line["message"] == message).collect()
}

async fn counts(api: &Api, expected: &str) {
    eventually(PATIENCE, async || {
        api.metrics().await.contains(expected).then_some(())
    })
    .await;
}

/// What the log has to say that is no ordinary request.
async fn complaints(api: &Api) -> Vec<Value> {
    let log = api.log().await.into_iter();
    log.filter(|line| line["message"] != "request" || line["status"] == 503)
        .collect()
}

/// The worst order: the password first, every connection ended, and the file
/// last. From then on nothing fails.
#[tokio::test]
async fn from_the_moment_that_the_file_is_right_no_request_fails() {
    let postgres = prepared("runtime", "first").await;
    let mut mount = Mount::new(&[("password", "first\n")]);
    let path = mount.path("password");
    let settings = [
        ("DATABASE_PASSWORD_FILE", path.as_str()),
        ("ACCESS_TOKEN_TTL", "1h"),
        ("DATABASE_MAX_CONNECTIONS", "4"),
    ];
    let url = postgres.url_as("runtime");
    let api = Api::start(&url, &settings).await;
    api.ready().await;
    let (access, _) = api.tokens("guybrush").await;
    let answers = Answers::default();
    let rotate = async {
        let mut admin = admin(&postgres).await;
        for password in ["second", "third"] {
            let change = format!("ALTER ROLE runtime PASSWORD '{password}'");
            execute(&mut admin, change).await;
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                       WHERE usename = 'runtime'";
            let begun = Instant::now();
            execute(&mut admin, end.to_owned()).await;
            // By then every connection that is dead has been found to be: each
            // request takes the one that has rested longest.
            eventually(LOADED, async || {
                (answers.since(begun).1 >= 30).then_some(())
            })
            .await;
            mount.write(&[("password", password)]);
            let written = Instant::now();
            eventually(LOADED, async || {
                let (served, failed) = answers.since(written);
                (served + failed >= 100).then_some(())
            })
            .await;
            let (served, failed) = answers.since(written);
            println!("{served} requests since the file was right, {failed} failed");
            assert_eq!(failed, 0, "{:#?}", complaints(&api).await);
        }
        answers.end();
    };
    let ask = || answers.collect(&api, &access);
    // Fewer than there are connections: nobody waits for a turn.
    tokio::join!(ask(), ask(), ask(), rotate);
    // The way is there before it is told of.
    let told = eventually(LOADED, async || {
        let told = logged(&api, TAKEN).await;
        (told.len() >= 2).then_some(told)
    });
    assert_eq!(told.await.len(), 2);
    for password in ["first", "second", "third"] {
        assert!(!api.printed().await.contains(password), "{password}");
    }
}

/// The usual order: password and file, and connections that still live.
#[tokio::test]
async fn connections_that_came_with_the_old_password_go_and_no_request_fails() {
    let postgres = prepared("runtime", "first").await;
    let mut mount = Mount::new(&[("password", "first")]);
    let path = mount.path("password");
    let settings = [
        ("DATABASE_PASSWORD_FILE", path.as_str()),
        ("ACCESS_TOKEN_TTL", "1h"),
    ];
    let url = postgres.url_as("runtime");
    let api = Api::start(&url, &settings).await;
    api.ready().await;
    let (access, _) = api.tokens("guybrush").await;
    let answers = Answers::default();
    let started = Instant::now();
    let rotate = async {
        let mut admin = admin(&postgres).await;
        eventually(LOADED, async || {
            (answers.since(started).0 >= 100).then_some(())
        })
        .await;
        let change = "ALTER ROLE runtime PASSWORD 'second'";
        execute(&mut admin, change.to_owned()).await;
        mount.write(&[("password", "second")]);
        let changed = now(&mut admin).await;
        assert!(connections_before(&mut admin, "runtime", &changed).await > 0);
        eventually(PATIENCE, async || {
            let old = connections_before(&mut admin, "runtime", &changed).await;
            (old == 0).then_some(())
        })
        .await;
        let renewed = Instant::now();
        eventually(LOADED, async || {
            (answers.since(renewed).0 >= 100).then_some(())
        })
        .await;
        answers.end();
    };
    let ask = || answers.collect(&api, &access);
    tokio::join!(ask(), ask(), ask(), rotate);
    let (served, failed) = answers.since(started);
    println!("{served} requests, {failed} failed");
    assert_eq!(failed, 0, "{:#?}", complaints(&api).await);
}

#[tokio::test]
async fn a_url_in_a_file_is_followed_and_one_that_leads_nowhere_is_not() {
    let postgres = prepared("runtime", "first").await;
    make_role(&postgres, "another", "second").await;
    let url = |role: &str, password: &str| {
        format!(
            "postgres://{role}:{password}@127.0.0.1:{}/postgres",
            postgres.port
        )
    };
    let mut mount = Mount::new(&[("url", &url("runtime", "first"))]);
    let path = mount.path("url");
    let settings = [
        ("DATABASE_URL_FILE", path.as_str()),
        ("ACCESS_TOKEN_TTL", "1h"),
    ];
    let api = Api::start("", &settings).await;
    api.ready().await;
    let (access, _) = api.tokens("guybrush").await;
    let refused = [
        (
            "mysql://runtime:hunter22@127.0.0.1/x".to_owned(),
            "must begin",
        ),
        (url("another", "hunter22"), "28P01"),
        (url("nobody", "hunter22"), "28P01"),
        (
            "postgres://runtime:hunter22@127.0.0.1:1/postgres".to_owned(),
            "refused",
        ),
    ];
    for (number, (url, reason)) in refused.iter().enumerate() {
        mount.write(&[("url", url)]);
        let line = eventually(PATIENCE, async || {
            logged(&api, REFUSED).await.into_iter().nth(number)
        });
        let line = line.await;
        let text = line["reason"].as_str().unwrap();
        assert!(text.contains(reason), "{line}");
        assert_eq!(api.me(&access).await.status(), 200);
    }
    counts(&api, "database_settings_file_refused 1").await;

    mount.write(&[("url", &url("another", "second"))]);
    let mut admin = admin(&postgres).await;
    eventually(PATIENCE, async || {
        assert_eq!(api.me(&access).await.status(), 200);
        let for_ever = "infinity";
        let old = connections_before(&mut admin, "runtime", for_ever).await;
        let new = connections_before(&mut admin, "another", for_ever).await;
        (old == 0 && new > 0).then_some(())
    })
    .await;
    counts(&api, "database_settings_file_refused 0").await;
    assert_eq!(
        logged(&api, REFUSED).await.len(),
        refused.len(),
        "each is told once"
    );
    assert!(!api.printed().await.contains("hunter22"));
}

/// A rotation that `migrate` meets: the file is mended while it waits.
#[tokio::test]
async fn migrate_reads_the_file_again_while_it_waits() {
    let mut postgres = Postgres::prepare();
    postgres.start().await;
    let mount = std::cell::RefCell::new(Mount::new(&[("password", "wrong")]));
    let path = mount.borrow().path("password");
    let url = postgres.url_as("postgres");
    let directory = tempfile::TempDir::new().unwrap();
    let variables = [
        ("DATABASE_URL", url.as_str()),
        ("DATABASE_PASSWORD_FILE", &path),
    ];
    let mut migration = crate::api::command(&["migrate"], &variables, directory.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(migration.try_wait().unwrap().is_none(), "it waits");
    mount
        .borrow_mut()
        .write(&[("password", crate::postgres::PASSWORD)]);
    let status = eventually(PATIENCE, async || migration.try_wait().unwrap()).await;
    assert!(status.success(), "{status}");
}
