//! What users may be imported from, and what is made of it.

use authstack_api::{
    import::{self, ImportError, Progress, Settings},
    store::import::Totals,
};
use axum::http::StatusCode;
use serde_json::json;
use sqlx::PgPool;
use tempfile::TempDir;

use super::{
    BCRYPT, LastLine, file_settings, imported, login, old_user, run, run_file, says, server,
    settings, totals,
};
use crate::support::{PASSWORD, Server};

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
