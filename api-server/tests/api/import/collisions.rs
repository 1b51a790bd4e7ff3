//! Rows that want one name, and accounts that are here already.

use authstack_api::import::{OnCollision, Settings};
use axum::http::StatusCode;
use sqlx::PgPool;
use tempfile::TempDir;

use super::{
    BCRYPT, file_settings, login, old_user, run, run_file, says, server, settings, totals,
    usernames,
};
use crate::support::PASSWORD;

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
