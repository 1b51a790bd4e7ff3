//! `GET /.well-known/jwks.json`

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::{
    signing::{TestKey, at, file},
    support::{Server, Setup},
};

#[sqlx::test(migrations = false)]
async fn without_a_key_file_it_is_empty(pool: PgPool) {
    let server = Server::new(pool).await;
    let answer = server.get("/.well-known/jwks.json").send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    assert_eq!(answer.text, r#"{"keys":[]}"#);
}

#[sqlx::test(migrations = false)]
async fn every_key_that_verifies_is_shown_without_anything_private(pool: PgPool) {
    let active = TestKey::ed25519("active", &json!({"state": "active"}));
    let next = TestKey::ed25519("next", &json!({"state": "next"}));
    let es256 = TestKey::es256("es256", &json!({"state": "retired", "retires_at": at(60)}));
    let rs256 = TestKey::rs256("rs256", &json!({"state": "active"}));
    let past = TestKey::ed25519("past", &json!({"state": "retired", "retires_at": at(-1)}));
    let setup = Setup {
        key_file: Some(file(&[&active, &next, &es256, &rs256, &past])),
        ..Setup::default()
    };
    let server = Server::with(pool, setup).await;
    let answer = server.get("/.well-known/jwks.json").send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let ed25519 = |key: &TestKey, kid: &str| {
        json!({
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
            "kid": kid, "x": key.jwk["x"],
        })
    };
    let expected = json!({"keys": [
        ed25519(&active, "active"),
        ed25519(&next, "next"),
        {
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "es256",
            "x": es256.jwk["x"], "y": es256.jwk["y"],
        },
        {
            "kty": "RSA", "alg": "RS256", "use": "sig", "kid": "rs256",
            "n": rs256.jwk["n"], "e": rs256.jwk["e"],
        },
    ]});
    assert_eq!(answer.json, expected);
    for key in answer.json["keys"].as_array().unwrap() {
        for private in ["d", "p", "q", "k", "state", "retires_at"] {
            assert!(key.get(private).is_none(), "{key}");
        }
    }
    for key in [&active, &next] {
        assert!(!answer.text.contains(key.jwk["d"].as_str().unwrap()));
    }
    server.advance(61);
    let answer = server.get("/.well-known/jwks.json").send().await;
    let kids: Vec<&Value> = answer.json["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| &key["kid"])
        .collect();
    assert_eq!(kids, ["active", "next", "rs256"]);
}
