use super::*;
use jsonwebtoken::EncodingKey;
use proptest::prelude::*;
use serde_json::{Value, json};

mod key_file;

const NOW: i64 = 1_800_000_000;
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn tokens() -> Tokens {
    let keys = Keys::from_secret(&SECRET.into()).unwrap();
    Tokens::new(keys, "https://issuer.example".into(), "authstack".into())
}

fn access() -> AccessClaims {
    AccessClaims {
        iss: "https://issuer.example".into(),
        aud: "authstack".into(),
        sub: Uuid::from_u128(1),
        client_id: "authstack".into(),
        jti: "a".into(),
        sid: Uuid::from_u128(2),
        iat: NOW,
        exp: NOW + 60,
        roles: vec![],
    }
}

fn refresh() -> RefreshClaims {
    RefreshClaims {
        sid: Uuid::from_u128(2),
        ctr: 0,
        jti: "r".into(),
        iat: NOW,
        exp: NOW + 600,
    }
}

/// A token with any header and payload, signed with the right secret.
fn forge(header: &Value, payload: &Value) -> String {
    forge_raw(&header.to_string(), &payload.to_string(), SECRET)
}

fn forge_raw(header: &str, payload: &str, secret: &str) -> String {
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(payload)
    );
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{signed}.{signature}")
}

#[test]
fn tokens_survive_the_journey() {
    let tokens = tokens();
    let token = tokens.sign_access(&access()).unwrap();
    assert_eq!(tokens.read_access(&token, NOW), Ok(access()));
    let token = tokens.sign_refresh(&refresh(), NOW).unwrap();
    assert_eq!(tokens.read_refresh(&token, NOW), Ok(refresh()));
    assert_eq!(token, tokens.sign_refresh(&refresh(), NOW).unwrap());
}

#[test]
fn one_kind_is_never_the_other() {
    let tokens = tokens();
    let access_token = tokens.sign_access(&access()).unwrap();
    let refresh_token = tokens.sign_refresh(&refresh(), NOW).unwrap();
    assert_eq!(
        tokens.read_refresh(&access_token, NOW),
        Err(TokenError::Invalid)
    );
    assert_eq!(
        tokens.read_access(&refresh_token, NOW),
        Err(TokenError::Invalid)
    );
}

#[test]
fn typ_decides_even_when_the_claims_would_do() {
    let tokens = tokens();
    for typ in [
        json!("JWT"),
        json!("rt+jwt"),
        json!("application/at+jwt"),
        json!(null),
        json!(1),
    ] {
        let token = forge(&json!({"typ": typ, "alg": "HS256"}), &json!(access()));
        assert_eq!(
            tokens.read_access(&token, NOW),
            Err(TokenError::Invalid),
            "{typ}"
        );
    }
    let token = forge(&json!({"alg": "HS256"}), &json!(access()));
    assert_eq!(tokens.read_access(&token, NOW), Err(TokenError::Invalid));
    let token = forge(&json!({"typ": "at+jwt", "alg": "HS256"}), &json!(access()));
    assert_eq!(tokens.read_access(&token, NOW), Ok(access()));
}

#[test]
fn expiry_has_five_seconds_of_leeway_and_no_more() {
    let tokens = tokens();
    let token = tokens.sign_access(&access()).unwrap();
    assert!(tokens.read_access(&token, NOW + 64).is_ok());
    assert_eq!(
        tokens.read_access(&token, NOW + 65),
        Err(TokenError::Expired)
    );
    let token = tokens.sign_refresh(&refresh(), NOW).unwrap();
    assert!(tokens.read_refresh(&token, NOW + 604).is_ok());
    assert_eq!(
        tokens.read_refresh(&token, NOW + 605),
        Err(TokenError::Expired)
    );
}

#[test]
fn other_algorithms_are_refused() {
    let tokens = tokens();
    for alg in [
        "none", "None", "HS384", "HS512", "RS256", "EdDSA", "hs256", "",
    ] {
        let token = forge(&json!({"typ": "at+jwt", "alg": alg}), &json!(access()));
        assert_eq!(
            tokens.read_access(&token, NOW),
            Err(TokenError::Invalid),
            "{alg}"
        );
        let (signed, _) = token.rsplit_once('.').unwrap();
        let unsigned = format!("{signed}.");
        assert_eq!(
            tokens.read_access(&unsigned, NOW),
            Err(TokenError::Invalid),
            "{alg}"
        );
    }
}

#[test]
fn other_keys_are_refused() {
    let other = Keys::from_secret(&"another secret of enough bytes...".into()).unwrap();
    let other = Tokens::new(other, "https://issuer.example".into(), "authstack".into());
    let token = other.sign_access(&access()).unwrap();
    assert_eq!(tokens().read_access(&token, NOW), Err(TokenError::Invalid));
}

#[test]
fn headers_that_ask_for_more_are_refused() {
    for extra in [
        json!({"kid": "other"}),
        json!({"kid": "../../../dev/null"}),
        json!({"crit": ["exp"]}),
        json!({"crit": []}),
    ] {
        let mut header = json!({"typ": "at+jwt", "alg": "HS256"});
        header
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        let token = forge(&header, &json!(access()));
        assert_eq!(
            tokens().read_access(&token, NOW),
            Err(TokenError::Invalid),
            "{extra}"
        );
    }
}

#[test]
fn every_claim_is_required_and_means_something() {
    for claim in ["iss", "aud", "sub", "sid", "exp", "iat", "jti"] {
        let mut claims = json!(access());
        claims.as_object_mut().unwrap().remove(claim);
        let token = forge(&json!({"typ": "at+jwt", "alg": "HS256"}), &claims);
        assert_eq!(
            tokens().read_access(&token, NOW),
            Err(TokenError::Invalid),
            "no {claim}"
        );
    }
    for (claim, value) in [
        ("iss", json!("https://evil.example")),
        ("iss", json!(["https://issuer.example"])),
        ("aud", json!("other")),
        ("aud", json!(["authstack", "other"])),
        ("sub", json!("guybrush")),
        ("sid", json!(5)),
        ("exp", json!("1900000000")),
        ("exp", json!(null)),
        ("exp", json!(1.9e18)),
    ] {
        let mut claims = json!(access());
        claims[claim] = value.clone();
        let token = forge(&json!({"typ": "at+jwt", "alg": "HS256"}), &claims);
        assert_eq!(
            tokens().read_access(&token, NOW),
            Err(TokenError::Invalid),
            "{claim}: {value}"
        );
    }
}

#[test]
fn a_name_given_twice_is_refused() {
    let payload = json!(access()).to_string();
    let twice = payload.replacen('{', r#"{"sub":"00000000-0000-0000-0000-000000000009","#, 1);
    let token = forge_raw(r#"{"typ":"at+jwt","alg":"HS256"}"#, &twice, SECRET);
    assert_eq!(tokens().read_access(&token, NOW), Err(TokenError::Invalid));
    let token = forge_raw(
        r#"{"typ":"JWT","typ":"at+jwt","alg":"HS256"}"#,
        &payload,
        SECRET,
    );
    assert_eq!(tokens().read_access(&token, NOW), Err(TokenError::Invalid));
}

#[test]
fn a_huge_token_is_not_read() {
    let mut claims = access();
    claims.roles = vec!["x".repeat(1 << 20)];
    let token = tokens().sign_access(&claims).unwrap();
    assert_eq!(tokens().read_access(&token, NOW), Err(TokenError::Invalid));
}

proptest! {
    #[test]
    fn no_text_panics(token in "\\PC{0,60}|[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}") {
        prop_assert!(tokens().read_access(&token, NOW).is_err());
        prop_assert!(tokens().read_refresh(&token, NOW).is_err());
    }

    #[test]
    fn changing_any_character_is_noticed(position in 0_usize..400, with in "[A-Za-z0-9_.-]") {
        let token = tokens().sign_access(&access()).unwrap();
        let position = position % token.len();
        let changed = format!("{}{}{}", &token[..position], with, &token[position + 1..]);
        if changed != token {
            prop_assert!(tokens().read_access(&changed, NOW).is_err(), "{}", changed);
        }
    }
}
