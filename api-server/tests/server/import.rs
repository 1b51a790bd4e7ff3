//! `import` as an operator runs it: exit codes, files, and an end in the middle.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Output, time::Duration};

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::{
    api::{Api, command, eventually, run},
    postgres::Postgres,
};

/// `securepass` at cost 4.
const BCRYPT: &str = "$2b$04$BdjZCX3YVK3Q3tbs6hcatuCQxiv3BytFNykn.UrHAyPAX0mM3nhAO";

fn csv(directory: &Path, users: usize, more: &str) -> String {
    let mut text = String::from("id,username,email,hashed_password\n");
    for number in 0..users {
        let row = format!("{number},user{number},user{number}@example.com,{BCRYPT}\n");
        text.push_str(&row);
    }
    let file = directory.join("users.csv");
    fs::write(&file, text + more).unwrap();
    file.to_str().unwrap().to_owned()
}

fn import(postgres: &Postgres, arguments: &[&str]) -> Output {
    let words = [&["import"], arguments].concat();
    run(&words, &[("DATABASE_URL", &postgres.url())])
}

fn text(output: &[u8]) -> String {
    String::from_utf8(output.to_vec()).unwrap()
}

/// Users, notes of where they come from, and events.
async fn counts(connection: &mut PgConnection) -> (i64, i64, i64) {
    sqlx::query_as(
        "SELECT (SELECT count(*) FROM authstack.users),
           (SELECT count(*) FROM authstack.imported_users i JOIN authstack.users u ON u.id = i.user_id),
           (SELECT count(*) FROM authstack.audit WHERE action = 'user_import')",
    )
    .fetch_one(connection)
    .await
    .unwrap()
}

#[tokio::test]
async fn an_import_says_how_it_ended_and_reports_where_it_is_told_to() {
    let postgres = Postgres::migrated().await;
    let directory = TempDir::new().unwrap();
    let file = csv(
        directory.path(),
        3,
        "9,two words,w@example.com,secret-hash\n",
    );
    let report = directory.path().join("report.txt");
    let report_flag = format!("--report={}", report.display());

    let dry = import(&postgres, &["--from", &file, "--dry-run"]);
    assert_eq!(dry.status.code(), Some(3), "{dry:?}");
    assert!(text(&dry.stdout).contains("3 would be imported"));
    assert!(text(&dry.stdout).contains("line 5, id \"9\", name \"two words\""));

    let some = import(&postgres, &["--from", &file, &report_flag]);
    assert_eq!(some.status.code(), Some(3), "{some:?}");
    let printed = text(&some.stdout);
    assert_eq!(printed.lines().count(), 1, "{printed}");
    assert!(
        printed.starts_with("4 rows read: 3 imported, "),
        "{printed}"
    );
    let reported = fs::read_to_string(&report).unwrap();
    assert!(reported.contains("\"two words\"") && reported.contains(&printed));
    assert_eq!(
        fs::metadata(&report).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let everything = [
        text(&dry.stdout),
        text(&dry.stderr),
        printed,
        text(&some.stderr),
        reported,
    ];
    assert!(!everything.concat().contains("secret-hash"));
    assert!(
        text(&some.stderr)
            .lines()
            .all(|line| line.ends_with("rows")),
        "{some:?}"
    );

    let file = csv(directory.path(), 3, "");
    let again = import(&postgres, &["--from", &file]);
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    assert!(text(&again.stdout).contains("3 skipped"));
}

#[tokio::test]
async fn what_stops_an_import_is_named_in_one_line() {
    let postgres = Postgres::migrated().await;
    let directory = TempDir::new().unwrap();
    let file = csv(directory.path(), 3, "");
    let locked = postgres.url_without_password();
    for (arguments, code, culprit) in [
        (
            &["--from", "/does/not/exist.csv"][..],
            1,
            "the file cannot be read: /does/not/exist.csv: No such file",
        ),
        (
            &["--from", "postgres://me:hunter2@127.0.0.1:1/old"],
            1,
            "the users cannot be read",
        ),
        (
            &["--from", "mysql://me:hunter2@localhost/old"],
            1,
            "--from (IMPORT_FROM) must begin",
        ),
        (
            &["--from", &locked, "--import-password=hunter2"],
            1,
            "password authentication failed",
        ),
        (&["--from", "users.txt"], 1, "--format"),
        (&["--from", &file, "--source-name="], 1, "--source-name"),
        (
            &["--from", &file, "--report=/does/not/exist"],
            1,
            "the report cannot be written: /does/not/exist: ",
        ),
        (
            &["--from", &file, "--on-collision=guess"],
            2,
            "--on-collision",
        ),
        (&[], 2, "--from"),
    ] {
        let ended = import(&postgres, arguments);
        let said = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(culprit), "{arguments:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(!said.contains("hunter2"), "{said}");
        let mut parts: Vec<_> = said.trim().split(": ").collect();
        let count = parts.len();
        parts.sort_unstable();
        parts.dedup();
        assert_eq!(parts.len(), count, "nothing is said twice: {said}");
        assert!(!said.contains(" at line "), "{said}");
    }
}

/// Killed in the middle, while a server serves: what is there is whole, and
/// the next run does the rest.
#[tokio::test]
async fn an_import_that_is_killed_leaves_whole_users_and_goes_on() {
    const USERS: usize = 40_000;
    let postgres = Postgres::migrated().await;
    let api = Api::start(&postgres.url(), &[]).await;
    api.ready().await;
    let directory = TempDir::new().unwrap();
    let file = csv(directory.path(), USERS, "");
    let url = postgres.url();
    let variables = [("DATABASE_URL", &*url)];
    let mut child = command(&["import", "--from", &file], &variables, directory.path())
        .spawn()
        .unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    eventually(Duration::from_mins(2), async || {
        (counts(&mut connection).await.0 > 0).then_some(())
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    // The server ends the statement that it was at, one way or the other.
    let (users, notes, events) = eventually(Duration::from_secs(30), async || {
        let before = counts(&mut connection).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        (counts(&mut connection).await == before).then_some(before)
    })
    .await;
    let all = i64::try_from(USERS).unwrap();
    assert!(users > 0 && users < all, "{users} is not the middle");
    assert_eq!((notes, events), (users, users));
    // Whoever came over can log in already.
    api.login("user0").await;

    let rest = import(&postgres, &["--from", &file]);
    assert_eq!(rest.status.code(), Some(0), "{rest:?}");
    let expected = format!("{} imported, {users} skipped", all - users);
    assert!(text(&rest.stdout).contains(&expected), "{rest:?}");
    assert_eq!(counts(&mut connection).await, (all, all, all));
    let last = format!("user{}", USERS - 1);
    api.login(&last).await;
}
