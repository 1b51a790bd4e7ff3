//! A disk that is full: what needs no room goes on, what does is refused, and
//! nothing has to be done once there is room again.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::{
    api::{Api, PASSWORD},
    postgres::Postgres,
};

/// A file system of a few megabytes in memory, gone with this value.
struct TinyDisk(PathBuf);

impl TinyDisk {
    /// Mounts it on an empty directory that the database's user owns; nothing,
    /// where that is not allowed.
    fn mount(directory: PathBuf, owner: (u32, u32)) -> Option<Self> {
        let options = format!("size=4m,mode=0700,uid={},gid={}", owner.0, owner.1);
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&directory)
            .output()
            .unwrap();
        mounted.status.success().then_some(Self(directory))
    }

    /// Takes all the room that is left.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("ballast");
        let mut file = File::create(&path).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        path
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        // Lazily: the database may still have files open there.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

async fn register(api: &Api, number: usize) -> reqwest::Response {
    let name = format!("user-{number}");
    let account = json!({
        "username": name, "email": format!("{name}@example.com"), "password": PASSWORD,
    });
    api.post("/auth/register", &account).await
}

/// Puts our tables and indexes on that disk.
async fn move_tables(postgres: &Postgres, disk: &Path) {
    let mut database = PgConnection::connect(&postgres.url()).await.unwrap();
    let create = format!("CREATE TABLESPACE tiny LOCATION '{}'", disk.display());
    for statement in [
        create.as_str(),
        "ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE tiny",
        "ALTER INDEX ALL IN TABLESPACE pg_default SET TABLESPACE tiny",
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()))
            .execute(&mut database)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_serves_reads_and_heals() {
    let postgres = Postgres::migrated().await;
    let directory = postgres.make_directory("tiny");
    let disk = postgres
        .owner()
        .and_then(|owner| TinyDisk::mount(directory, owner));
    let Some(disk) = disk else {
        assert!(
            std::env::var_os("CI").is_none(),
            "a file system cannot be mounted"
        );
        eprintln!("skipped: only root can mount a file system");
        return;
    };
    move_tables(&postgres, &disk.0).await;
    let settings = [("ACCESS_TOKEN_TTL", "1h")];
    let api = Api::start(&postgres.url(), &settings).await;
    api.ready().await;
    let (access, _) = api.tokens("guybrush").await;

    let ballast = disk.fill();
    // Pages that are there already take some more rows.
    let mut taken = Vec::new();
    let mut refused = None;
    for number in 0..500 {
        let answer = register(&api, number).await;
        if answer.status() != 201 {
            refused = Some(answer);
            break;
        }
        taken.push(number);
    }
    let refused = refused.expect("the disk was never full");
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    let problem: Value = refused.json().await.unwrap();
    let kind = problem["type"].as_str().unwrap();
    assert!(kind.ends_with("/problems/unavailable"), "{problem}");
    assert_eq!(api.me(&access).await.status(), 200, "reads go on");
    assert_eq!(api.get("/auth/").await.status(), 200);
    assert_eq!(
        register(&api, taken.len()).await.status(),
        503,
        "still full"
    );
    let line = api.logged_line(|line| line["status"] == 503).await;
    let cause = line["cause"].as_str().unwrap();
    assert!(cause.contains("No space left"), "{line}");

    fs::remove_file(ballast).unwrap();
    assert_eq!(register(&api, taken.len()).await.status(), 201, "it healed");
    for number in [0, taken.len() / 2, taken.len()] {
        api.login(&format!("user-{number}")).await;
    }
}
