//! Limits and housekeeping of whole servers, over one database.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::{
    api::{Api, PASSWORD, eventually},
    postgres::Postgres,
};

const PATIENCE: Duration = Duration::from_secs(30);

async fn litter(database: &mut PgConnection) {
    let insert = "INSERT INTO authstack.audit (id, at, action, result)
         SELECT gen_random_uuid(), now() - interval '3 days', 'login', 'success'
         FROM generate_series(1, 1500)";
    sqlx::query(insert).execute(database).await.unwrap();
}

async fn gone(database: &mut PgConnection) {
    eventually(PATIENCE, async || {
        let count = "SELECT count(*) FROM authstack.audit WHERE at < now() - interval '2 days'";
        let old: i64 = sqlx::query_scalar(count)
            .fetch_one(&mut *database)
            .await
            .unwrap();
        (old == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn servers_keep_house_and_one_goes_on_where_another_dies() {
    let postgres = Postgres::migrated().await;
    let mut database = PgConnection::connect(&postgres.url()).await.unwrap();
    let settings = [("AUDIT_RETENTION", "2d"), ("HOUSEKEEPING_INTERVAL", "1s")];
    let one = Api::start(&postgres.url(), &settings).await;
    let two = Api::start(&postgres.url(), &settings).await;
    litter(&mut database).await;
    gone(&mut database).await;
    let removed = eventually(PATIENCE, async || {
        let lines = [one.log().await, two.log().await].concat();
        let counts = lines.iter().filter_map(|line| line["audit"].as_u64());
        let sum: u64 = counts.sum();
        (sum >= 1500).then_some(sum)
    })
    .await;
    assert_eq!(removed, 1500, "nothing is removed or counted twice");
    one.signal("KILL");
    litter(&mut database).await;
    gone(&mut database).await;
}

#[tokio::test]
async fn servers_share_limits_unless_they_are_switched_off() {
    let postgres = Postgres::migrated().await;
    let on = [("RATE_LIMITS", "on"), ("LIMIT_LOGIN_PER_ACCOUNT", "3/1h")];
    let servers = [
        Api::start(&postgres.url(), &on).await,
        Api::start(&postgres.url(), &on).await,
    ];
    servers[0].tokens("guybrush").await;
    let credentials = json!({"username": "guybrush", "password": PASSWORD});
    for server in [&servers[1], &servers[0]] {
        let answer = server.post("/auth/login", &credentials).await;
        assert_eq!(answer.status(), 200);
    }
    for server in &servers {
        let answer = server.post("/auth/login", &credentials).await;
        assert_eq!(answer.status(), 429);
        let seconds = answer.headers()["retry-after"].to_str().unwrap();
        assert!((3_500..=3_600).contains(&seconds.parse::<u32>().unwrap()));
        let problem: Value = answer.json().await.unwrap();
        assert!(
            problem["type"]
                .as_str()
                .unwrap()
                .ends_with("/problems/rate-limited")
        );
        let is_warned = |line: &Value| line.to_string().contains("RATE_LIMITS");
        assert!(!server.log().await.iter().any(is_warned));
    }
    let off = Api::start(&postgres.url(), &[("RATE_LIMITS", "off")]).await;
    off.login("guybrush").await;
    let warning = off.logged_line(|line| line.to_string().contains("RATE_LIMITS"));
    assert_eq!(warning.await["level"], "WARN");
}
