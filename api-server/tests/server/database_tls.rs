//! TLS towards the database: by every command, and with nobody else.

use std::{fs, time::Duration};

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::{
    api::{Api, eventually, run},
    certificates::Authority,
    mount::Mount,
    postgres::Postgres,
};

const ACCOUNT: &str = "id,username,email,hashed_password\n1,elaine,elaine@example.com,\n";

/// A database that is `names`, by `authority`, and takes nobody without TLS.
async fn database(authority: &Authority, names: &[&str]) -> Postgres {
    let mut postgres = Postgres::prepare();
    postgres.use_certificate(&authority.issue(names, 30));
    postgres.refuse_plaintext();
    postgres.start().await;
    // Started means that it takes connections, not yet logins.
    let url = format!("{}?sslmode=require", postgres.url());
    eventually(Duration::from_secs(20), async || {
        PgConnection::connect(&url).await.ok()
    })
    .await;
    postgres
}

/// What the commands say that run once, each with what it fails with.
fn commands(url: &str) -> Vec<(bool, String)> {
    let directory = TempDir::new().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let password = file("password", "a password that is long enough");
    let users = file("users.csv", ACCOUNT);
    let admin = [
        "admin",
        "create",
        "--username=root",
        "--email=root@example.com",
    ];
    let admin = [&admin[..], &["--password-file", &password]].concat();
    let variables = [("DATABASE_URL", url), ("MIGRATE_TIMEOUT", "1s")];
    let calls = [vec!["migrate"], admin, vec!["import", "--from", &users]];
    let outcomes = calls.map(|call| {
        let output = run(&call, &variables);
        let text = String::from_utf8(output.stderr).unwrap();
        // The import has its say about rows; here it is about getting there.
        (
            output.status.success() || output.status.code() == Some(3),
            text,
        )
    });
    outcomes.into()
}

#[tokio::test]
async fn every_command_reaches_the_database_by_verified_tls_and_by_nothing_less() {
    let authority = Authority::new();
    let postgres = database(&authority, &["127.0.0.1"]).await;
    let mount = Mount::new(&[("ca.crt", &authority.pem)]);
    let ca = mount.path("ca.crt");
    let url = format!("{}?sslmode=verify-full&sslrootcert={ca}", postgres.url());
    for (done, text) in commands(&url) {
        assert!(done, "{text}");
    }
    let api = Api::start(&url, &[]).await;
    api.ready().await;
    api.tokens("guybrush").await;
    let observer = format!("{}?sslmode=require", postgres.url());
    let mut observer = PgConnection::connect(&observer).await.unwrap();
    let encrypted =
        "SELECT ssl.ssl, ssl.version FROM pg_stat_ssl ssl JOIN pg_stat_activity USING (pid)
                     WHERE application_name = 'authstack-api'";
    let encrypted: Vec<(bool, String)> = sqlx::query_as(encrypted)
        .fetch_all(&mut observer)
        .await
        .unwrap();
    assert!(!encrypted.is_empty());
    for (ssl, version) in encrypted {
        assert!(ssl && version == "TLSv1.3", "{version}");
    }
    let plain = format!("{}?sslmode=disable", postgres.url());
    for (done, text) in commands(&plain) {
        assert!(!done && text.contains("no encryption"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

#[tokio::test]
async fn who_does_not_prove_to_be_the_database_gets_no_password() {
    let authority = Authority::new();
    let stranger = Authority::new();
    let postgres = database(&authority, &["127.0.0.1"]).await;
    let mut plain = Postgres::prepare();
    plain.start().await;
    let mount = Mount::new(&[("ca.crt", &authority.pem), ("wrong.crt", &stranger.pem)]);
    let verified = |url: &str, authority: &str| {
        let path = mount.path(authority);
        format!("{url}?sslmode=verify-full&sslrootcert={path}")
    };
    let elsewhere = postgres.url().replace("127.0.0.1", "localhost");
    for (url, reason) in [
        (
            verified(&postgres.url(), "wrong.crt"),
            "the server's certificate is not of an authority in sslrootcert",
        ),
        (
            verified(&elsewhere, "ca.crt"),
            "not for localhost, which the URL names",
        ),
        (
            verified(&plain.url(), "ca.crt"),
            "the server speaks no TLS, which sslmode asks for",
        ),
        (
            format!(
                "{}?sslmode=verify-full&sslrootcert=/does/not/exist",
                plain.url()
            ),
            "sslrootcert=/does/not/exist, which cannot be read",
        ),
    ] {
        for (done, text) in commands(&url) {
            assert!(!done && text.contains(reason), "{reason}: {text}");
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(!text.contains("odd"), "{text}");
        }
    }
    let api = Api::start(&verified(&plain.url(), "ca.crt"), &[]).await;
    let line = api.logged("not ready").await;
    let reason = line["reason"].as_str().unwrap();
    assert!(reason.contains("the server speaks no TLS"), "{line}");
    assert_eq!(api.probe("/readyz").await, 503);
}

/// The authority is exchanged: first both are trusted, then the database shows
/// a certificate of the new one.
#[tokio::test]
async fn another_authority_is_trusted_without_a_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    let postgres = database(&old, &["127.0.0.1"]).await;
    let mut mount = Mount::new(&[("ca.crt", &old.pem)]);
    let ca = mount.path("ca.crt");
    let url = format!("{}?sslmode=verify-full&sslrootcert={ca}", postgres.url());
    assert!(
        run(&["migrate"], &[("DATABASE_URL", &url)])
            .status
            .success()
    );
    let settings = [("ACCESS_TOKEN_TTL", "1h")];
    let api = Api::start(&url, &settings).await;
    api.ready().await;
    let (access, _) = api.tokens("guybrush").await;

    mount.write(&[("ca.crt", &format!("{}{}", old.pem, new.pem))]);
    postgres.use_certificate(&new.issue(&["127.0.0.1"], 30));
    let observer = format!("{}?sslmode=require", postgres.url());
    let mut admin = PgConnection::connect(&observer).await.unwrap();
    let reload = sqlx::query("SELECT pg_reload_conf()");
    reload.execute(&mut admin).await.unwrap();
    // Only the new authority is asked for: who gets in has seen its certificate.
    mount.write(&[("ca.crt", &new.pem)]);
    eventually(Duration::from_secs(20), async || {
        PgConnection::connect(&url).await.ok()
    })
    .await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE application_name = 'authstack-api'";
    sqlx::query(end).execute(&mut admin).await.unwrap();
    eventually(Duration::from_secs(20), async || {
        let status = api.me(&access).await.status();
        assert!(status == 200 || status == 503, "{status}");
        (status == 200).then_some(())
    })
    .await;
    for _ in 0..20 {
        assert_eq!(api.me(&access).await.status(), 200);
    }
}
