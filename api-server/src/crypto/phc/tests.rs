use super::*;
use proptest::prelude::*;

#[test]
fn a_hash_survives_being_written() {
    let hash = PasswordHash::live((0..16).collect(), (0..32).collect());
    let text = hash.to_string();
    assert_eq!(
        text,
        "$argon2id$v=19$m=19456,t=2,p=1$AAECAwQFBgcICQoLDA0ODw\
         $AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    );
    assert!(PasswordHash::parse(&text) == Ok(hash));
}

fn with(cost: &str) -> String {
    format!("$argon2id$v=19${cost}$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODw")
}

fn error(text: &str) -> Option<PhcError> {
    PasswordHash::parse(text).err()
}

#[test]
fn what_other_services_make_is_read() {
    for cost in [
        "m=65536,t=3,p=4",  // argon2-cffi, passlib, pwdlib: RFC 9106
        "m=102400,t=2,p=8", // argon2-cffi before 21.1
        "m=65536,t=4,p=1",  // PHP
        "m=47104,t=1,p=1",  // OWASP
        "m=19456,t=2,p=1",
        "m=8,t=1,p=1",
        "m=102400,t=10,p=16",
    ] {
        assert_eq!(error(&with(cost)), None, "{cost}");
    }
    let plain = with("m=4096,t=3,p=1");
    for text in [
        plain.replace("argon2id", "argon2i"),
        plain.replace("argon2id", "argon2d"),
        plain.replace("v=19", "v=16"),
        plain.replace("$v=19", ""),
    ] {
        assert_eq!(error(&text), None, "{text}");
    }
    assert!(
        PasswordHash::parse(&plain.replace("v=19", "v=16"))
            == PasswordHash::parse(&plain.replace("$v=19", ""))
    );
    assert!(PasswordHash::parse(&plain.replace("v=19", "v=16")) != PasswordHash::parse(&plain));
}

#[test]
fn what_is_out_of_bounds_is_refused_with_its_reason() {
    for (cost, expected) in [
        ("m=102401,t=2,p=1", PhcError::Memory),
        ("m=4194304,t=2,p=1", PhcError::Memory),
        ("m=31,t=2,p=4", PhcError::Memory),
        ("m=0,t=2,p=1", PhcError::Memory),
        ("m=19456,t=11,p=1", PhcError::Passes),
        ("m=19456,t=4294967295,p=1", PhcError::Passes),
        ("m=19456,t=0,p=1", PhcError::Passes),
        ("m=19456,t=2,p=17", PhcError::Lanes),
        ("m=19456,t=2,p=4294967295", PhcError::Lanes),
        ("m=19456,t=2,p=0", PhcError::Lanes),
        ("m=19456,t=2", PhcError::Malformed),
        ("t=2,m=19456,p=1", PhcError::Malformed),
        ("m=+19456,t=2,p=1", PhcError::Malformed),
        ("m=19456,t=2,p=1,x=1", PhcError::Malformed),
        ("m=99999999999,t=2,p=1", PhcError::Malformed),
        ("", PhcError::Malformed),
    ] {
        assert_eq!(error(&with(cost)), Some(expected), "{cost}");
    }
    let good = with("m=19456,t=2,p=1");
    for (text, expected) in [
        (format!("{good}$more"), PhcError::Malformed),
        (format!("{good}="), PhcError::Malformed),
        (good.replace("v=19", "v=18"), PhcError::Version),
        (good.replace("v=19", "19"), PhcError::Malformed),
        (
            good.replace("$AAECAwQFBgcICQoLDA0ODw$", "$AAEC$"),
            PhcError::Length,
        ),
        (good.replace("argon2id", "argon2"), PhcError::Kind),
        (good.replace("argon2id", "scrypt"), PhcError::Kind),
        ("pbkdf2_sha256$600000$salt$hash".into(), PhcError::Kind),
        ("$bcrypt-sha256$v=2,t=2b,r=12$x$y".into(), PhcError::Kind),
        ("plain text".into(), PhcError::Kind),
        (String::new(), PhcError::Kind),
        ("$".into(), PhcError::Kind),
    ] {
        assert_eq!(error(&text), Some(expected), "{text}");
    }
}

const BCRYPT: &str = "$2b$04$BdjZCX3YVK3Q3tbs6hcatuCQxiv3BytFNykn.UrHAyPAX0mM3nhAO";

#[test]
fn bcrypt_is_read_in_its_three_spellings() {
    let hash = PasswordHash::parse(BCRYPT).ok().unwrap();
    assert_eq!(hash.to_string(), BCRYPT);
    assert!(!hash.is_live());
    for kind in ["$2a$", "$2y$"] {
        assert!(PasswordHash::parse(&BCRYPT.replace("$2b$", kind)) == Ok(hash.clone()));
    }
    // The last character of the salt carries four bits that mean nothing.
    let (head, tail) = BCRYPT.split_at(29);
    assert_eq!(head.chars().last(), Some('u'));
    let sloppy = format!("{}v{tail}", &head[..head.len() - 1]);
    assert!(PasswordHash::parse(&sloppy) == Ok(hash));
    for (text, expected) in [
        (BCRYPT.replace("$04$", "$14$"), None),
        (BCRYPT.replace("$04$", "$15$"), Some(PhcError::BcryptCost)),
        (BCRYPT.replace("$04$", "$31$"), Some(PhcError::BcryptCost)),
        (BCRYPT.replace("$04$", "$03$"), Some(PhcError::BcryptCost)),
        (BCRYPT.replace("$04$", "$4$"), Some(PhcError::Malformed)),
        (BCRYPT.replace("$04$", "$+4$"), Some(PhcError::Malformed)),
        (BCRYPT.replace("2b", "2x"), Some(PhcError::BcryptDefect)),
        (BCRYPT.replace("2b", "2"), Some(PhcError::Kind)),
        (format!("{BCRYPT}x"), Some(PhcError::Malformed)),
        (BCRYPT[..59].to_owned(), Some(PhcError::Malformed)),
        (BCRYPT.replace('.', "é"), Some(PhcError::Malformed)),
        (BCRYPT[..7].to_owned(), Some(PhcError::Malformed)),
    ] {
        assert_eq!(error(&text), expected, "{text}");
    }
}

#[test]
fn only_what_would_be_made_today_is_live() {
    assert!(PasswordHash::of_nobody().is_live());
    let live = PasswordHash::of_nobody().to_string();
    for other in [
        live.replace("argon2id", "argon2i"),
        live.replace("v=19", "v=16"),
        live.replace("m=19456", "m=19455"),
        live.replace("m=19456", "m=65536"),
        live.replace("t=2", "t=3"),
        live.replace("p=1", "p=4"),
        with("m=19456,t=2,p=1"), // a short output
        BCRYPT.to_owned(),
    ] {
        assert!(
            !PasswordHash::parse(&other).ok().unwrap().is_live(),
            "{other}"
        );
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in prop_oneof![
        "\\PC{0,120}",
        "\\$argon2(id|i|d)(\\$v=(16|19))?\\$m=[0-9]{1,12},t=[0-9]{1,3},p=[0-9]{1,2}\\$[A-Za-z0-9+/]{0,90}\\$[A-Za-z0-9+/]{0,90}",
        "\\$2[abxy]\\$[0-9]{2}\\$[./A-Za-z0-9]{50,56}",
        "\\$2b\\$[0-9]{2}\\$\\PC{40,56}",
    ]) {
        if let Ok(hash) = PasswordHash::parse(&text) {
            prop_assert!(hash.memory_kib() <= MAX_MEMORY_KIB);
            prop_assert!(PasswordHash::parse(&hash.to_string()) == Ok(hash));
        }
    }

    #[test]
    fn what_is_written_is_read_again(
        kind in 0..3usize,
        old in any::<bool>(),
        (lanes, memory_kib) in (1..=MAX_LANES).prop_flat_map(|lanes| (Just(lanes), 8 * lanes..=MAX_MEMORY_KIB)),
        passes in 1..=MAX_PASSES,
        salt in proptest::collection::vec(any::<u8>(), 8..=64),
        output in proptest::collection::vec(any::<u8>(), 16..=64),
    ) {
        use ::argon2::{Algorithm, Version};
        let hash = PasswordHash::Argon2(Argon2Hash {
            algorithm: [Algorithm::Argon2id, Algorithm::Argon2i, Algorithm::Argon2d][kind],
            version: if old { Version::V0x10 } else { Version::V0x13 },
            cost: Cost { memory_kib, passes, lanes },
            salt,
            output,
        });
        prop_assert!(PasswordHash::parse(&hash.to_string()) == Ok(hash));
    }

    #[test]
    fn bcrypt_that_is_written_is_read_again(
        cost in 4..=MAX_BCRYPT_COST, salt in any::<[u8; 16]>(), output in any::<[u8; 23]>(),
    ) {
        let hash = PasswordHash::Bcrypt(BcryptHash { cost, salt, output });
        prop_assert!(PasswordHash::parse(&hash.to_string()) == Ok(hash));
    }
}
