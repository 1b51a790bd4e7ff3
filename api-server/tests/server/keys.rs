//! Key files: what stops a boot, what a running server makes of a change, and
//! the subcommand that makes and rotates them.

use std::{fs, time::Duration};

use authstack_api::crypto::{
    jwt::{AccessClaims, Tokens},
    keys::{KeyFile, Keys, rfc3339},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::{
    api::{Api, NO_DATABASE, SECRET, eventually, run},
    mount::Mount,
    postgres::Postgres,
};

mod command;

/// A poll takes five seconds.
const PATIENCE: Duration = Duration::from_secs(20);

const REFUSED: &str =
    "SIGNING_KEYS_FILE not reloaded: the old keys stay in force until it is mended";

const NAME: &str = "keys.json";

/// What `keys` prints.
#[track_caller]
fn keys(arguments: &[&str]) -> String {
    let output = run(&[&["keys"], arguments].concat(), &[]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The one line that `keys` fails with.
#[track_caller]
fn keys_refused(arguments: &[&str]) -> String {
    let output = run(&[&["keys"], arguments].concat(), &[]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert_eq!(errors.lines().count(), 1, "{errors}");
    errors
}

fn parsed(file: &str) -> Value {
    serde_json::from_str(file).unwrap()
}

fn new_key(members: &Value) -> Value {
    let mut key = parsed(&keys(&["generate"]))["keys"][0].clone();
    let object = key.as_object_mut().unwrap();
    object.extend(members.as_object().unwrap().clone());
    key
}

fn with(key: &Value, members: &Value) -> Value {
    let mut key = key.clone();
    let object = key.as_object_mut().unwrap();
    object.extend(members.as_object().unwrap().clone());
    key
}

fn file(keys: &[&Value]) -> String {
    json!({ "keys": keys }).to_string()
}

fn at(seconds: i64) -> String {
    rfc3339(OffsetDateTime::now_utc().unix_timestamp() + seconds)
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// The claims of this token, signed by this key.
fn signed_by(key: &Value, token: &str) -> String {
    let claims: AccessClaims = serde_json::from_value(part(token, 1)).unwrap();
    let alone = file(&[&with(
        key,
        &json!({"state": "active", "activates_at": null}),
    )]);
    let alone = KeyFile::parse(alone.as_bytes()).unwrap();
    let keys = Keys::from_file(alone, claims.iat).unwrap();
    let tokens = Tokens::new(keys, claims.iss.clone(), claims.aud.clone());
    tokens.sign_access(&claims).unwrap()
}

async fn published(api: &Api) -> Vec<Value> {
    let answer = api.get("/.well-known/jwks.json").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["cache-control"], "public, max-age=300");
    let body: Value = answer.json().await.unwrap();
    let keys = body["keys"].as_array().unwrap();
    assert!(keys.iter().all(|key| key.get("d").is_none()));
    keys.iter().map(|key| key["kid"].clone()).collect()
}

async fn refusals(api: &Api, count: usize) -> Value {
    eventually(PATIENCE, async || {
        let log = api.log().await;
        let mut lines = log.into_iter().filter(|line| line["message"] == REFUSED);
        lines.nth(count - 1)
    })
    .await
}

async fn metrics(api: &Api, expected: &str) {
    eventually(PATIENCE, async || {
        api.metrics().await.contains(expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_changed_file_is_taken_and_a_bad_one_changes_nothing() {
    let postgres = Postgres::migrated().await;
    let old = new_key(&json!({}));
    let new = new_key(&json!({"state": "next"}));
    let mut mount = Mount::new(&[(NAME, &file(&[&old]))]);
    let path = mount.path(NAME);
    let settings = [("SIGNING_KEYS_FILE", path.as_str()), ("SECRET_KEY", "")];
    let api = Api::start(&postgres.url(), &settings).await;
    api.ready().await;
    let (access, _) = api.tokens("guybrush").await;
    assert_eq!(part(&access, 0)["kid"], old["kid"]);
    assert_eq!(published(&api).await, [old["kid"].clone()]);

    mount.write(&[(NAME, "{\"keys\": [garbage")]);
    let line = refusals(&api, 1).await;
    assert_eq!(line["level"], "ERROR");
    assert!(
        line["reason"].as_str().unwrap().contains("line 1"),
        "{line}"
    );
    metrics(&api, "signing_keys_file_refused 1").await;
    assert_eq!(published(&api).await, [old["kid"].clone()]);
    assert_eq!(part(&api.login("guybrush").await.0, 0)["kid"], old["kid"]);

    // Properly introduced: it verifies, and is to sign in a quarter of an hour.
    let later = with(&new, &json!({"state": "active", "activates_at": at(900)}));
    mount.write(&[(NAME, &file(&[&old, &later]))]);
    metrics(&api, "signing_keys_file_refused 0").await;
    assert_eq!(
        published(&api).await,
        [old["kid"].clone(), new["kid"].clone()]
    );
    let (access, _) = api.login("guybrush").await;
    assert_eq!(part(&access, 0)["kid"], old["kid"]);
    assert_eq!(api.me(&signed_by(&new, &access)).await.status(), 200);

    // It has not been published for long enough to sign now.
    let active = with(&new, &json!({"state": "active"}));
    let retired = with(
        &old,
        &json!({"state": "retired", "retires_at": at(700_000)}),
    );
    mount.write(&[(NAME, &file(&[&retired, &active]))]);
    let line = refusals(&api, 2).await;
    let reason = line["reason"].as_str().unwrap();
    assert!(reason.contains("10 minutes"), "{reason}");
    assert!(reason.contains(new["kid"].as_str().unwrap()), "{reason}");
    assert_eq!(part(&api.login("guybrush").await.0, 0)["kid"], old["kid"]);

    // Taken out, it is gone.
    mount.write(&[(NAME, &file(&[&old]))]);
    eventually(PATIENCE, async || {
        (published(&api).await.len() == 1).then_some(())
    })
    .await;
    let (access, _) = api.login("guybrush").await;
    assert_eq!(api.me(&access).await.status(), 200);
    assert_eq!(api.me(&signed_by(&new, &access)).await.status(), 401);
    metrics(&api, "signing_keys_reloads_total{result=\"loaded\"} 2").await;

    let log = api.log().await.into_iter();
    let refused = log.filter(|line| line["message"] == REFUSED);
    assert_eq!(
        refused.count(),
        2,
        "each is told once, however often it is tried"
    );
    for key in [&old, &new] {
        assert!(!api.printed().await.contains(key["d"].as_str().unwrap()));
    }
}

#[tokio::test]
async fn a_retired_key_disappears_by_itself_and_a_missing_file_keeps_the_rest() {
    let postgres = Postgres::migrated().await;
    let active = new_key(&json!({}));
    let retired = new_key(&json!({"state": "retired", "retires_at": at(12)}));
    let mount = Mount::new(&[(NAME, &file(&[&active, &retired]))]);
    let path = mount.path(NAME);
    let settings = [("SIGNING_KEYS_FILE", path.as_str()), ("SECRET_KEY", "")];
    let api = Api::start(&postgres.url(), &settings).await;
    api.ready().await;
    let (access, _) = api.tokens("guybrush").await;
    let of_retired = signed_by(&retired, &access);
    assert_eq!(api.me(&of_retired).await.status(), 200);
    fs::remove_file(&path).unwrap();
    let line = refusals(&api, 1).await;
    assert!(
        line["reason"].as_str().unwrap().contains("cannot be read"),
        "{line}"
    );
    eventually(PATIENCE, async || {
        (published(&api).await == [active["kid"].clone()]).then_some(())
    })
    .await;
    assert_eq!(api.me(&of_retired).await.status(), 401);
    assert_eq!(api.me(&access).await.status(), 200);
}

#[tokio::test]
async fn a_token_of_a_mebibyte_is_refused_by_its_head() {
    let api = Api::start(NO_DATABASE, &[]).await;
    for length in [20_000, 1 << 20] {
        let status = api.me(&"x".repeat(length)).await.status().as_u16();
        assert!(matches!(status, 401 | 431), "{length}: {status}");
    }
    assert_eq!(api.get("/").await.status(), 200);
}

/// That `serve` with these settings ends with one line that holds `culprit`.
#[track_caller]
fn assert_refused(variables: &[(&str, &str)], culprit: &str) {
    let variables = [&[("DATABASE_URL", NO_DATABASE)], variables].concat();
    let output = run(&["serve"], &variables);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{culprit}: it started");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains(culprit), "{culprit}: {text}");
}

#[test]
fn a_file_that_cannot_be_used_stops_the_boot() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("keys.json");
    let name = path.display().to_string();
    let key = new_key(&json!({}));
    let secret = key["d"].as_str().unwrap();
    let other = new_key(&json!({}));
    let mismatched = with(&key, &json!({"x": other["x"]}));
    let short = with(&key, &json!({"alg": "HS256"}));
    let state = with(&key, &json!({"state": "on"}));
    for (content, culprit) in [
        (String::new(), "is not JSON"),
        ("{}".into(), "is not a JWK Set"),
        (format!("{{\"keys\": [\"{secret}\"]}}"), "keys[0]"),
        (json!({"keys": []}).to_string(), "no key that signs"),
        (file(&[&mismatched]), "different keys"),
        (file(&[&short]), "must have the alg EdDSA"),
        (file(&[&key, &state]), "key 2"),
        (file(&[&key, &key]), "kid of an earlier key"),
        (" ".repeat(300_000), "256 KiB"),
    ] {
        fs::write(&path, content).unwrap();
        let output = run(
            &["serve"],
            &[("DATABASE_URL", NO_DATABASE), ("SIGNING_KEYS_FILE", &name)],
        );
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{culprit}: it started");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.contains("SIGNING_KEYS_FILE") && text.contains(&name),
            "{text}"
        );
        assert!(text.contains(culprit), "{culprit}: {text}");
        assert!(!text.contains(secret), "{text}");
    }
    let missing = [("SIGNING_KEYS_FILE", "/does/not/exist")];
    assert_refused(
        &missing,
        "SIGNING_KEYS_FILE (/does/not/exist) cannot be read",
    );
    assert_refused(&[("SIGNING_KEYS_FILE", "/")], "SIGNING_KEYS_FILE (/)");
}

#[test]
fn settings_about_keys_that_make_no_sense_stop_the_boot() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("keys.json");
    fs::write(&path, keys(&["generate"])).unwrap();
    let name = path.display().to_string();
    let keys_file = ("SIGNING_KEYS_FILE", name.as_str());
    let until = ("HS256_ACCEPT_UNTIL", "2030-01-01T00:00:00Z");
    assert_refused(&[], "SECRET_KEY (or SECRET_KEY_FILE, or SIGNING_KEYS_FILE)");
    assert_refused(&[until, ("SECRET_KEY", SECRET)], "HS256_ACCEPT_UNTIL");
    assert_refused(&[keys_file, until], "HS256_ACCEPT_UNTIL needs SECRET_KEY");
    assert_refused(
        &[keys_file, until, ("SECRET_KEY", "short")],
        "SECRET_KEY must",
    );
    let no_time = ("HS256_ACCEPT_UNTIL", "tomorrow");
    assert_refused(
        &[keys_file, no_time, ("SECRET_KEY", SECRET)],
        "HS256_ACCEPT_UNTIL",
    );
}
