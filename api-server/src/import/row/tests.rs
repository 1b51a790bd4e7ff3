use super::*;
use proptest::prelude::*;

const HASH: &str = "$2b$04$BdjZCX3YVK3Q3tbs6hcatuCQxiv3BytFNykn.UrHAyPAX0mM3nhAO";

fn old(change: impl FnOnce(&mut OldUser)) -> OldUser {
    let mut user = OldUser {
        id: Some("7".into()),
        username: Some("Guybrush".into()),
        email: Some("Guybrush@Example.com".into()),
        hashed_password: Some(HASH.into()),
        created_at: None,
        is_active: None,
        disabled: None,
        roles: None,
    };
    change(&mut user);
    user
}

fn good(change: impl FnOnce(&mut OldUser)) -> StagedUser {
    judge(&old(change)).unwrap_or_else(|refused| panic!("{:?}", refused.reasons))
}

fn reasons(change: impl FnOnce(&mut OldUser)) -> Vec<String> {
    judge(&old(change))
        .err()
        .map(|refused| refused.reasons.into_vec())
        .unwrap_or_default()
}

#[test]
fn a_plain_row_becomes_a_user_as_typed() {
    let user = good(|_| {});
    assert_eq!(user.old_id, "7");
    assert_eq!(
        (user.username.display(), user.username.key()),
        ("Guybrush", "guybrush")
    );
    assert_eq!(user.email.display(), "Guybrush@Example.com");
    assert_eq!(user.email.key(), "guybrush@example.com");
    assert_eq!(user.password_hash, HASH);
    assert!(!user.disabled && user.created_at.is_none() && user.roles.as_slice().is_empty());
}

#[test]
fn everything_wrong_is_said_at_once_and_the_hash_never() {
    let refused = judge(&old(|user| {
        user.id = None;
        user.username = Some("two words".into());
        user.email = Some("nowhere".into());
        user.hashed_password = Some("hunter2".into());
        user.roles = Some("[1]".into());
        user.created_at = Some("yesterday".into());
        user.is_active = Some("maybe".into());
    }));
    let refused = refused.err().unwrap();
    assert_eq!(refused.reasons.len(), 7, "{:?}", refused.reasons);
    assert_eq!(refused.username.as_deref(), Some("two words"));
    assert!(!refused.reasons.concat().contains("hunter2"));
    let all_missing = reasons(|user| {
        user.username = None;
        user.email = None;
        user.hashed_password = None;
    });
    assert!(
        all_missing
            .iter()
            .all(|reason| reason.ends_with("is missing"))
    );
    assert_eq!(all_missing.len(), 3);
}

#[test]
fn what_is_refused_can_be_shown() {
    let refused = judge(&old(|user| {
        user.username = Some("a\0b".into());
        user.email = Some("x".repeat(100_000));
    }));
    let refused = refused.err().unwrap();
    assert_eq!(refused.username.as_deref(), Some("a\u{fffd}b"));
    assert_eq!(refused.email.unwrap().len(), 200);
}

#[test]
fn hashes_out_of_bounds_are_refused_with_the_reason() {
    for (hash, words) in [
        (
            "$2b$15$BdjZCX3YVK3Q3tbs6hcatuCQxiv3BytFNykn.UrHAyPAX0mM3nhAO",
            "cost of bcrypt",
        ),
        (
            "$argon2id$v=19$m=4194304,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$gduXp+Z6iReEolmbyHn5V8s1EtJzmEvZfYoY/Fn/AeI",
            "memory",
        ),
        (
            "$argon2id$v=19$m=65536,t=99,p=4$c29tZXNhbHRzb21lc2FsdA$gduXp+Z6iReEolmbyHn5V8s1EtJzmEvZfYoY/Fn/AeI",
            "passes",
        ),
        ("pbkdf2:sha256:600000$x$y", "kind"),
    ] {
        let reasons = reasons(|user| user.hashed_password = Some(hash.into()));
        assert_eq!(reasons.len(), 1);
        assert!(reasons[0].contains(words), "{reasons:?}");
    }
}

#[test]
fn roles_are_read_in_the_ways_that_they_are_written() {
    for text in [
        r#"["editor", "admin"]"#,
        "{editor,admin}",
        r#"{"editor","admin"}"#,
        "editor,admin",
        "editor; admin",
        " editor admin ",
    ] {
        let user = good(|user| user.roles = Some(text.into()));
        assert_eq!(user.roles.as_slice(), ["admin", "editor"], "{text}");
    }
    for text in ["", "[]", "{}", " "] {
        let user = good(|user| user.roles = Some(text.into()));
        assert!(user.roles.as_slice().is_empty(), "{text}");
    }
    for text in ["Admin", "[[]]", r#"{"a":1}"#, "[\"a b\"]"] {
        assert_eq!(
            reasons(|user| user.roles = Some(text.into())).len(),
            1,
            "{text}"
        );
    }
}

#[test]
fn either_word_disables() {
    for (is_active, disabled, expected) in [
        (None, None, false),
        (Some("true"), None, false),
        (Some("f"), None, true),
        (Some("0"), Some("false"), true),
        (None, Some("TRUE"), true),
        (Some("t"), Some("no"), false),
        (Some(""), Some(""), false),
    ] {
        let user = good(|user| {
            user.is_active = is_active.map(str::to_owned);
            user.disabled = disabled.map(str::to_owned);
        });
        assert_eq!(user.disabled, expected, "{is_active:?} {disabled:?}");
    }
}

#[test]
fn times_are_read_as_databases_write_them() {
    let noon = OffsetDateTime::from_unix_timestamp(1_714_564_800).unwrap();
    for text in [
        "2024-05-01T12:00:00Z",
        "2024-05-01T14:00:00+02:00",
        "2024-05-01 12:00:00",
        "2024-05-01T12:00:00",
        "2024-05-01 12:00:00.000000",
        "2024-05-01 12:00:00+00",
        "2024-05-01 07:00:00-05",
        "2024-05-01 17:30:00+0530",
        "2024-05-01 12:00:00 +00:00",
    ] {
        assert_eq!(timestamp(text), Some(noon), "{text}");
    }
    assert_eq!(
        timestamp("2024-05-01"),
        Some(noon - time::Duration::hours(12))
    );
    for text in [
        "infinity",
        "1714564800",
        "2024-13-01",
        "01.05.2024",
        "2024-05-01 noon",
        "é2024-05-01",
        "2024-05-0é",
    ] {
        assert_eq!(timestamp(text), None, "{text}");
    }
}

fn field() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(prop_oneof![
        ".{0,40}",
        "[0-9T:. +-]{0,30}",
        "[\\[{\"a-z,;\\]}]{0,30}",
        "\\$(2b|argon2id)\\$.{0,60}",
    ])
}

proptest! {
    #[test]
    fn no_row_panics_and_every_refusal_says_why(
        fields in proptest::collection::vec(field(), 8),
    ) {
        let [id, username, email, hash, created_at, is_active, disabled, roles] =
            <[Option<String>; 8]>::try_from(fields).unwrap();
        let hashed_password = hash.map(SecretString::from);
        let row = OldUser { id, username, email, hashed_password, created_at, is_active, disabled, roles };
        match judge(&row) {
            Ok(user) => prop_assert!(PasswordHash::parse(&user.password_hash).is_ok()),
            Err(refused) => {
                prop_assert!(!refused.reasons.is_empty());
                let texts = [refused.old_id, refused.username, refused.email];
                prop_assert!(texts.iter().flatten().all(|text| !text.contains('\0')));
            }
        }
    }
}
