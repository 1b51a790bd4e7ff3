//! What stops a boot, in one line that names it, and what does not.

use std::{fs, net::TcpListener};

use serde_json::Value;
use tempfile::TempDir;

use crate::api::{Api, NO_DATABASE, SECRET, command, run};

/// That `serve` with these settings ends with one line that holds `culprit`.
#[track_caller]
fn assert_refused(arguments: &[&str], variables: &[(&str, &str)], culprit: &str) -> String {
    let required = [("DATABASE_URL", NO_DATABASE), ("SECRET_KEY", SECRET)];
    let unset: Vec<&str> = variables.iter().map(|(name, _)| *name).collect();
    let kept = required
        .into_iter()
        .filter(|(name, _)| !unset.contains(name));
    let variables: Vec<_> = kept.chain(variables.iter().copied()).collect();
    let output = run(&[&["serve"], arguments].concat(), &variables);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{culprit}: it started");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains(culprit), "{culprit}: {text}");
    assert!(
        !text.contains(SECRET) && !text.contains("hunter2"),
        "{text}"
    );
    text
}

#[test]
fn without_a_subcommand_they_are_listed() {
    for arguments in [&[][..], &["admin"], &["keys"]] {
        let output = run(arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("Usage: authstack-api"), "{text}");
        assert!(text.contains("Commands:"), "{text}");
    }
}

#[test]
fn unknown_flags_and_bad_values_are_named() {
    assert_refused(&["--banana"], &[], "--banana");
    assert_refused(&["--port", "banana"], &[], "PORT");
    assert_refused(&["stray"], &[], "stray");
    for (name, value) in [
        ("PORT", "banana"),
        ("PORT", "65536"),
        ("METRICS_PORT", "-1"),
        ("ACCESS_TOKEN_TTL", "banana"),
        ("REFRESH_TOKEN_TTL", "0d"),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "soon"),
        ("REFRESH_TOKEN_EXPIRE_DAYS", "0"),
        ("PUBLIC_URL", "auth.example.com"),
        ("PUBLIC_URL", "https://auth.example.com/path"),
        ("REGISTRATION", "maybe"),
        ("PASSWORD_MIN_LENGTH", "7"),
        ("PASSWORD_MIN_LENGTH", "many"),
        ("TRUSTED_PROXY_HOPS", "all"),
        ("LOG_LEVEL", "loud"),
        ("OAUTH_CLIENTS", "shop"),
        ("OAUTH_CLIENTS", "shop:hunter2"),
        ("OAUTH_CLIENTS_FILE", "/does/not/exist"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://app.example.com/path"),
        ("DRAIN_DELAY", "later"),
        ("HASH_THREADS", "0"),
        ("LISTEN_ADDRESS", "localhost"),
        ("RATE_LIMITS", "sometimes"),
        ("LIMIT_LOGIN_PER_ACCOUNT_AND_ADDRESS", "10"),
        ("LIMIT_LOGIN_PER_ACCOUNT", "10/6"),
        ("LIMIT_LOGIN_PER_ADDRESS", "0/1s"),
        ("LIMIT_REGISTRATION_PER_ADDRESS", "999999/99999h"),
        ("LIMIT_REFRESH_PER_SESSION", "often"),
        ("LIMIT_EXPORT_PER_ACCOUNT", "1"),
        ("AUDIT_RETENTION", "for ever"),
        ("HOUSEKEEPING_INTERVAL", "0s"),
        ("DATABASE_MAX_CONNECTIONS", "0"),
        ("DATABASE_URL", "mysql://root:hunter2@localhost/x"),
        ("DATABASE_URL", "postgres://root:hunter2@localhost"),
        ("SECRET_KEY", "hunter2 is too short"),
        ("SECRET_KEY_FILE", "/does/not/exist"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:hunter2@collector"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
        ("OTEL_EXPORTER_OTLP_HEADERS_FILE", "/does/not/exist"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/does/not/exist"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/dev/null"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_RESOURCE_ATTRIBUTES", "nonsense"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
    ] {
        assert_refused(&[], &[(name, value)], name.trim_end_matches("_FILE"));
    }
}

#[test]
fn settings_that_contradict_each_other_are_named() {
    let refused = assert_refused(
        &[],
        &[("ACCESS_TOKEN_TTL", "2h"), ("REFRESH_TOKEN_TTL", "1h")],
        "REFRESH_TOKEN_TTL",
    );
    assert!(refused.contains("ACCESS_TOKEN_TTL"), "{refused}");
    assert_refused(
        &[],
        &[("PORT", "8001"), ("METRICS_PORT", "8001")],
        "METRICS_PORT",
    );
    assert_refused(
        &["--secret-key-file=x"],
        &[("SECRET_KEY", SECRET)],
        "SECRET_KEY_FILE",
    );
}

#[test]
fn what_is_required_is_asked_for() {
    for (variables, culprit) in [
        (&[("SECRET_KEY", SECRET)][..], "DATABASE_URL"),
        (&[("DATABASE_URL", NO_DATABASE)], "SECRET_KEY"),
        // Set but empty is as good as unset.
        (
            &[("DATABASE_URL", NO_DATABASE), ("SECRET_KEY", "")],
            "SECRET_KEY",
        ),
    ] {
        let output = run(&["serve"], variables);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(culprit), "{text}");
    }
}

#[test]
fn what_a_dotenv_lacks_because_a_line_is_broken_is_explained() {
    let directory = TempDir::new().unwrap();
    let dotenv = format!("\u{feff}DATABASE_URL={NO_DATABASE}\nSECRET_KEY=\"{SECRET}\n");
    fs::write(directory.path().join(".env"), dotenv).unwrap();
    let output = command(&["serve"], &[], directory.path()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(lines[0], "authstack-api: line 2 of .env is not understood");
    assert!(lines[1].contains("SECRET_KEY"), "{text}");
    assert!(!text.contains(SECRET), "{text}");
}

#[test]
fn a_bad_line_in_dotenv_is_named() {
    let directory = TempDir::new().unwrap();
    fs::write(
        directory.path().join(".env"),
        "ACCESS_TOKEN_EXPIRE_MINUTES=soon\n",
    )
    .unwrap();
    let variables = [("DATABASE_URL", NO_DATABASE), ("SECRET_KEY", SECRET)];
    let output = command(&["serve"], &variables, directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(text.contains("ACCESS_TOKEN_EXPIRE_MINUTES"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    assert_refused(
        &[],
        &[("PORT", &port), ("LISTEN_ADDRESS", "127.0.0.1")],
        &port,
    );
}

#[test]
fn help_names_every_variable_and_no_secret() {
    let variables = [
        ("SECRET_KEY", SECRET),
        ("DATABASE_URL", "postgres://root:hunter2@localhost/x"),
    ];
    let output = run(&["serve", "--help"], &variables);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for name in [
        "DATABASE_URL",
        "DATABASE_PASSWORD_FILE",
        "SECRET_KEY",
        "SECRET_KEY_FILE",
        "SIGNING_KEYS_FILE",
        "HS256_ACCEPT_UNTIL",
        "PORT",
        "METRICS_PORT",
        "PUBLIC_URL",
        "ISSUER",
        "AUDIENCE",
        "ACCESS_TOKEN_TTL",
        "REFRESH_TOKEN_TTL",
        "ACCESS_TOKEN_EXPIRE_MINUTES",
        "REFRESH_TOKEN_EXPIRE_DAYS",
        "REGISTRATION",
        "PASSWORD_MIN_LENGTH",
        "TRUSTED_PROXY_HOPS",
        "LOG_LEVEL",
    ] {
        assert!(text.contains(&format!("[env: {name}")), "{name}\n{text}");
    }
    assert!(!text.contains(SECRET) && !text.contains("hunter2"));
    for subcommand in ["migrate", "keys", "openapi", "healthcheck"] {
        assert!(
            run(&[subcommand, "--help"], &[]).status.success(),
            "{subcommand}"
        );
    }
    assert!(run(&["--version"], &[]).status.success());
    assert!(
        !run(&[], &[]).status.success(),
        "there is no default subcommand"
    );
}

#[test]
fn the_document_is_printed() {
    let output = run(&["openapi"], &[]);
    assert!(output.status.success());
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        document,
        serde_json::to_value(authstack_api::http::document()).unwrap()
    );
}

#[tokio::test]
async fn an_older_services_dotenv_works_as_it_is() {
    let dotenv = "\
# the first service's
DATABASE_URL=postgresql+asyncpg://user:pass@127.0.0.1:1/auth
SECRET_KEY=\"a secret of the first service, long enough\"
ALGORITHM=HS256
ACCESS_TOKEN_EXPIRE_MINUTES=1
REFRESH_TOKEN_EXPIRE_DAYS=7
APP_NAME=DataViv API
nonsense
";
    let variables = [("DATABASE_URL", ""), ("SECRET_KEY", "")];
    let api = Api::start_with_dotenv("", &variables, dotenv).await;
    assert_eq!(api.get("/").await.status(), 200);
    let log = api.log().await;
    let warned: Vec<_> = log.iter().filter(|line| line["level"] == "WARN").collect();
    for name in ["ALGORITHM", "APP_NAME"] {
        assert!(
            warned.iter().any(|line| line["name"] == name),
            "{name}: {warned:?}"
        );
    }
    assert!(warned.iter().any(|line| line["line"] == 8), "{warned:?}");
    assert!(!warned.iter().any(|line| line["name"] == "SECRET_KEY"));
    assert!(
        !api.printed().await.contains("first service, long"),
        "values are not shown"
    );
}

#[tokio::test]
async fn without_a_database_it_serves_what_it_can() {
    let api = Api::start(NO_DATABASE, &[]).await;
    assert_eq!(api.get("/").await.status(), 200);
    assert_eq!(api.get("/docs/").await.status(), 200);
    let status = api.get("/auth/").await;
    assert_eq!(status.status(), 503);
    let body: Value = status.json().await.unwrap();
    assert_eq!(body["database"], "disconnected");
    assert_eq!(api.probe("/livez").await, 200);
    assert_eq!(api.probe("/readyz").await, 503);
}

#[tokio::test]
async fn healthcheck_asks_whether_it_is_ready() {
    let api = Api::start(NO_DATABASE, &[]).await;
    let port = api.metrics_port.to_string();
    let output = run(&["healthcheck"], &[("METRICS_PORT", &port)]);
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("503"), "{text}");
    drop(api);
    let output = run(&["healthcheck"], &[("METRICS_PORT", &port)]);
    assert!(!output.status.success());
    assert_eq!(String::from_utf8(output.stderr).unwrap().lines().count(), 1);
}

#[tokio::test]
async fn an_address_without_tls_is_warned_of_once_where_it_is_reached_from_outside() {
    for (public_url, warnings) in [
        ("http://auth.example.com", 1),
        ("https://auth.example.com", 0),
        ("http://localhost:8001", 0),
        ("http://auth-api.default.svc", 0),
    ] {
        let api = Api::start(NO_DATABASE, &[("PUBLIC_URL", public_url)]).await;
        assert_eq!(api.get("/").await.status(), 200);
        let log = api.log().await.into_iter();
        let warned = log.filter(|line| line["level"] == "WARN" && line["public_url"] == public_url);
        assert_eq!(warned.count(), warnings, "{public_url}");
    }
}
