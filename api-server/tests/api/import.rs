//! `import`: users of an older service become ours.

use std::path::PathBuf;

use authstack_api::{
    import::{self, ImportError, OnCollision, Progress, Settings, SourceKind},
    store::{connect::ConnectOptions, import::Totals},
};
use axum::http::StatusCode;
use futures::{StreamExt, stream};
use serde_json::json;
use sqlx::PgPool;
use tempfile::TempDir;

use crate::support::{PASSWORD, Server};

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
async fn both_sides_of_every_collision_are_named_and_left_out(pool: PgPool) {
    let server = server(pool).await;
    old_user(&server, "Guybrush", "a@example.com", BCRYPT).await; // 1
    old_user(&server, "ｇｕｙｂｒｕｓｈ", "b@example.com", BCRYPT).await; // 2: like 1
    old_user(&server, "elaine", "Elaine@Example.com", BCRYPT).await; // 3
    old_user(&server, "marley", "elaine@example.com", BCRYPT).await; // 4: like 3
    old_user(&server, "wally@example.com", "w@example.com", BCRYPT).await; // 5: 6's address
    old_user(&server, "wally", "Wally@example.com", BCRYPT).await; // 6
    old_user(&server, "own@example.com", "own@example.com", BCRYPT).await; // 7: fine
    old_user(&server, "stan", "stan@example.com", BCRYPT).await; // 8: fine
    let (done, report) = run(&settings(&server)).await;
    assert_eq!(done, totals(8, 2, 0, 0, 6), "{report:#?}");
    assert_eq!(usernames(&server).await, ["own@example.com", "stan"]);
    for words in [
        ["row 1,", "\"Guybrush\"", "has the name of row 2 (id \"2\")"],
        [
            "row 2,",
            "\"ｇｕｙｂｒｕｓｈ\"",
            "has the name of row 1 (id \"1\")",
        ],
        [
            "row 3,",
            "\"elaine\"",
            "has the e-mail address of row 4 (id \"4\")",
        ],
        [
            "row 4,",
            "\"marley\"",
            "has the e-mail address of row 3 (id \"3\")",
        ],
        [
            "row 5,",
            "\"wally@example.com\"",
            "its name is the e-mail address of row 6",
        ],
        [
            "row 6,",
            "\"wally\"",
            "its e-mail address is the name of row 5",
        ],
    ] {
        assert!(says(&report, &words), "{words:?} in {report:#?}");
    }
    assert_eq!(
        login(&server, "own@example.com", PASSWORD).await,
        StatusCode::OK
    );
}

#[sqlx::test(migrations = false)]
async fn the_oldest_of_a_collision_is_kept_where_that_is_asked_for(pool: PgPool) {
    let server = server(pool).await;
    // By name, 1 to 12 by identifier: numbers, so that 9 is older than 12.
    for number in 1..=12 {
        let name = if number >= 9 {
            "twin".to_owned()
        } else {
            format!("single{number}")
        };
        old_user(&server, &name, &format!("{number}@example.com"), BCRYPT).await;
    }
    // A chain: c collides with b only, which collides with a. So a and c stay.
    old_user(&server, "a", "a@chain.example", BCRYPT).await;
    old_user(&server, "b", "A@chain.example", BCRYPT).await;
    old_user(&server, "B", "c@chain.example", BCRYPT).await;
    // The later identifier is the older account.
    old_user(&server, "young", "same@example.com", BCRYPT).await;
    old_user(&server, "old", "same@example.com", BCRYPT).await;
    sqlx::raw_sql(
        "UPDATE public.users SET created_at = '2024-01-01' WHERE username = 'young';
         UPDATE public.users SET created_at = '2023-01-01' WHERE username = 'old'",
    )
    .execute(&server.pool)
    .await
    .unwrap();
    let keep = Settings {
        on_collision: OnCollision::KeepOldest,
        ..settings(&server)
    };
    let (done, report) = run(&keep).await;
    assert_eq!(done, totals(17, 12, 0, 0, 5), "{report:#?}");
    let names = usernames(&server).await;
    for kept in ["twin", "a", "B", "old"] {
        assert!(names.iter().any(|name| name == kept), "{kept} in {names:?}");
    }
    let twin =
        "SELECT count(*) FROM authstack.users WHERE username = 'twin' AND email = '9@example.com'";
    assert_eq!(server.count(twin).await, 1);
    assert!(
        says(&report, &["row 12,", "the name of row 9", "which is older"]),
        "{report:#?}"
    );
    assert!(
        says(&report, &["\"young\"", "the e-mail address of row 17"]),
        "{report:#?}"
    );
    // Again: what was kept is skipped, what was left out collides with it.
    let (again, report) = run(&keep).await;
    assert_eq!(again, totals(17, 0, 12, 0, 5), "{report:#?}");
}

#[sqlx::test(migrations = false)]
async fn accounts_that_are_here_already_always_win(pool: PgPool) {
    let server = server(pool).await;
    server.register("guybrush").await;
    old_user(&server, "GUYBRUSH", "other@example.com", BCRYPT).await;
    old_user(&server, "other", "Guybrush@Example.com", BCRYPT).await;
    old_user(&server, "guybrush@example.com", "third@example.com", BCRYPT).await;
    old_user(&server, "stan", "stan@example.com", BCRYPT).await;
    sqlx::query("UPDATE authstack.users SET created_at = now() + interval '1 day'")
        .execute(&server.pool)
        .await
        .unwrap();
    for on_collision in [OnCollision::LeaveOut, OnCollision::KeepOldest] {
        let settings = Settings {
            on_collision,
            dry_run: true,
            ..settings(&server)
        };
        let (done, report) = run(&settings).await;
        assert_eq!(done, totals(4, 1, 0, 0, 3), "{report:#?}");
        assert!(
            says(&report, &["row 1,", "has the name of the account"]),
            "{report:#?}"
        );
        assert!(says(
            &report,
            &["row 2,", "has the e-mail address of the account"]
        ));
        assert!(says(
            &report,
            &["row 3,", "its name is the e-mail address of the account"]
        ));
    }
    // A row that is out already stands in nobody's way: `other` had the address
    // of an account, so another row may have its name.
    old_user(&server, "Other", "fifth@example.com", BCRYPT).await;
    let keep = Settings {
        on_collision: OnCollision::KeepOldest,
        ..settings(&server)
    };
    let (done, report) = run(&keep).await;
    assert_eq!(done, totals(5, 2, 0, 0, 3), "{report:#?}");
    assert_eq!(usernames(&server).await, ["Other", "guybrush", "stan"]);
}

#[sqlx::test(migrations = false)]
async fn bad_rows_are_refused_with_every_reason_and_good_ones_come_over(pool: PgPool) {
    let server = server(pool).await;
    old_user(&server, "two words", "nowhere", "md5").await;
    sqlx::raw_sql("INSERT INTO public.users (username) VALUES ('\x1b[2Jnull')")
        .execute(&server.pool)
        .await
        .unwrap();
    old_user(
        &server,
        "costly",
        "c@example.com",
        &BCRYPT.replace("$04$", "$15$"),
    )
    .await;
    let large = "$argon2id$v=19$m=4194304,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$gduXp+Z6iReEolmbyHn5V8s1EtJzmEvZfYoY/Fn/AeI";
    old_user(&server, "large", "l@example.com", large).await;
    old_user(&server, "stan", "stan@example.com", BCRYPT).await;
    let (done, report) = run(&settings(&server)).await;
    assert_eq!(done, totals(5, 1, 0, 4, 0), "{report:#?}");
    for words in [
        ["row 1,", "\"two words\"", "refused: the user name contains"],
        [
            "row 1,",
            "\"nowhere\"",
            "refused: the e-mail address must be",
        ],
        [
            "row 1,",
            "id \"1\"",
            "refused: the password hash is of a kind",
        ],
        ["row 2,", "\\u{1b}[2Jnull", "the e-mail address is missing"],
        ["row 2,", "refused:", "the password hash is missing"],
        ["row 3,", "\"costly\"", "a cost of bcrypt"],
        ["row 4,", "\"large\"", "too much or too little memory"],
    ] {
        assert!(says(&report, &words), "{words:?} in {report:#?}");
    }
    assert!(
        !report.concat().contains('\x1b'),
        "no escape reaches a terminal"
    );
    // Mended at the source, they come over with the next run.
    sqlx::query("UPDATE public.users SET username = 'words', email = 'w@example.com', hashed_password = $1 WHERE id = 1")
        .bind(BCRYPT)
        .execute(&server.pool)
        .await
        .unwrap();
    let (done, _) = run(&settings(&server)).await;
    assert_eq!(done, totals(5, 1, 1, 3, 0));
    assert_eq!(login(&server, "words", PASSWORD).await, StatusCode::OK);
    assert_eq!(imported(&server).await, 2);
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

#[sqlx::test(migrations = false)]
async fn one_identifier_of_two_services_is_noticed(pool: PgPool) {
    let server = server(pool).await;
    old_user(&server, "guybrush", "guybrush@example.com", BCRYPT).await;
    run(&settings(&server)).await;
    let text = format!("id,username,email,hashed_password\n1,stan,stan@example.com,{BCRYPT}\n");
    let (done, report) = run_file(&server, "users.csv", &text).await;
    assert_eq!(done, totals(1, 0, 0, 0, 1));
    assert!(
        says(&report, &["line 2,", "\"stan\"", "--source-name"]),
        "{report:?}"
    );
    let directory = TempDir::new().unwrap();
    let other = Settings {
        source_name: "another".into(),
        ..file_settings(&server, &directory, "users.csv", &text)
    };
    assert_eq!(run(&other).await.0, totals(1, 1, 0, 0, 0));
    assert_eq!(usernames(&server).await, ["guybrush", "stan"]);
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
async fn a_csv_file_may_come_from_a_spreadsheet(pool: PgPool) {
    let server = server(pool).await;
    let text = format!(
        "\u{feff}ID,Email,Bio,Username,Hashed_Password,Disabled,Roles,Created_At\r\n\
         u-1,\"a@example.com\",\"said \"\"Arr,\"\"\r\nand left\",Łechuck,{BCRYPT},true,\"{{admin,editor}}\",2021-02-03 04:05:06+02\r\n\
         u-2,b@example.com,,\"stan\",{BCRYPT},0,,\r\n\
         u-2,c@example.com,,\"wally\",{BCRYPT},0,,\r\n\
         u-3,short\r\n"
    );
    let (done, report) = run_file(&server, "users.csv", &text).await;
    let expected = Totals {
        admins: 1,
        ..totals(4, 1, 0, 1, 2)
    };
    assert_eq!(done, expected, "{report:#?}");
    assert!(
        says(&report, &["line 4,", "it has the id of line 5"]),
        "{report:#?}"
    );
    assert!(
        says(&report, &["line 6:", "2 values for 8 columns"]),
        "{report:#?}"
    );
    assert!(report.last_line().contains("1 with the role admin"));
    let row = "SELECT count(*) FROM authstack.users WHERE username = 'Łechuck' AND disabled_at IS NOT NULL
        AND roles = '{admin,editor}' AND created_at = '2021-02-03 02:05:06+00'";
    assert_eq!(server.count(row).await, 1);
    assert_eq!(
        login(&server, "łechuck", PASSWORD).await,
        StatusCode::UNAUTHORIZED,
        "disabled"
    );
}

#[sqlx::test(migrations = false)]
async fn json_lines_may_hold_more_than_users_and_lines_that_are_none(pool: PgPool) {
    let server = server(pool).await;
    let argon2 = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$gduXp+Z6iReEolmbyHn5V8s1EtJzmEvZfYoY/Fn/AeI";
    let user = json!({"id": 1, "username": "guybrush", "email": "g@example.com",
        "hashed_password": argon2, "ship": {"name": "Sea Monkey"}, "roles": ["editor"], "is_active": true});
    let text = format!("{user}\nnonsense {BCRYPT}\n\n{{\"id\": 2}}\n");
    let (done, report) = run_file(&server, "users.jsonl", &text).await;
    assert_eq!(done, totals(3, 1, 0, 2, 0), "{report:#?}");
    assert!(
        says(&report, &["line 2:", "not a JSON object"]),
        "{report:#?}"
    );
    assert!(
        says(&report, &["line 4, id \"2\"", "the user name is missing"]),
        "{report:#?}"
    );
    assert_eq!(login(&server, "guybrush", "password").await, StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn identifiers_may_be_uuids_and_columns_may_be_few(pool: PgPool) {
    let server = server(pool).await;
    sqlx::raw_sql(
        "DROP TABLE public.users;
         CREATE TABLE public.users (id uuid, username text, email text, hashed_password text);
         INSERT INTO public.users VALUES ('0190b5a0-0000-7000-8000-000000000001', 'guybrush', 'g@example.com', 'x');
         UPDATE public.users SET hashed_password = '$2b$04$BdjZCX3YVK3Q3tbs6hcatuCQxiv3BytFNykn.UrHAyPAX0mM3nhAO'",
    )
    .execute(&server.pool)
    .await
    .unwrap();
    assert_eq!(run(&settings(&server)).await.0, totals(1, 1, 0, 0, 0));
    let note = "SELECT count(*) FROM authstack.imported_users
        WHERE source = 'old' AND imported_id = '0190b5a0-0000-7000-8000-000000000001'";
    assert_eq!(server.count(note).await, 1);
}

#[sqlx::test(migrations = false)]
async fn what_cannot_be_imported_from_or_to_is_said(pool: PgPool) {
    let server = Server::new(pool).await;
    let error = async |settings: &Settings| {
        let mut report = Vec::new();
        let ended = import::run(settings, &mut report, &mut Progress::hidden()).await;
        ended.err().unwrap()
    };
    let no_table = error(&settings(&server)).await;
    assert!(
        no_table.to_string().contains("no table public.users"),
        "{no_table}"
    );
    sqlx::raw_sql("CREATE TABLE public.users (id int, username text, email text, password text)")
        .execute(&server.pool)
        .await
        .unwrap();
    let no_column = error(&settings(&server)).await;
    assert!(
        no_column.to_string().contains("no column hashed_password"),
        "{no_column}"
    );
    let directory = TempDir::new().unwrap();
    let csv = file_settings(&server, &directory, "users.csv", "name;mail\n");
    assert!(matches!(error(&csv).await, ImportError::Shape(_)));
    sqlx::raw_sql("DELETE FROM authstack._sqlx_migrations WHERE version > 1")
        .execute(&server.pool)
        .await
        .unwrap();
    let old = error(&settings(&server)).await;
    assert!(old.to_string().contains("authstack-api migrate"), "{old}");
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

/// Rows as numbers of few names and addresses, so that they collide in every
/// way, and in chains.
fn tangled(seed: u64) -> Vec<(String, String)> {
    let mut state = seed;
    let mut pick = |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let mut row = || {
        let name = match pick(3) {
            0 => format!("Mail{}@example.com", pick(60)),
            1 => format!("NAME{}", pick(60)),
            _ => format!("name{}", pick(60)),
        };
        (name, format!("mail{}@Example.com", pick(60)))
    };
    (0..80).map(|_| row()).collect()
}

/// What should become of them, told in the simplest way: the numbers of the
/// rows that are imported.
fn expected(rows: &[(String, String)], keep_oldest: bool) -> Vec<usize> {
    let keys = |row: &(String, String)| [row.0.to_lowercase(), row.1.to_lowercase()];
    let collide = |a: usize, b: usize| {
        let others = keys(&rows[b]);
        keys(&rows[a]).iter().any(|key| others.contains(key))
    };
    let mut kept: Vec<usize> = Vec::new();
    for row in 0..rows.len() {
        let free = if keep_oldest {
            !kept.iter().any(|&older| collide(row, older))
        } else {
            !(0..rows.len()).any(|other| other != row && collide(row, other))
        };
        if free {
            kept.push(row);
        }
    }
    kept
}

#[sqlx::test(migrations = false)]
async fn however_rows_are_tangled_the_right_ones_come_over(pool: PgPool) {
    let server = server(pool).await;
    for seed in 0..12 {
        let rows = tangled(seed);
        let mut text = String::from("id,username,email,hashed_password\n");
        for (number, (name, mail)) in rows.iter().enumerate() {
            text.extend([&*format!("{number},"), name, ",", mail, ",", BCRYPT, "\n"]);
        }
        for on_collision in [OnCollision::LeaveOut, OnCollision::KeepOldest] {
            sqlx::raw_sql(
                "TRUNCATE authstack.users, authstack.imported_users, authstack.audit CASCADE",
            )
            .execute(&server.pool)
            .await
            .unwrap();
            let directory = TempDir::new().unwrap();
            let settings = Settings {
                on_collision,
                ..file_settings(&server, &directory, "users.csv", &text)
            };
            let (done, report) = run(&settings).await;
            let kept = expected(&rows, on_collision == OnCollision::KeepOldest);
            let came: Vec<String> = sqlx::query_scalar(
                "SELECT imported_id FROM authstack.imported_users ORDER BY imported_id::int",
            )
            .fetch_all(&server.pool)
            .await
            .unwrap();
            let kept_ids: Vec<_> = kept.iter().map(ToString::to_string).collect();
            assert_eq!(came, kept_ids, "seed {seed}, {on_collision:?}");
            assert_eq!(done.imported + done.left_out, 80);
            // Every other row has a line of its own.
            for number in (0..80).filter(|number| !kept.contains(number)) {
                let line = format!("line {},", number + 2);
                assert!(
                    report.iter().any(|l| l.starts_with(&line)),
                    "{line} {report:#?}"
                );
            }
        }
    }
}
