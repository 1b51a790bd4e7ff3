//! What is a key file, and what is said of one that is not.

use proptest::prelude::*;

use super::*;

#[test]
fn good_keys_of_every_kind_are_read() {
    let keys = first(&json!([of_the_rfc(), p256(), rsa()])).unwrap();
    let kinds: Vec<_> = keys
        .published(NOW)
        .iter()
        .map(|key| key.algorithm)
        .collect();
    assert_eq!(kinds, ["EdDSA", "ES256", "RS256"]);
    assert_eq!(signs(&keys, 0), Some("rfc"), "the others only verify");
    let unknown = json!({"x5t": "?", "key_ops": ["verify"], "use": "sig", "ext": true});
    assert!(first(&json!([with(&of_the_rfc(), &unknown)])).is_ok());
}

const OTHER: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2B";

/// That each of these changes makes the key a bad one, which is named while its
/// content is not.
#[track_caller]
fn refuse(key: &Value, table: &[(Value, &str)]) {
    for (members, expected) in table {
        let key = with(key, members);
        let file = parse(&json!([key]));
        let error = file.err().unwrap_or_else(|| panic!("{members} was taken"));
        let text = error.to_string();
        assert!(text.contains(expected), "{members}: {text}");
        assert!(!text.contains('\n'), "{text}");
        for secret in ["nWGxne", "+/=!", OTHER] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn a_bad_ed25519_key_is_named_and_its_content_is_not() {
    refuse(
        &of_the_rfc(),
        &[
            (json!({"kid": null}), "key 1 must have a kid"),
            (json!({"kid": ""}), "must have a kid"),
            (json!({"kid": "../../dev/null"}), "must have a kid"),
            (json!({"kid": "a\nb"}), "must have a kid"),
            (json!({"kid": "x".repeat(129)}), "must have a kid"),
            (
                json!({"alg": null}),
                "key 1 (rfc) is of kty OKP and must have the alg EdDSA",
            ),
            (json!({"alg": "HS256"}), "must have the alg EdDSA"),
            (json!({"alg": "none"}), "must have the alg EdDSA"),
            (json!({"kty": "oct", "k": OTHER}), "must have a kty"),
            (json!({"kty": null}), "must have a kty"),
            (json!({"crv": "Ed448"}), "must have the crv Ed25519"),
            (json!({"crv": "X25519"}), "must have the crv Ed25519"),
            (json!({"use": "enc"}), "use other than sig"),
            (json!({"x": null}), "must have an x"),
            (json!({"x": "AA"}), "must have an x"),
            (json!({"d": "AA"}), "has a d that is not 32 bytes"),
            (json!({"d": "+/=!"}), "has a d that is not 32 bytes"),
            (
                json!({"d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2E"}),
                "different keys",
            ),
        ],
    );
}

#[test]
fn a_key_has_a_state_and_times_that_fit() {
    refuse(
        &of_the_rfc(),
        &[
            (json!({"state": null}), "must have a state"),
            (json!({"state": "Active"}), "must have a state"),
            (json!({"state": "retired"}), "must have a retires_at"),
            (
                json!({"activates_at": "soon"}),
                "an activates_at that is no time",
            ),
            (
                json!({"activates_at": "2027-01-31"}),
                "an activates_at that is no time",
            ),
            (json!({"retires_at": ""}), "a retires_at that is no time"),
            (
                json!({"published_at": "x"}),
                "a published_at that is no time",
            ),
            (
                json!({"activates_at": at(5), "retires_at": at(5)}),
                "not before its retires_at",
            ),
        ],
    );
}

#[test]
fn a_bad_p256_key_is_named_and_its_content_is_not() {
    refuse(
        &p256(),
        &[
            (json!({"crv": "P-384"}), "must have the crv P-256"),
            (json!({"alg": "ES384"}), "must have the alg ES256"),
            (json!({"y": p256()["y"]}), "no point of P-256"),
            (json!({"y": null}), "must have a y"),
            (json!({"d": OTHER}), "only EdDSA signs here"),
        ],
    );
}

#[test]
fn a_bad_rsa_key_is_named_and_its_content_is_not() {
    let short = URL_SAFE_NO_PAD.encode([0xff; 255]);
    refuse(
        &rsa(),
        &[
            (json!({"d": OTHER}), "only EdDSA signs here"),
            (json!({"alg": "PS256"}), "must have the alg RS256"),
            (json!({"n": short}), "fewer than 2048 bits"),
            (json!({"n": format!("AAAA{short}")}), "fewer than 2048 bits"),
            (
                json!({"n": URL_SAFE_NO_PAD.encode([0xff; 1025])}),
                "more than 8192",
            ),
            (json!({"e": "Aw"}), "has an e"),
            (json!({"e": "AQAC"}), "no public key"),
            (
                json!({"n": URL_SAFE_NO_PAD.encode([0xfe; 256])}),
                "no public key",
            ),
            (json!({"n": null}), "must have an n"),
        ],
    );
}

#[test]
fn a_point_of_small_order_is_no_public_key() {
    for x in [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ] {
        let bytes: Vec<u8> = (0..64)
            .step_by(2)
            .map(|at| u8::from_str_radix(&x[at..at + 2], 16).unwrap())
            .collect();
        let members = json!({"d": null, "x": URL_SAFE_NO_PAD.encode(bytes)});
        let error = parse(&json!([with(&of_the_rfc(), &members)]))
            .err()
            .unwrap();
        assert!(error.to_string().contains("no public key"), "{x}: {error}");
    }
}

#[test]
fn a_bad_file_is_described_and_not_quoted() {
    let secret = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    for (text, expected) in [
        (String::new(), "is not JSON: line 1, column 0"),
        ("{".into(), "is not JSON: line 1"),
        (format!("{secret}\n"), "is not JSON"),
        (format!("\"{secret}\""), "is not a JWK Set"),
        (format!("{{\"keys\": \"{secret}\"}}"), "at keys"),
        (format!("{{\"keys\": [\"{secret}\"]}}"), "at keys[0]"),
        (
            format!("{{\"keys\": [{{\"d\": [\"{secret}\"]}}]}}"),
            "at keys[0].d",
        ),
        (
            format!("{{\"keys\": [{{\"d\": \"{secret}\", \"d\": 1}}]}}"),
            "at keys[0]",
        ),
        ("[]".into(), "is not a JWK Set"),
        ("{\"keys\": []} x".into(), "is not JSON"),
        (
            format!("{{\"keys\": [{}]}}", ["{}"; 65].join(",")),
            "more than 64 keys",
        ),
        (" ".repeat(MAX_FILE_BYTES + 1), "more than 256 KiB"),
    ] {
        let error = KeyFile::parse(text.as_bytes())
            .err()
            .expect("an error")
            .to_string();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(
            !error.contains(&secret[..6]) && !error.contains('\n'),
            "{error}"
        );
    }
    assert_eq!(KeyFile::parse(&[0xff]).err(), Some(KeyFileError::NotText));
}

#[test]
fn a_kid_stands_for_one_key() {
    let twice = json!([of_the_rfc(), ed25519("rfc", &json!({}))]);
    let error = parse(&twice).err().unwrap().to_string();
    assert_eq!(error, "key 2 (rfc) has the kid of an earlier key");
}

/// The members of a key file with some of them wrong.
fn mutated() -> impl Strategy<Value = String> {
    let names = [
        "kty",
        "crv",
        "alg",
        "use",
        "x",
        "d",
        "kid",
        "state",
        "activates_at",
        "n",
    ];
    let values = prop_oneof![
        Just(json!(null)),
        Just(json!(1)),
        Just(json!([])),
        "[A-Za-z0-9_=-]{0,50}".prop_map(|text| json!(text)),
        Just(json!("9999-12-31T23:59:59Z")),
        Just(json!("0000-01-01T00:00:00Z")),
    ];
    let members = prop::collection::vec((prop::sample::select(names.to_vec()), values), 0..3);
    (members, any::<bool>(), 0_usize..400).prop_map(|(members, cut, at)| {
        let mut key = of_the_rfc();
        for (name, value) in members {
            key[name] = value;
        }
        let text = json!({ "keys": [key] }).to_string();
        if cut {
            text[..at.min(text.len())].to_owned()
        } else {
            text
        }
    })
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(KeyFile::parse(&bytes).is_err());
        prop_assert!(rotation::rotate(&bytes, NOW, WEEK).is_err());
    }

    #[test]
    fn no_key_file_panics_or_is_quoted(text in mutated(), now in any::<i64>()) {
        match KeyFile::parse(text.as_bytes()) {
            Ok(file) => {
                if let Ok(keys) = Keys::from_file(file, now) {
                    prop_assert!(keys.signing_kid(now).is_some());
                    prop_assert!(keys.published(now).len() <= 1);
                    let _ = keys.signing_ends(now);
                }
            }
            Err(error) => prop_assert!(!error.to_string().contains("nWGxne"), "{error}"),
        }
        let _ = rotation::rotate(text.as_bytes(), now, WEEK);
    }
}
