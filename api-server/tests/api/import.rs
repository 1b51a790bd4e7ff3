//! `import`: users of an older service become ours.

use std::path::PathBuf;

use authstack_api::{
    import::{self, OnCollision, Progress, Settings, SourceKind},
    store::{connect::ConnectOptions, import::Totals},
};
use axum::http::StatusCode;
use futures::{StreamExt, stream};
use serde_json::json;
use sqlx::PgPool;
use tempfile::TempDir;

use crate::support::Server;

mod collisions;
mod sources;

/// `securepass` at cost 4.
const BCRYPT: &str = "$2b$04$BdjZCX3YVK3Q3tbs6hcatuCQxiv3BytFNykn.UrHAyPAX0mM3nhAO";

/// A server, and the old service's table in the same database.
async fn server(pool: PgPool) -> Server {
    let server = Server::with_flags(pool, &["--rate-limits=off"]).await;
    sqlx::raw_sql(
        "CREATE TABLE public.users (
           id serial PRIMARY KEY, username varchar, email varchar, hashed_password varchar,
           created_at timestamp, is_active boolean, roles text[], avatar bytea DEFAULT '\\xff')",
    )
    .execute(&server.pool)
    .await
    .unwrap();
    server
}

/// Adds a user to the old service, the identifiers rising.
async fn old_user(server: &Server, username: &str, email: &str, hash: &str) {
    sqlx::query("INSERT INTO public.users (username, email, hashed_password) VALUES ($1, $2, $3)")
        .bind(username)
        .bind(email)
        .bind(hash)
        .execute(&server.pool)
        .await
        .unwrap();
}

fn database(server: &Server) -> ConnectOptions {
    (*server.pool.connect_options()).clone()
}

fn settings(server: &Server) -> Settings {
    Settings {
        database: database(server),
        source: SourceKind::Database(Box::new(database(server))),
        source_name: "old".into(),
        on_collision: OnCollision::LeaveOut,
        dry_run: false,
    }
}

async fn run(settings: &Settings) -> (Totals, Vec<String>) {
    let mut report = Vec::new();
    let totals = import::run(settings, &mut report, &mut Progress::hidden())
        .await
        .unwrap();
    let report = String::from_utf8(report).unwrap();
    assert!(!report.contains("$2"), "a hash is never reported: {report}");
    assert!(!report.contains("argon2id$"), "{report}");
    (totals, report.lines().map(str::to_owned).collect())
}

/// Imports a file with this name and text.
async fn run_file(server: &Server, name: &str, text: impl AsRef<[u8]>) -> (Totals, Vec<String>) {
    let directory = TempDir::new().unwrap();
    let settings = file_settings(server, &directory, name, text);
    run(&settings).await
}

fn file_settings(
    server: &Server,
    directory: &TempDir,
    name: &str,
    text: impl AsRef<[u8]>,
) -> Settings {
    let path: PathBuf = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    let source = match path.extension().unwrap().to_str().unwrap() {
        "csv" => SourceKind::Csv(path),
        _ => SourceKind::JsonLines(path),
    };
    Settings {
        source,
        ..settings(server)
    }
}

fn totals(read: u64, imported: u64, skipped: u64, refused: u64, left_out: u64) -> Totals {
    Totals {
        read,
        imported,
        admins: 0,
        skipped,
        refused,
        left_out,
    }
}

async fn login(server: &Server, username: &str, password: &str) -> StatusCode {
    let body = json!({"username": username, "password": password});
    let call = server.post("/auth/login").json(&body);
    call.send().await.status
}

/// Users, notes of where they come from, and events: always as many of each.
async fn imported(server: &Server) -> i64 {
    let users = "SELECT count(*) FROM authstack.users";
    let notes = "SELECT count(*) FROM authstack.imported_users i
                 JOIN authstack.users u ON u.id = i.user_id";
    let events = "SELECT count(*) FROM authstack.audit a JOIN authstack.users u ON u.id = a.user_id
                  WHERE action = 'user_import' AND result = 'success' AND actor_id IS NULL";
    let users = server.count(users).await;
    assert_eq!(server.count(notes).await, users);
    assert_eq!(server.count(events).await, users);
    users
}

async fn usernames(server: &Server) -> Vec<String> {
    sqlx::query_scalar("SELECT username FROM authstack.users ORDER BY username")
        .fetch_all(&server.pool)
        .await
        .unwrap()
}

/// Whether some line holds all of these words.
fn says(report: &[String], words: &[&str]) -> bool {
    let holds = |line: &&String| words.iter().all(|word| line.contains(word));
    report.iter().any(|line| holds(&line))
}

/// A user name of each kind that the old service let people have.
fn old_name(number: usize) -> String {
    match number % 4 {
        0 => format!("user{number}"),
        1 => format!("User.{number}@example.com"),
        2 => format!("Benützer-{number}"),
        _ => format!("a-name-that-is-longer-than-a-new-one-may-be-and-still-its-owners-{number}"),
    }
}

#[sqlx::test(migrations = false)]
async fn a_thousand_users_come_over_and_every_one_of_them_logs_in(pool: PgPool) {
    let server = server(pool).await;
    let (mut names, mut mails, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..1000_usize {
        let cost = match number {
            0..3 => 12,
            3..6 => 10,
            _ => 4,
        };
        let mut salt = [7; 16];
        salt[..8].copy_from_slice(&number.to_be_bytes());
        let password = format!("password of {number}");
        let hash = bcrypt::hash_with_salt(password, cost, salt).unwrap();
        let version = [
            bcrypt::Version::TwoA,
            bcrypt::Version::TwoB,
            bcrypt::Version::TwoY,
        ];
        hashes.push(hash.format_for_version(version[number % 3].clone()));
        names.push(old_name(number));
        mails.push(format!("User.{number}@example.com"));
    }
    sqlx::query(
        "INSERT INTO public.users (username, email, hashed_password, created_at, is_active, roles)
         SELECT n, m, h, '2020-01-02 03:04:05', true, '{editor}' FROM unnest($1::text[], $2::text[], $3::text[]) t (n, m, h)",
    )
    .bind(&names)
    .bind(&mails)
    .bind(&hashes)
    .execute(&server.pool)
    .await
    .unwrap();

    let (done, report) = run(&settings(&server)).await;
    assert_eq!(done, totals(1000, 1000, 0, 0, 0), "{report:?}");
    assert_eq!(report.len(), 1, "{report:?}");
    assert_eq!(imported(&server).await, 1000);
    let as_it_was =
        "SELECT count(*) FROM authstack.users u JOIN public.users o USING (username, email)
        WHERE password_hash = o.hashed_password AND u.roles = o.roles
          AND u.created_at = '2020-01-02 03:04:05+00' AND disabled_at IS NULL";
    assert_eq!(server.count(as_it_was).await, 1000);

    let mails = &mails;
    let (names, server) = (&names, &server);
    let logins = stream::iter(0..1000).map(|number| async move {
        let identifier = if number % 2 == 0 {
            &names[number]
        } else {
            &mails[number]
        };
        login(server, identifier, &format!("password of {number}")).await
    });
    let answers: Vec<_> = logins.buffer_unordered(8).collect().await;
    let refused = answers.iter().filter(|status| **status != StatusCode::OK);
    assert_eq!(refused.count(), 0);
    let ours = "SELECT count(*) FROM authstack.users WHERE password_hash LIKE '$argon2id$v=19$m=19456,t=2,p=1$%'";
    assert_eq!(server.count(ours).await, 1000);
    // Their passwords are what they were.
    for number in [0, 3, 500, 999] {
        let password = format!("password of {number}");
        assert_eq!(
            login(server, &names[number], &password).await,
            StatusCode::OK
        );
        assert_eq!(
            login(server, &names[number], "password of").await,
            StatusCode::UNAUTHORIZED
        );
    }

    let (again, report) = run(&settings(server)).await;
    assert_eq!(again, totals(1000, 0, 1000, 0, 0), "{report:?}");
    assert_eq!(server.count(ours).await, 1000, "nothing is overwritten");
    assert_eq!(
        server.count("SELECT count(*) FROM public.users").await,
        1000
    );
}

#[sqlx::test(migrations = false)]
async fn a_dry_run_reports_the_same_and_writes_nothing(pool: PgPool) {
    let server = server(pool).await;
    old_user(&server, "guybrush", "guybrush@example.com", BCRYPT).await;
    old_user(&server, "elaine", "Same@example.com", BCRYPT).await;
    old_user(&server, "lechuck", "same@example.com", BCRYPT).await;
    old_user(&server, "bob", "bob@example.com", "plain text").await;
    let dry = Settings {
        dry_run: true,
        ..settings(&server)
    };
    let (would, dry_report) = run(&dry).await;
    assert_eq!(would, totals(4, 1, 0, 1, 2));
    assert_eq!(imported(&server).await, 0);
    assert_eq!(
        server.count("SELECT count(*) FROM authstack.audit").await,
        0
    );
    assert!(dry_report.last_line().contains("1 would be imported"));
    let (done, report) = run(&settings(&server)).await;
    assert_eq!(done, would);
    assert_eq!(
        report[..report.len() - 1],
        dry_report[..dry_report.len() - 1]
    );
    assert_eq!(usernames(&server).await, ["guybrush"]);
}

trait LastLine {
    fn last_line(&self) -> &str;
}

impl LastLine for Vec<String> {
    fn last_line(&self) -> &str {
        self.last().unwrap()
    }
}

#[sqlx::test(migrations = false)]
async fn an_account_that_its_user_deleted_does_not_come_back(pool: PgPool) {
    let server = server(pool).await;
    old_user(&server, "guybrush", "guybrush@example.com", BCRYPT).await;
    run(&settings(&server)).await;
    sqlx::query("DELETE FROM authstack.users")
        .execute(&server.pool)
        .await
        .unwrap();
    let (done, report) = run(&settings(&server)).await;
    assert_eq!(done, totals(1, 0, 1, 0, 0), "{report:?}");
    assert_eq!(usernames(&server).await, [""; 0]);
}

/// An identifier is not enough to say that a bad row was imported before: it
/// may be another person in another file.
#[sqlx::test(migrations = false)]
async fn a_bad_row_with_a_known_identifier_is_refused_unless_it_is_the_same_user(pool: PgPool) {
    let server = server(pool).await;
    old_user(&server, "guybrush", "guybrush@example.com", BCRYPT).await;
    old_user(&server, "elaine", "elaine@example.com", BCRYPT).await;
    run(&settings(&server)).await;
    let text = format!(
        "id,username,email,hashed_password\n\
         1,,,{BCRYPT}\n\
         1,stan,stan@example.com,md5-of-something\n\
         1,two words,otis@example.com,{BCRYPT}\n\
         2,ELAINE,,{BCRYPT}\n\
         2,,elaine@EXAMPLE.com,\n"
    );
    let (done, report) = run_file(&server, "users.csv", &text).await;
    assert_eq!(done, totals(5, 0, 2, 3, 0), "{report:?}");
    for line in ["line 2,", "line 3,", "line 4,"] {
        assert!(says(&report, &[line, "id \"1\"", "refused"]), "{report:?}");
    }
    assert!(!says(&report, &["id \"2\""]), "{report:?}");

    // Nothing tells any more who the identifier stood for.
    sqlx::query("DELETE FROM authstack.users")
        .execute(&server.pool)
        .await
        .unwrap();
    let (done, report) = run_file(&server, "users.csv", &text).await;
    assert_eq!(done, totals(5, 0, 0, 5, 0), "{report:?}");
}

#[sqlx::test(migrations = false)]
async fn one_import_runs_at_a_time(pool: PgPool) {
    let server = server(pool).await;
    for number in 0..50 {
        old_user(
            &server,
            &format!("u{number}"),
            &format!("u{number}@example.com"),
            BCRYPT,
        )
        .await;
    }
    let runs = (0..4).map(async |_| {
        let mut report = Vec::new();
        import::run(&settings(&server), &mut report, &mut Progress::hidden()).await
    });
    let (mut done, mut refused) = (0, 0);
    for ended in futures::future::join_all(runs).await {
        match ended {
            Ok(totals) => done += totals.imported,
            Err(error) => {
                assert!(
                    error.to_string().contains("another import is running"),
                    "{error}"
                );
                refused += 1;
            }
        }
    }
    assert!(refused < 4);
    assert_eq!(done, 50, "each once, whoever did it");
    assert_eq!(imported(&server).await, 50);
}
