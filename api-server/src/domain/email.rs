//! E-mail addresses: a shape that mail can reach, and when two are the same.

use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

/// The most bytes that an address may have (RFC 5321, section 4.5.3.1.3, less
/// the angle brackets).
const MAX_BYTES: usize = 254;
/// The most bytes before the `@` (RFC 5321, section 4.5.3.1.1).
const MAX_LOCAL_BYTES: usize = 64;
/// The most bytes between two dots of a domain (RFC 1035, section 2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// An address that a new account may have.
#[derive(Clone, PartialEq, Eq)]
pub struct Email {
    display: String,
    key: String,
}

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EmailError {
    /// Nothing was typed.
    #[error("must not be empty")]
    Empty,
    /// Longer than mail can carry.
    #[error("must have at most 254 bytes")]
    TooLong,
    /// Not `local@domain` with a domain of at least two labels.
    #[error("must be an e-mail address, such as name@example.com")]
    Shape,
}

impl Email {
    /// Reads an address. Quoted local parts, comments and address literals,
    /// which RFC 5321 allows and nobody has, are refused.
    pub fn parse(typed: &str) -> Result<Self, EmailError> {
        if typed.is_empty() {
            return Err(EmailError::Empty);
        }
        if typed.len() > MAX_BYTES {
            return Err(EmailError::TooLong);
        }
        let (local, domain) = typed.split_once('@').ok_or(EmailError::Shape)?;
        if !is_local_part(local) || !is_domain(domain) {
            return Err(EmailError::Shape);
        }
        Ok(Self {
            display: typed.to_owned(),
            key: email_key(typed),
        })
    }

    /// The address as it was typed; mail goes here.
    #[must_use]
    pub fn display(&self) -> &str {
        &self.display
    }

    /// The form that is unique among users.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Addresses are personal data: they do not reach a log by way of `{:?}`.
impl std::fmt::Debug for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Email(…)")
    }
}

/// The form under which addresses are compared: without regard to case, in
/// one Unicode spelling.
#[must_use]
pub fn email_key(typed: &str) -> String {
    typed
        .nfc()
        .flat_map(char::to_lowercase)
        .nfc()
        .collect::<String>()
}

fn is_local_part(local: &str) -> bool {
    // The specials are RFC 5322's `atext`; beyond ASCII, RFC 6531.
    let atext = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c) || mark(c);
    !local.is_empty()
        && local.len() <= MAX_LOCAL_BYTES
        && local.chars().all(atext)
        && local.split('.').all(|atom| !atom.is_empty())
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= MAX_LABEL_BYTES
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|c| c.is_alphanumeric() || c == '-' || mark(c))
    };
    // An all-digit last label is an IP address, never a domain.
    let has_top = |(_, top): (&str, &str)| !top.bytes().all(|b| b.is_ascii_digit());
    // Letters of other widths and styles are the plain ones to whoever looks a
    // domain up (UTS 46, section 4): another spelling, not another domain.
    let is_plain = domain.nfkc().eq(domain.nfc());
    is_plain && domain.rsplit_once('.').is_some_and(has_top) && domain.split('.').all(is_label)
}

/// Combining marks belong to the letters of many scripts.
fn mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_addresses_are_taken() {
        for typed in [
            "alice@example.com",
            "Alice.Smith+tag@Sub.Example.co.uk",
            "o'brien@example.com",
            "δοκιμή@παράδειγμα.δοκιμή",
            "a@b.c",
        ] {
            assert!(Email::parse(typed).is_ok(), "{typed}");
        }
    }

    #[test]
    fn others_are_not() {
        for typed in [
            "plain",
            "@example.com",
            "alice@",
            "alice@localhost",
            "a b@example.com",
            "alice@exa mple.com",
            "alice@example..com",
            "alice@.example.com",
            "alice@example.com.",
            ".alice@example.com",
            "al..ice@example.com",
            "alice@bob@example.com",
            "alice@-example.com",
            "alice@example.com\n",
            "alice\0@example.com",
            "alice@example.com\0",
            "alice@127.0.0.1",
            "alice@ｅxample.com",
            "alice@𝐞xample.com",
            "alice@example\u{3002}com",
            "<alice@example.com>",
            "\"a b\"@example.com",
        ] {
            assert_eq!(Email::parse(typed), Err(EmailError::Shape), "{typed:?}");
        }
        assert_eq!(Email::parse(""), Err(EmailError::Empty));
        let long = format!("{}@example.com", "x".repeat(300));
        assert_eq!(Email::parse(&long), Err(EmailError::TooLong));
        let long_local = format!("{}@example.com", "x".repeat(65));
        assert_eq!(Email::parse(&long_local), Err(EmailError::Shape));
    }

    #[test]
    fn case_does_not_make_a_second_address() {
        let one = Email::parse("Alice@Example.COM").unwrap();
        let two = Email::parse("alice@example.com").unwrap();
        assert_eq!(one.key(), two.key());
        assert_eq!(one.display(), "Alice@Example.COM");
        assert_eq!(format!("{one:?}"), "Email(…)");
    }

    proptest! {
        #[test]
        fn a_key_is_its_own_key(typed in "\\PC{0,40}") {
            let key = email_key(&typed);
            prop_assert_eq!(email_key(&key), key);
        }

        #[test]
        fn what_is_accepted_has_one_at_and_no_control(typed in ".{0,20}@.{0,20}") {
            if let Ok(email) = Email::parse(&typed) {
                prop_assert_eq!(email.display().matches('@').count(), 1);
                prop_assert!(!email.display().chars().any(char::is_control));
            }
        }
    }
}
