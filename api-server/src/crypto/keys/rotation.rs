//! Making key files and moving their keys on, for people without the operator.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{
    error::{KeyFileError, rfc3339},
    file::{FileKey, KeyFile},
};
use crate::domain::key_schedule::{KeyState, PUBLISHED_SECONDS, earliest_retirement};

/// How long after a key was written into the file it may become active: what
/// servers ask for, and five minutes for the file to reach them.
const WAIT_SECONDS: i64 = PUBLISHED_SECONDS + 300;
/// How much longer than necessary a retired key verifies: servers sign with it
/// until the new file has reached them.
const MARGIN_SECONDS: i64 = 3_600;

/// A file cannot be rotated, and stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RotationError {
    /// It is no good key file.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The next key is too young.
    #[error(
        "the next key ({kid}) must be known to all servers before it signs; rotate again after \
         {time}",
        time = rfc3339(*.after)
    )]
    TooSoon {
        /// The key.
        kid: String,
        /// When it is old enough, in seconds since 1970.
        after: i64,
    },
    /// Nobody knows how old the next key is.
    #[error(
        "the next key ({0}) has no published_at: set it to when the file with this key reached \
         the servers"
    )]
    NotPublished(String),
    /// A key cannot be made.
    #[error("a key could not be made")]
    Generation,
}

/// A file after its keys have moved on.
pub struct Rotation {
    /// The new file, which holds private keys.
    pub text: SecretString,
    /// What has been done, a sentence for each step.
    pub steps: Vec<String>,
}

/// A new file with one active key.
pub fn generate() -> Result<SecretString, RotationError> {
    let mut key = new_key()?;
    key.insert("state".into(), json!("active"));
    Ok(pretty(&json!({ "keys": [key] })))
}

/// Moves the keys of a file on, at the time `now`: the next becomes active,
/// what was active retires once all that it signed has expired, which takes
/// `lifetime` seconds, and what is past its retirement goes. There is always a
/// next key afterwards.
pub fn rotate(text: &[u8], now: i64, lifetime: i64) -> Result<Rotation, RotationError> {
    let file = KeyFile::parse(text)?;
    // It has been read as such.
    let mut value: Value = serde_json::from_slice(text).map_err(|_| KeyFileError::NotText)?;
    let mut steps = Vec::new();
    let keys = value["keys"].as_array_mut().map(std::mem::take);
    let mut keys: Vec<(FileKey, Value)> = file
        .keys
        .into_iter()
        .zip(keys.unwrap_or_default())
        .collect();

    keys.retain(|(key, _)| {
        let stays = key.schedule.verifies_at(now);
        if !stays {
            steps.push(format!("{} is past its retirement and removed", key.kid));
        }
        stays
    });
    if let Some(index) = next(&keys) {
        let activates_at = promotable(&keys[index].0, now)?;
        for (key, value) in keys.iter_mut().filter(|(key, _)| is_active(key)) {
            let end = earliest_retirement(now, lifetime, MARGIN_SECONDS);
            let end = key.schedule.retires_at.map_or(end, |set| set.max(end));
            value["state"] = json!("retired");
            value["retires_at"] = json!(rfc3339(end));
            // It signs no more; nobody needs its private part.
            if let Some(members) = value.as_object_mut() {
                members.remove("d");
            }
            steps.push(format!(
                "{} signs no more, and verifies until {}",
                key.kid,
                rfc3339(end)
            ));
        }
        let (key, value) = &mut keys[index];
        value["state"] = json!("active");
        value["activates_at"] = json!(rfc3339(activates_at));
        steps.push(format!("{} signs now", key.kid));
        key.schedule.state = KeyState::Active;
    }
    let missing = next(&keys).is_none();
    let mut written: Vec<Value> = keys.into_iter().map(|(_, value)| value).collect();
    if missing {
        let mut key = new_key()?;
        key.insert("state".into(), json!("next"));
        key.insert("published_at".into(), json!(rfc3339(now)));
        let after = rfc3339(now.saturating_add(WAIT_SECONDS));
        let kid = key["kid"].as_str().unwrap_or_default();
        steps.push(format!("{kid} is next, and may sign after {after}"));
        written.push(Value::Object(key));
    }
    value["keys"] = Value::Array(written);
    let text = pretty(&value);
    // What servers would refuse is not written.
    let file = KeyFile::parse(text.expose_secret().as_bytes())?;
    super::Keys::from_file(file, now)?;
    Ok(Rotation { text, steps })
}

/// The next key that can sign; of several the first.
fn next(keys: &[(FileKey, Value)]) -> Option<usize> {
    let able = |key: &FileKey| key.material.signing.is_some();
    keys.iter()
        .position(|(key, _)| able(key) && key.schedule.state == KeyState::Next)
}

/// Whether a key is there to sign. Keys that only verify stay as they are.
fn is_active(key: &FileKey) -> bool {
    key.material.signing.is_some() && key.schedule.state == KeyState::Active
}

/// From when the next key may sign, if that is safely past: servers' clocks
/// differ from this one.
fn promotable(key: &FileKey, now: i64) -> Result<i64, RotationError> {
    let kid = || key.kid.clone();
    let published = key.published_at;
    let published = published.ok_or_else(|| RotationError::NotPublished(kid()))?;
    let after = published.saturating_add(WAIT_SECONDS);
    if now < after {
        let kid = kid();
        return Err(RotationError::TooSoon { kid, after });
    }
    Ok(published.saturating_add(PUBLISHED_SECONDS))
}

/// A new Ed25519 key, whose `kid` is its thumbprint.
fn new_key() -> Result<Map<String, Value>, RotationError> {
    let mut seed: SecretSlice<u8> = vec![0; 32].into();
    rand::fill(secrecy::ExposeSecretMut::expose_secret_mut(&mut seed));
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose_secret());
    let pair = pair.map_err(|_| RotationError::Generation)?;
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let d = URL_SAFE_NO_PAD.encode(seed.expose_secret());
    let kid = thumbprint(&x);
    let key = json!({
        "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid, "x": x, "d": d,
    });
    match key {
        Value::Object(members) => Ok(members),
        _ => Err(RotationError::Generation),
    }
}

/// The thumbprint of an Ed25519 key (RFC 7638, section 3; RFC 8037, section 2).
fn thumbprint(x: &str) -> String {
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(Sha256::digest(members))
}

fn pretty(file: &Value) -> SecretString {
    format!("{file:#}\n").into()
}

#[cfg(test)]
mod tests {
    /// RFC 8037, appendix A.3.
    #[test]
    fn the_thumbprint_is_that_of_the_rfc() {
        assert_eq!(
            super::thumbprint("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }
}
