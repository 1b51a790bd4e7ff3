//! Making files and moving their keys on.

use super::{super::rotation::RotationError, *};

#[test]
fn a_new_file_has_one_active_key_named_by_its_thumbprint() {
    let file = rotation::generate().unwrap();
    let value: Value = serde_json::from_str(file.expose_secret()).unwrap();
    let keys = Keys::from_file(
        KeyFile::parse(file.expose_secret().as_bytes()).unwrap(),
        NOW,
    );
    let keys = keys.unwrap();
    assert_eq!(value["keys"].as_array().unwrap().len(), 1);
    assert_eq!(signs(&keys, 0), value["keys"][0]["kid"].as_str());
    let kid = value["keys"][0]["kid"].as_str().unwrap();
    assert_eq!(kid.len(), 43);
    assert_ne!(
        rotation::generate().unwrap().expose_secret(),
        file.expose_secret()
    );
}

/// The members of each key in turn.
fn rotated(text: &str, seconds: i64) -> Result<(String, Vec<Value>), RotationError> {
    let rotation = rotation::rotate(text.as_bytes(), NOW + seconds, WEEK)?;
    let text = rotation.text.expose_secret().to_owned();
    let file: Value = serde_json::from_str(&text).unwrap();
    assert!(!rotation.steps.is_empty());
    Ok((text, file["keys"].as_array().unwrap().clone()))
}

#[test]
fn rotation_publishes_then_activates_then_retires_then_removes() {
    let text = rotation::generate().unwrap();
    let boot = KeyFile::parse(text.expose_secret().as_bytes()).unwrap();
    let server = Keys::from_file(boot, NOW).unwrap();

    let (text, keys) = rotated(text.expose_secret(), 0).unwrap();
    assert_eq!(keys[0]["state"], "active");
    assert_eq!(keys[1]["state"], "next");
    assert_eq!(keys[1]["published_at"], at(0));
    let server = server
        .replaced_by(KeyFile::parse(text.as_bytes()).unwrap(), NOW + 60)
        .unwrap();

    let early = rotated(&text, 899).err().unwrap();
    assert!(matches!(early, RotationError::TooSoon { after, .. } if after == NOW + 900));
    let (text, keys) = rotated(&text, 900).unwrap();
    assert_eq!(keys[0]["state"], "retired");
    assert_eq!(keys[0]["retires_at"], at(900 + WEEK + 3_600));
    assert!(keys[0].get("d").is_none(), "it signs no more");
    assert_eq!(keys[1]["state"], "active");
    assert_eq!(keys[1]["activates_at"], at(600));
    assert_eq!(keys[2]["state"], "next");
    // The servers, which have known the key for long enough, take it.
    let file = KeyFile::parse(text.as_bytes()).unwrap();
    let new = server.replaced_by(file, NOW + 910).unwrap();
    assert_eq!(signs(&new, 910), keys[1]["kid"].as_str());
    assert_eq!(server.notices(&new, NOW + 910, WEEK), []);

    let (_, keys) = rotated(&text, 900 + WEEK + 3_600).unwrap();
    let states: Vec<_> = keys
        .iter()
        .map(|key| key["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["retired", "active", "next"], "the first is gone");
}

#[test]
fn rotation_keeps_what_it_does_not_know_and_keys_that_only_verify() {
    let mine = ed25519("mine", &json!({"note": "ours"}));
    let next = ed25519("next", &json!({"state": "next", "published_at": at(0)}));
    let file = json!({"keys": [rsa(), mine, next], "comment": "kept"}).to_string();
    let (text, keys) = rotated(&file, 10_000).unwrap();
    assert!(text.contains("\"comment\": \"kept\""));
    assert_eq!(keys[0], rsa());
    assert_eq!(keys[1]["note"], "ours");
    assert_eq!(keys[1]["state"], "retired");
}

#[test]
fn what_cannot_be_rotated_is_refused() {
    let next = ed25519("next", &json!({"state": "next"}));
    let file = json!({"keys": [of_the_rfc(), next]}).to_string();
    let unknown = RotationError::NotPublished("next".into());
    assert_eq!(rotated(&file, 0).err(), Some(unknown));
    assert!(matches!(
        rotated("nonsense", 0).err(),
        Some(RotationError::File(_))
    ));
    let nothing = Some(RotationError::File(KeyFileError::NothingSigns));
    assert_eq!(rotated("{\"keys\": []}", 0).err(), nothing);
}
