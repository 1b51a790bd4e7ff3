//! One set of keys in the place of another.

use super::*;

#[test]
fn a_key_signs_only_ten_minutes_after_the_server_has_learnt_of_it() {
    let old = ed25519("old", &json!({}));
    let new = ed25519("new", &json!({}));
    let keys = first(&json!([old])).unwrap();
    let file = |members: &Value| parse(&json!([old, with(&new, members)])).unwrap();
    let refused = |keys: &Keys, members: Value, seconds: i64| {
        let error = keys.replaced_by(file(&members), NOW + seconds).err();
        matches!(error, Some(KeyFileError::TooSoon(..)))
    };
    assert!(refused(&keys, json!({}), 5_000));
    assert!(refused(&keys, json!({"activates_at": at(1_599)}), 1_000));
    assert!(refused(
        &keys,
        json!({"state": "next", "activates_at": at(0)}),
        1_000
    ));
    assert!(!refused(&keys, json!({"activates_at": at(1_600)}), 1_000));
    assert!(!refused(
        &keys,
        json!({"state": "retired", "retires_at": at(9_000)}),
        1_000
    ));
    assert!(
        !refused(&keys, json!({"d": null}), 1_000),
        "it does not sign"
    );

    let error = keys
        .replaced_by(file(&json!({})), NOW)
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.starts_with("key 2 (new) would sign before"),
        "{error}"
    );
    assert!(error.contains(&rfc3339(NOW + 600)), "{error}");

    let known = keys
        .replaced_by(file(&json!({"state": "next"})), NOW + 1_000)
        .unwrap();
    assert!(refused(&known, json!({}), 1_599));
    assert!(!refused(&known, json!({}), 1_600));
    // Another key under the same name has not been published at all.
    let other = json!([old, ed25519("new", &json!({}))]);
    let other = known.replaced_by(parse(&other).unwrap(), NOW + 9_000);
    assert!(matches!(other.err(), Some(KeyFileError::TooSoon(..))));
    // Nor is one that was taken out and comes back.
    let without = known
        .replaced_by(parse(&json!([old])).unwrap(), NOW + 9_000)
        .unwrap();
    assert!(refused(&without, json!({}), 9_001));
}

#[test]
fn what_signs_at_boot_goes_on_when_the_file_changes_soon_after() {
    let old = ed25519("old", &json!({}));
    let keys = first(&json!([old])).unwrap();
    let next = ed25519("next", &json!({"state": "next"}));
    let keys = keys
        .replaced_by(parse(&json!([old, next])).unwrap(), NOW + 5)
        .unwrap();
    assert_eq!(signs(&keys, 5), Some("old"));
    assert_eq!(keys.generation(), 1);
}

#[test]
fn a_reload_that_leaves_nothing_to_sign_with_is_refused() {
    let keys = first(&json!([ed25519("old", &json!({}))])).unwrap();
    for file in [json!([]), json!([rsa()])] {
        let error = keys.replaced_by(parse(&file).unwrap(), NOW).err();
        assert_eq!(error, Some(KeyFileError::NothingSigns));
    }
}

#[test]
fn ending_a_key_early_is_worth_a_word() {
    let old = ed25519("old", &json!({}));
    let next = ed25519("next", &json!({"state": "next"}));
    let keys = first(&json!([old, next])).unwrap();
    let later = NOW + 700;
    let notices = |old: Option<&Value>| {
        let active = with(&next, &json!({"state": "active"}));
        let file = old.map_or(json!([active]), |old| json!([old, active]));
        let new = keys.replaced_by(parse(&file).unwrap(), later).unwrap();
        keys.notices(&new, later, WEEK)
    };
    let retired = |end: i64| {
        with(
            &old,
            &json!({"state": "retired", "retires_at": rfc3339(end)}),
        )
    };
    let earliest = later + WEEK + LEEWAY_SECONDS;
    assert_eq!(notices(None), [KeyNotice::Removed("old".into())]);
    let kid = "old".to_owned();
    let early = KeyNotice::RetiresEarly { kid, earliest };
    assert_eq!(notices(Some(&retired(earliest - 1))), [early]);
    assert_eq!(notices(Some(&retired(earliest))), []);
}
