use std::sync::LazyLock;

use aws_lc_rs::{
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RsaKeyPair, RsaPublicKeyComponents,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::*;

mod file;
mod reload;
mod rotate;

const NOW: i64 = 1_800_000_000;
const WEEK: i64 = 604_800;

/// The key of RFC 8037, appendix A.1.
fn of_the_rfc() -> Value {
    json!({
        "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "kid": "rfc", "state": "active",
    })
}

/// A new Ed25519 key with these members.
fn ed25519(kid: &str, members: &Value) -> Value {
    let file = rotation::generate().unwrap();
    let file: Value = serde_json::from_str(file.expose_secret()).unwrap();
    with(&with(&file["keys"][0], &json!({ "kid": kid })), members)
}

fn p256() -> Value {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "ec", "state": "retired",
        "retires_at": "2030-01-01T00:00:00Z",
        "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
    })
}

fn rsa() -> Value {
    static PUBLIC: LazyLock<(String, String)> = LazyLock::new(|| {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        (
            URL_SAFE_NO_PAD.encode(public.n),
            URL_SAFE_NO_PAD.encode(public.e),
        )
    });
    json!({
        "kty": "RSA", "alg": "RS256", "kid": "rsa", "state": "active",
        "n": PUBLIC.0, "e": PUBLIC.1,
    })
}

/// `value` with `members` set, or taken out where they are null.
fn with(value: &Value, members: &Value) -> Value {
    let mut value = value.clone();
    let object = value.as_object_mut().unwrap();
    for (name, member) in members.as_object().unwrap() {
        if member.is_null() {
            object.remove(name);
        } else {
            object.insert(name.clone(), member.clone());
        }
    }
    value
}

fn parse(keys: &Value) -> Result<KeyFile, KeyFileError> {
    KeyFile::parse(json!({ "keys": keys }).to_string().as_bytes())
}

fn first(keys: &Value) -> Result<Keys, KeyFileError> {
    Keys::from_file(parse(keys)?, NOW)
}

fn at(seconds: i64) -> Value {
    json!(rfc3339(NOW + seconds))
}

fn signs(keys: &Keys, seconds: i64) -> Option<&str> {
    keys.signing_kid(NOW + seconds)
}

#[test]
fn a_short_secret_is_refused() {
    assert!(Keys::from_secret(&"x".repeat(31).into()).is_err());
    assert!(Keys::from_secret(&"x".repeat(32).into()).is_ok());
    let in_bytes = "é".repeat(16);
    assert!(Keys::from_secret(&in_bytes.into()).is_ok());
    let mut keys = first(&json!([of_the_rfc()])).unwrap();
    assert!(keys.accept_secret(&"x".repeat(31).into(), NOW).is_err());
}

#[test]
fn an_unknown_kid_has_no_key() {
    let keys = Keys::from_secret(&"x".repeat(32).into()).unwrap();
    assert!(keys.verifying(None, NOW).is_some());
    assert!(keys.verifying(Some(""), NOW).is_none());
    assert!(keys.verifying(Some("../../dev/null"), NOW).is_none());
    let keys = first(&json!([of_the_rfc()])).unwrap();
    assert!(keys.verifying(Some("rfc"), NOW).is_some());
    for kid in [None, Some("RFC"), Some("rfc "), Some("")] {
        assert!(keys.verifying(kid, NOW).is_none(), "{kid:?}");
    }
}

#[test]
fn a_secret_beside_a_file_verifies_until_its_time_and_never_signs() {
    let mut keys = first(&json!([of_the_rfc()])).unwrap();
    let secret = "x".repeat(32).into();
    keys.accept_secret(&secret, NOW + 60).unwrap();
    assert!(keys.verifying(None, NOW + 59).is_some());
    assert!(keys.verifying(None, NOW + 60).is_none());
    assert_eq!(signs(&keys, 0), Some("rfc"));
    let again = keys.replaced_by(parse(&json!([of_the_rfc()])).unwrap(), NOW);
    assert!(again.unwrap().verifying(None, NOW + 59).is_some());
    assert_eq!(keys.published(NOW).len(), 1);
}

#[test]
fn some_key_must_sign() {
    let public = json!({ "d": null });
    for keys in [
        json!([]),
        json!([rsa()]),
        json!([with(&of_the_rfc(), &public)]),
        json!([ed25519("a", &json!({"state": "next"}))]),
        json!([ed25519(
            "a",
            &json!({"state": "next", "activates_at": at(1)})
        )]),
        json!([ed25519("a", &json!({"activates_at": at(1)}))]),
        json!([ed25519("a", &json!({"retires_at": at(0)}))]),
        json!([ed25519(
            "a",
            &json!({"state": "retired", "retires_at": at(9)})
        )]),
    ] {
        assert_eq!(
            first(&keys).err(),
            Some(KeyFileError::NothingSigns),
            "{keys}"
        );
    }
}

#[test]
fn time_alone_moves_keys_on() {
    let keys = json!([
        ed25519("old", &json!({"retires_at": at(100)})),
        ed25519("new", &json!({"state": "next", "activates_at": at(50)})),
    ]);
    let keys = first(&keys).unwrap();
    assert_eq!(signs(&keys, 49), Some("old"));
    assert_eq!(signs(&keys, 50), Some("new"));
    assert!(keys.verifying(Some("new"), NOW).is_some());
    assert!(keys.verifying(Some("old"), NOW + 99).is_some());
    assert!(keys.verifying(Some("old"), NOW + 100).is_none());
    assert_eq!(keys.published(NOW + 99).len(), 2);
    assert_eq!(keys.published(NOW + 100).len(), 1);
    assert_eq!(keys.signing_ends(NOW), None);
}
