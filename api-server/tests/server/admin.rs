//! The first administrator: by command, and by the environment of servers that
//! start together.

use std::{
    io::{Read, Write},
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::{
    api::{Api, NO_DATABASE, PASSWORD, command, eventually, read_all, run},
    postgres::Postgres,
};

mod environment;

const ADMINS: &str = "SELECT username FROM authstack.users
                      WHERE 'admin' = ANY (roles) ORDER BY username";

/// Runs `admin create` with a password on stdin.
fn create(url: &str, arguments: &[&str], password: &str) -> Output {
    let directory = TempDir::new().unwrap();
    let arguments = [&["admin", "create"], arguments].concat();
    let mut child = command(&arguments, &[("DATABASE_URL", url)], directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // What is refused at once reads nothing.
    let _ = writeln!(stdin, "{password}");
    drop(stdin);
    child.wait_with_output().unwrap()
}

#[track_caller]
fn text(output: &Output, succeeds: bool) -> String {
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.success(), succeeds, "{stdout}{stderr}");
    let text = if succeeds { stdout } else { stderr };
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

async fn connect(url: &str) -> PgConnection {
    eventually(Duration::from_secs(20), async || {
        PgConnection::connect(url).await.ok()
    })
    .await
}

async fn admins(connection: &mut PgConnection) -> Vec<String> {
    let found = sqlx::query_scalar(ADMINS).fetch_all(connection).await;
    found.unwrap()
}

async fn execute(connection: &mut PgConnection, statement: &'static str) {
    sqlx::query(statement).execute(connection).await.unwrap();
}

async fn role_of(api: &Api, username: &str) -> Value {
    let (access, _) = api.login(username).await;
    let me: Value = api.me(&access).await.json().await.unwrap();
    me["roles"].clone()
}

#[tokio::test]
async fn a_command_makes_an_administrator_with_the_servers_rights() {
    let mut postgres = Postgres::prepare();
    postgres.start().await;
    let owner = postgres.url();
    let mut connection = connect(&owner).await;
    execute(
        &mut connection,
        "CREATE ROLE runtime LOGIN PASSWORD 'secret'",
    )
    .await;
    let url = format!(
        "postgres://runtime:secret@127.0.0.1:{}/postgres",
        postgres.port
    );
    let names = ["--username=Elaine", "--email=elaine@example.com"];
    let early = create(&owner, &names, PASSWORD);
    let early = text(&early, false);
    assert!(
        early.contains("migrate") || early.contains("unavailable"),
        "{early}"
    );
    let variables = [("DATABASE_URL", &*owner), ("RUNTIME_ROLE", "runtime")];
    assert!(run(&["migrate"], &variables).status.success());

    let made = text(&create(&url, &names, PASSWORD), true);
    let api = Api::start(&url, &[]).await;
    api.ready().await;
    assert_eq!(role_of(&api, "elaine").await, json!(["admin"]));
    let id: String = sqlx::query_scalar("SELECT id::text FROM authstack.users")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(made.contains(&id), "{made}");
    let event: (String, Option<String>, Value) = sqlx::query_as(
        "SELECT user_id::text, actor_id::text, detail FROM authstack.audit
         WHERE action = 'admin_user_create'",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(event, (id, None, json!({"by": "command_line"})));

    let directory = TempDir::new().unwrap();
    let file = directory.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let file = format!("--password-file={}", file.display());
    let arguments = ["--username=stan", "--email=stan@example.com", &file];
    text(&create(&url, &arguments, "another that is not read"), true);
    assert_eq!(role_of(&api, "stan").await, json!(["admin"]));
}

#[tokio::test]
async fn a_command_that_makes_nobody_says_why() {
    let postgres = Postgres::migrated().await;
    let url = postgres.url();
    let mut connection = connect(&url).await;
    let names = ["--username=Elaine", "--email=elaine@example.com"];
    text(&create(&url, &names, PASSWORD), true);
    // The same once more is an error that says what else to do.
    let again = text(&create(&url, &names, PASSWORD), false);
    assert!(again.contains("--promote"), "{again}");
    for (arguments, password, culprit) in [
        (&["--username=a b", "--email=x"][..], PASSWORD, "e-mail"),
        (
            &["--username=bob", "--email=b@example.com"],
            "hunter2",
            "password",
        ),
        (
            &["--username=bob", "--email=b@example.com"],
            "password",
            "common",
        ),
        (&["--username=bob", "--email=b@example.com"], "", "password"),
        (
            &["--username=bob", "--email=ELAINE@example.com"],
            PASSWORD,
            "--promote",
        ),
        (&["--username=bob"], PASSWORD, "--email"),
        (&["--email=b@example.com"], PASSWORD, "--username"),
        (
            &["--username=bob", "--email=b@example.com", "--password=x"],
            PASSWORD,
            "--password",
        ),
        (
            &[
                "--username=bob",
                "--email=b@example.com",
                "--password-file=/not/there",
            ],
            PASSWORD,
            "the password cannot be read: /not/there: No such file",
        ),
        (
            &[
                "--username=bob",
                "--email=b@example.com",
                "--password-min-length=20",
            ],
            PASSWORD,
            "20",
        ),
    ] {
        let refused = text(&create(&url, arguments, password), false);
        assert!(refused.contains(culprit), "{arguments:?}: {refused}");
        assert!(!refused.contains("hunter2"), "{refused}");
    }
    assert_eq!(admins(&mut connection).await, ["Elaine"]);
}

#[tokio::test]
async fn a_command_gives_an_account_the_role() {
    let postgres = Postgres::migrated().await;
    let url = postgres.url();
    let mut connection = connect(&url).await;
    let api = Api::start(&url, &[]).await;
    api.ready().await;
    for name in ["guybrush", "elaine", "lechuck"] {
        api.tokens(name).await;
    }
    execute(
        &mut connection,
        "UPDATE authstack.users SET disabled_at = now() WHERE username = 'lechuck'",
    )
    .await;
    execute(
        &mut connection,
        "UPDATE authstack.users SET roles = '{writer}' WHERE username = 'elaine'",
    )
    .await;
    for (arguments, culprit) in [
        (&["--promote"][..], "--username"),
        (&["--promote", "--username=nobody"], "no account"),
        (&["--promote", "--username=a b"], "no account"),
        (&["--promote", "--email=nobody@example.com"], "no account"),
        // One of these is somebody, the other somebody else.
        (
            &[
                "--promote",
                "--username=guybrush",
                "--email=elaine@example.com",
            ],
            "no account",
        ),
        // A user name is no address.
        (&["--promote", "--email=guybrush"], "no account"),
        (&["--promote", "--username=lechuck"], "disabled"),
        (
            &["--promote", "--username=guybrush", "--password-file=x"],
            "--password-file",
        ),
    ] {
        let refused = text(&create(&url, arguments, ""), false);
        assert!(refused.contains(culprit), "{arguments:?}: {refused}");
    }
    assert!(admins(&mut connection).await.is_empty());
    for (arguments, expected) in [
        (&["--promote", "--username=GUYBRUSH"][..], "made"),
        (&["--promote", "--username=guybrush"], "already"),
        (&["--promote", "--email=Elaine@example.com"], "made"),
        (
            &[
                "--promote",
                "--username=elaine",
                "--email=elaine@example.com",
            ],
            "already",
        ),
    ] {
        let said = text(&create(&url, arguments, ""), true);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    assert_eq!(admins(&mut connection).await, ["elaine", "guybrush"]);
    assert_eq!(role_of(&api, "elaine").await, json!(["admin", "writer"]));
    let events: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM authstack.audit WHERE action = 'admin_user_change'
         AND detail->'effects' = '[\"admin_granted\"]' AND detail->>'by' = 'command_line'",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(events, 2);
}

#[tokio::test]
async fn at_a_terminal_the_password_is_asked_for_and_not_shown() {
    let postgres = Postgres::migrated().await;
    let url = postgres.url();
    let directory = TempDir::new().unwrap();
    let binary = env!("CARGO_BIN_EXE_authstack-api");
    let typed = |first: &str, second: &str| {
        let line = format!("{binary} admin create --username=elaine --email=e@example.com");
        // A terminal of its own.
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .env_clear()
            .env("DATABASE_URL", &url)
            .env("PATH", std::env::var_os("PATH").unwrap())
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut shown = String::new();
        for (prompt, answer) in [("Password: ", first), ("Again: ", second)] {
            let mut byte = [0];
            while !shown.ends_with(prompt) {
                stdout.read_exact(&mut byte).expect("a prompt");
                shown.push(char::from(byte[0]));
            }
            // It asks first and turns the echo off then; people are no faster.
            std::thread::sleep(Duration::from_millis(500));
            writeln!(stdin, "{answer}").unwrap();
        }
        shown += &read_all(stdout);
        drop(stdin);
        let status = child.wait().unwrap();
        assert!(!shown.contains(first) && !shown.contains(second), "{shown}");
        (status.success(), shown)
    };
    let (made, shown) = typed("securepass", "securepast");
    assert!(!made && shown.contains("differ"), "{shown}");
    let (made, shown) = typed("securepass", "securepass");
    assert!(made && shown.contains("made the administrator"), "{shown}");
    let mut connection = connect(&url).await;
    assert_eq!(admins(&mut connection).await, ["elaine"]);
}

#[test]
fn without_a_database_the_command_says_so() {
    let names = ["--username=elaine", "--email=elaine@example.com"];
    let refused = create(NO_DATABASE, &names, PASSWORD);
    assert_eq!(
        text(&refused, false).trim_end(),
        "authstack-api: the database is unavailable: there was no connection to it in time"
    );
    let refused = create("", &names, PASSWORD);
    assert!(text(&refused, false).contains("DATABASE_URL"));
}

#[tokio::test]
async fn without_a_schema_the_command_says_what_to_do() {
    let mut postgres = Postgres::prepare();
    postgres.start().await;
    let names = ["--username=elaine", "--email=elaine@example.com"];
    let refused = text(&create(&postgres.url(), &names, PASSWORD), false);
    assert!(
        refused.contains("run `authstack-api migrate` first"),
        "{refused}"
    );
}

#[tokio::test]
async fn who_was_refused_is_in_the_log_and_what_they_searched_is_not() {
    let postgres = Postgres::migrated().await;
    let api = Api::start(&postgres.url(), &[]).await;
    api.ready().await;
    let (access, _) = api.tokens("guybrush").await;
    let me: Value = api.me(&access).await.json().await.unwrap();
    let call = api
        .client
        .get(api.url("/admin/users?search=elaine%40secret"));
    let refused = call.bearer_auth(&access).send().await.unwrap();
    assert_eq!(refused.status(), 403);
    let is_this = |line: &Value| line["route"] == "/admin/users";
    let line = api.logged_line(is_this).await;
    assert_eq!(line["status"], 403);
    assert_eq!(line["user_id"], me["id"]);
    let printed = api.printed().await;
    assert!(!printed.contains("secret"), "{printed}");
}
