//! Keys that come and go while the server runs.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::{
    signing::{TestKey, at, claims, file, header, with},
    support::{Server, Setup},
};

async fn server(pool: PgPool, keys: &[&TestKey]) -> Server {
    let setup = Setup {
        key_file: Some(file(keys)),
        ..Setup::default()
    };
    Server::with(pool, setup).await
}

fn reload(server: &Server, file: &Value) -> Result<(), String> {
    let reloaded = server.app.reload_keys(file.to_string().as_bytes());
    reloaded.map_err(|error| error.to_string())
}

fn changed(key: &TestKey, members: &Value) -> Value {
    with(key.jwk.clone(), members)
}

async fn kid_of_a_login(server: &Server) -> Value {
    let pair = server.login("guybrush").await.pair();
    assert_eq!(header(&pair.access)["kid"], header(&pair.refresh)["kid"]);
    header(&pair.access)["kid"].clone()
}

#[sqlx::test(migrations = false)]
async fn a_key_is_published_then_signs_then_retires(pool: PgPool) {
    let old = TestKey::ed25519("old", &json!({"state": "active"}));
    let new = TestKey::ed25519("new", &json!({"state": "next"}));
    let server = server(pool, &[&old]).await;
    let pair = server.tokens("guybrush").await;
    let long = with(claims(&pair.access), &json!({"exp": i64::MAX}));
    let of_old = old.token(&long);
    assert_eq!(server.me(&of_old).await.status, 200);
    server
        .me(&new.token(&long))
        .await
        .assert_problem(401, "invalid-token");

    // Published: it verifies, and does not sign.
    reload(&server, &file(&[&old, &new])).unwrap();
    assert_eq!(server.me(&new.token(&long)).await.status, 200);
    assert_eq!(kid_of_a_login(&server).await, "old");

    // Too soon: refused as a whole, and what was is still so.
    let rotated = json!({"keys": [
        changed(&old, &json!({"state": "retired", "retires_at": at(700_000)})),
        changed(&new, &json!({"state": "active"})),
    ]});
    let refused = reload(&server, &rotated).unwrap_err();
    assert!(
        refused.contains("(new)") && refused.contains("10 minutes"),
        "{refused}"
    );
    assert_eq!(kid_of_a_login(&server).await, "old");
    server.advance(595);
    assert!(reload(&server, &rotated).is_err());

    // Ten minutes later it signs, and what the old one signed is good.
    server.advance(10);
    reload(&server, &rotated).unwrap();
    assert_eq!(kid_of_a_login(&server).await, "new");
    assert_eq!(server.me(&of_old).await.status, 200);
    let renewed = server.refresh(&pair.refresh).await.pair();
    assert_eq!(header(&renewed.refresh)["kid"], "new");

    // Gone from the file it is gone at once, though just now it was verified.
    let alone = json!({"keys": [changed(&new, &json!({"state": "active"}))]});
    reload(&server, &alone).unwrap();
    server
        .me(&of_old)
        .await
        .assert_problem(401, "invalid-token");
    assert_eq!(server.me(&new.token(&long)).await.status, 200);
}

#[sqlx::test(migrations = false)]
async fn times_act_without_a_reload(pool: PgPool) {
    let old = TestKey::ed25519("old", &json!({"state": "active", "retires_at": at(2_000)}));
    let new = TestKey::ed25519("new", &json!({"state": "next", "activates_at": at(1_000)}));
    let server = server(pool, &[&old, &new]).await;
    let pair = server.tokens("guybrush").await;
    let long = with(claims(&pair.access), &json!({"exp": i64::MAX}));
    let of_old = old.token(&long);
    assert_eq!(kid_of_a_login(&server).await, "old");
    server.advance(1_001);
    assert_eq!(kid_of_a_login(&server).await, "new");
    assert_eq!(server.me(&of_old).await.status, 200);
    server.advance(1_000);
    server
        .me(&of_old)
        .await
        .assert_problem(401, "invalid-token");
    assert_eq!(server.me(&new.token(&long)).await.status, 200);
}

#[sqlx::test(migrations = false)]
async fn where_no_key_is_active_any_more_a_login_fails_and_sessions_live_on(pool: PgPool) {
    let only = TestKey::ed25519("only", &json!({"state": "active", "retires_at": at(1_000)}));
    let es256 = TestKey::es256("es256", &json!({"state": "active"}));
    let server = server(pool, &[&only, &es256]).await;
    let pair = server.tokens("guybrush").await;
    let long = with(claims(&pair.access), &json!({"exp": i64::MAX}));
    server.advance(1_001);
    server
        .login("guybrush")
        .await
        .assert_problem(500, "internal");
    assert_eq!(server.me(&es256.token(&long)).await.status, 200);
}

#[sqlx::test(migrations = false)]
async fn a_bad_file_changes_nothing(pool: PgPool) {
    let key = TestKey::ed25519("key", &json!({"state": "active"}));
    let other = TestKey::ed25519("key", &json!({"state": "active"}));
    let server = server(pool, &[&key]).await;
    let pair = server.tokens("guybrush").await;
    let mismatched = json!({"keys": [changed(&key, &json!({"x": other.jwk["x"]}))]});
    for bad in [
        json!(null),
        json!({"keys": []}),
        json!({"keys": [changed(&key, &json!({"kid": "../../etc/passwd"}))]}),
        json!({"keys": [key.jwk, key.jwk]}),
        json!({"keys": [other.jwk]}),
        mismatched,
    ] {
        let reason = reload(&server, &bad).unwrap_err();
        assert!(!reason.contains(key.jwk["d"].as_str().unwrap()), "{reason}");
        assert!(!reason.contains('\n'), "{reason}");
        assert_eq!(server.me(&pair.access).await.status, 200, "{reason}");
    }
    assert_eq!(kid_of_a_login(&server).await, "key");
}
