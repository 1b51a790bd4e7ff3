//! The first administrator by the environment of servers that start together.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{admins, connect, role_of, text};
use crate::{
    api::{Api, NO_DATABASE, PASSWORD, SECRET, run},
    postgres::Postgres,
};

const ENVIRONMENT: [(&str, &str); 3] = [
    ("ADMIN_USERNAME", "Elaine"),
    ("ADMIN_EMAIL", "elaine@example.com"),
    ("ADMIN_PASSWORD", PASSWORD),
];

async fn said(api: &Api, message: &str) -> usize {
    let log = api.log().await;
    let lines = log.iter().filter(|line| {
        let text = line["message"].as_str().unwrap_or_default();
        text.contains(message)
    });
    lines.count()
}

#[tokio::test]
async fn of_servers_that_start_together_one_makes_the_administrator() {
    let postgres = Postgres::migrated().await;
    let url = postgres.url();
    let (a, b, c) = tokio::join!(
        Api::start(&url, &ENVIRONMENT),
        Api::start(&url, &ENVIRONMENT),
        Api::start(&url, &ENVIRONMENT),
    );
    let apis = [a, b, c];
    for api in &apis {
        api.ready().await;
    }
    let mut connection = connect(&url).await;
    assert_eq!(admins(&mut connection).await, ["Elaine"]);
    let mut made = 0;
    for api in &apis {
        made += said(api, "administrator was made").await;
    }
    assert_eq!(made, 1);
    for api in &apis {
        assert_eq!(role_of(api, "elaine").await, json!(["admin"]));
        let log = api.log().await.into_iter();
        let troubles = log.filter(|line| line["level"] == "ERROR");
        let printed = api.printed().await;
        assert_eq!(troubles.count(), 0, "{printed}");
        assert!(!printed.contains(PASSWORD), "{printed}");
        assert!(!printed.contains("elaine@"), "{printed}");
    }
    let events: Vec<Value> =
        sqlx::query_scalar("SELECT detail FROM authstack.audit WHERE action = 'admin_user_create'")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert_eq!(events, [json!({"by": "environment"})]);
    drop(apis);

    // Where somebody has the role, the variables mean nothing more: neither
    // another name nor another password.
    for (name, value) in [
        ("ADMIN_USERNAME", "other"),
        ("ADMIN_PASSWORD", "another one"),
    ] {
        let mut variables = ENVIRONMENT;
        for variable in &mut variables {
            if variable.0 == name {
                variable.1 = value;
            }
        }
        let api = Api::start(&url, &variables).await;
        api.ready().await;
        assert_eq!(role_of(&api, "elaine").await, json!(["admin"]));
        assert_eq!(admins(&mut connection).await, ["Elaine"]);
        let told = said(&api, "administrator").await;
        assert_eq!(told, 0, "{}", api.printed().await);
    }
}

#[tokio::test]
async fn whoever_took_the_administrators_name_is_not_promoted() {
    let postgres = Postgres::migrated().await;
    let url = postgres.url();
    let mut connection = connect(&url).await;
    let squatted = Api::start(&url, &[]).await;
    squatted.ready().await;
    squatted.tokens("elaine").await;
    for names in [
        ["elaine", "other@example.com"],
        ["other", "ELAINE@example.com"],
        ["ELAINE", "elaine@example.com"],
    ] {
        let [username, email] = names;
        let variables = [
            ("ADMIN_USERNAME", username),
            ("ADMIN_EMAIL", email),
            ("ADMIN_PASSWORD", "another password"),
        ];
        let api = Api::start(&url, &variables).await;
        api.ready().await;
        assert!(admins(&mut connection).await.is_empty(), "{names:?}");
        let error = api.logged_line(|line| line["level"] == "ERROR").await;
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("ADMIN_USERNAME"), "{message}");
        assert_eq!(
            role_of(&api, "elaine").await,
            json!([]),
            "and her password is hers"
        );
    }
}

#[tokio::test]
async fn the_administrator_is_made_once_the_database_is_there() {
    let mut postgres = Postgres::prepare();
    let url = postgres.url();
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let file = file.to_string_lossy().into_owned();
    let variables = [
        ("ADMIN_USERNAME", "elaine"),
        ("ADMIN_EMAIL", "elaine@example.com"),
        ("ADMIN_PASSWORD_FILE", &*file),
    ];
    let api = Api::start(&url, &variables).await;
    assert_eq!(api.probe("/readyz").await, 503);
    postgres.start().await;
    assert!(
        run(&["migrate"], &[("DATABASE_URL", &url)])
            .status
            .success()
    );
    api.ready().await;
    assert_eq!(role_of(&api, "elaine").await, json!(["admin"]));
}

#[test]
fn half_an_administrator_stops_the_boot() {
    let required = [("DATABASE_URL", NO_DATABASE), ("SECRET_KEY", SECRET)];
    let refused = |variables: &[(&str, &str)], culprit: &str| {
        let output = run(&["serve"], &[&required, variables].concat());
        let said = text(&output, false);
        assert!(said.contains(culprit), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    };
    let [name, email, password] = ENVIRONMENT;
    refused(&[name], "ADMIN_EMAIL");
    refused(&[email, password], "ADMIN_USERNAME");
    refused(&[name, email], "ADMIN_PASSWORD");
    refused(&[name, email, ("ADMIN_PASSWORD", "")], "ADMIN_PASSWORD");
    refused(
        &[name, email, ("ADMIN_PASSWORD", "hunter2")],
        "ADMIN_PASSWORD",
    );
    refused(
        &[name, email, ("ADMIN_PASSWORD", "password")],
        "ADMIN_PASSWORD",
    );
    refused(&[name, ("ADMIN_EMAIL", "x"), password], "ADMIN_EMAIL");
    refused(
        &[name, email, password, ("ADMIN_PASSWORD_FILE", "/x")],
        "ADMIN_PASSWORD_FILE",
    );
    refused(
        &[name, email, ("ADMIN_PASSWORD_FILE", "/not/there")],
        "/not/there",
    );
}
