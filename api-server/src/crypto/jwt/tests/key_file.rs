//! Tokens of a key file, and what is remembered of them.

use secrecy::ExposeSecret;

use super::*;
use crate::crypto::keys::{rfc3339, rotation};

/// A key file with a new key for each of these members.
fn file(members: &[Value]) -> Value {
    let key = |members: &Value| {
        let file = rotation::generate().unwrap();
        let file: Value = serde_json::from_str(file.expose_secret()).unwrap();
        let mut key = file["keys"][0].clone();
        let key_members = key.as_object_mut().unwrap();
        key_members.extend(members.as_object().unwrap().clone());
        key
    };
    json!({ "keys": members.iter().map(key).collect::<Vec<_>>() })
}

fn key_file(file: &Value) -> KeyFile {
    KeyFile::parse(file.to_string().as_bytes()).unwrap()
}

fn tokens_from(file: &Value) -> Tokens {
    let keys = Keys::from_file(key_file(file), NOW).unwrap();
    Tokens::new(keys, "https://issuer.example".into(), "authstack".into())
}

fn at(seconds: i64) -> Value {
    json!(rfc3339(NOW + seconds))
}

#[test]
fn a_key_file_signs_with_eddsa_and_names_the_key() {
    let tokens = tokens_from(&file(&[json!({"kid": "a"})]));
    let token = tokens.sign_access(&access()).unwrap();
    let header = jsonwebtoken::decode_header(&token).unwrap();
    assert_eq!(header.alg, Algorithm::EdDSA);
    assert_eq!(header.kid.as_deref(), Some("a"));
    assert_eq!(header.typ.as_deref(), Some("at+jwt"));
    assert_eq!(tokens.read_access(&token, NOW), Ok(access()));
    let token = tokens.sign_refresh(&refresh(), NOW).unwrap();
    assert_eq!(tokens.read_refresh(&token, NOW), Ok(refresh()));
    assert_eq!(token, tokens.sign_refresh(&refresh(), NOW).unwrap());
}

#[test]
fn a_token_that_is_not_valid_yet_is_refused() {
    let with = |nbf: Value| {
        let mut claims = json!(access());
        claims["nbf"] = nbf;
        let token = forge(&json!({"typ": "at+jwt", "alg": "HS256"}), &claims);
        tokens().read_access(&token, NOW)
    };
    assert!(with(json!(NOW + 5)).is_ok());
    assert_eq!(with(json!(NOW + 6)), Err(TokenError::Invalid));
    assert_eq!(with(json!("soon")), Err(TokenError::Invalid));
    assert_eq!(with(json!(1.5)), Err(TokenError::Invalid));
}

#[test]
fn a_verification_is_remembered_and_everything_else_asked_each_time() {
    let file = file(&[
        json!({"kid": "a"}),
        json!({"kid": "b", "state": "next", "activates_at": at(-10), "retires_at": at(30)}),
    ]);
    let tokens = tokens_from(&file);
    let token = tokens.sign_access(&access()).unwrap();
    let (signed, _) = token.rsplit_once('.').unwrap();
    assert_eq!(tokens.verified.len(), 0);
    for _ in 0..3 {
        assert_eq!(tokens.read_access(&token, NOW), Ok(access()));
        // The same claims under another signature are another token.
        let forged = format!("{signed}.{}", "A".repeat(86));
        assert_eq!(tokens.read_access(&forged, NOW), Err(TokenError::Invalid));
        assert_eq!(tokens.read_refresh(&token, NOW), Err(TokenError::Invalid));
        assert_eq!(tokens.verified.len(), 1, "only what is good is kept");
    }
    // It was signed by `b`, which is past its retirement before it expires.
    assert_eq!(tokens.read_access(&token, NOW + 29), Ok(access()));
    assert_eq!(
        tokens.read_access(&token, NOW + 30),
        Err(TokenError::Invalid)
    );

    let long = AccessClaims {
        iat: NOW + 30,
        exp: NOW + 90,
        ..access()
    };
    let token = tokens.sign_access(&long).unwrap();
    assert_eq!(tokens.read_access(&token, NOW + 30), Ok(long.clone()));
    assert_eq!(tokens.read_access(&token, NOW + 94), Ok(long));
    assert_eq!(
        tokens.read_access(&token, NOW + 95),
        Err(TokenError::Expired)
    );
}

#[test]
fn a_reload_forgets_what_was_verified() {
    let mut both = file(&[json!({"kid": "a"}), json!({"kid": "b", "state": "next"})]);
    let tokens = tokens_from(&both);
    let token = tokens.sign_access(&access()).unwrap();
    assert_eq!(tokens.read_access(&token, NOW), Ok(access()));
    let old = tokens.keys();
    both["keys"][1]["state"] = json!("active");
    both["keys"].as_array_mut().unwrap().remove(0);
    tokens
        .replace_keys(key_file(&both), NOW + 600, 600)
        .unwrap();
    assert_eq!(tokens.verified.len(), 0);
    assert_eq!(tokens.read_access(&token, NOW), Err(TokenError::Invalid));
    // One that was being verified meanwhile is kept under the old keys.
    let name = VerifiedTokens::name(&token);
    let schedule = old.signing(NOW).unwrap().schedule;
    tokens.verified.keep(name, &access(), &old, schedule);
    assert_eq!(tokens.read_access(&token, NOW), Err(TokenError::Invalid));
    tokens
        .verified
        .keep(name, &access(), &tokens.keys(), schedule);
    assert_eq!(
        tokens.read_access(&token, NOW),
        Ok(access()),
        "the test can tell"
    );
}

#[test]
fn what_is_remembered_is_bounded() {
    let tokens = tokens_from(&file(&[json!({})]));
    let keys = tokens.keys();
    let schedule = keys.signing(NOW).unwrap().schedule;
    for number in 0..20_000 {
        let claims = AccessClaims {
            jti: number.to_string(),
            ..access()
        };
        let name = VerifiedTokens::name(&claims.jti);
        tokens.verified.keep(name, &claims, &keys, schedule);
    }
    assert!(tokens.verified.len() > 4_000, "{}", tokens.verified.len());
    assert!(tokens.verified.len() < 20_000);
    assert!(tokens.verified.weight() <= 4 * 1024 * 1024);
}

#[test]
fn with_a_shared_secret_nothing_is_remembered() {
    let tokens = tokens();
    let token = tokens.sign_access(&access()).unwrap();
    assert!(tokens.read_access(&token, NOW).is_ok());
    assert_eq!(tokens.verified.len(), 0, "verifying is as quick as finding");
}

#[test]
fn where_no_key_is_active_nothing_is_signed() {
    let tokens = tokens_from(&file(&[json!({"retires_at": at(10)})]));
    let late = AccessClaims {
        iat: NOW + 10,
        ..access()
    };
    assert!(matches!(
        tokens.sign_access(&late),
        Err(SigningError::NoKey)
    ));
    assert!(matches!(
        tokens.sign_refresh(&refresh(), NOW + 10),
        Err(SigningError::NoKey)
    ));
}

proptest! {
    #[test]
    fn no_bytes_verify(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let tokens = tokens_from(&file(&[json!({})]));
        let part = URL_SAFE_NO_PAD.encode(&bytes);
        let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"at+jwt","alg":"EdDSA","kid":"a"}"#);
        for token in [
            String::from_utf8_lossy(&bytes).into_owned(),
            format!("{part}.{part}.{part}"),
            format!("{header}.{part}.{part}"),
        ] {
            prop_assert!(tokens.read_access(&token, NOW).is_err());
            prop_assert!(tokens.read_refresh(&token, NOW).is_err());
        }
        prop_assert_eq!(tokens.verified.len(), 0);
    }

    #[test]
    fn no_change_to_a_token_verifies(
        changes in prop::collection::vec((any::<prop::sample::Index>(), "[A-Za-z0-9_.=+/ -]{0,3}"), 1..4),
        cut in any::<bool>(),
    ) {
        let tokens = tokens_from(&file(&[json!({"kid": "a"})]));
        let token = tokens.sign_access(&access()).unwrap();
        // What is remembered of the token must not vouch for another.
        prop_assert!(tokens.read_access(&token, NOW).is_ok());
        let mut changed = token.clone();
        for (index, with) in changes {
            let at = index.index(changed.len());
            let end = if cut { changed.len() } else { at + 1 };
            changed.replace_range(at..end, &with);
            if changed.is_empty() {
                break;
            }
        }
        if changed != token {
            prop_assert!(tokens.read_access(&changed, NOW).is_err(), "{}", changed);
            prop_assert!(tokens.read_refresh(&changed, NOW).is_err());
        }
    }
}
