//! What a person types to say who they are.

use crate::domain::{email::email_key, username::username_key};

/// The most bytes of an identifier that are looked at; longer ones match nobody.
pub const MAX_BYTES: usize = 512;

/// A login identifier, ready to be looked up. Either key may be absent: then
/// it matches nobody, which the caller must not show.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginIdentifier {
    /// To be compared with e-mail addresses: whenever an `@` was typed.
    pub email_key: Option<String>,
    /// To be compared with user names, where no address matches. Names with an
    /// `@` cannot be registered, but may have been imported.
    pub username_key: Option<String>,
}

impl LoginIdentifier {
    /// Reads what was typed. This cannot fail: nonsense matches nobody.
    #[must_use]
    pub fn parse(typed: &str) -> Self {
        // PostgreSQL's text cannot hold NUL, so nobody is called that.
        if typed.len() > MAX_BYTES || typed.contains('\0') {
            return Self {
                email_key: None,
                username_key: None,
            };
        }
        Self {
            email_key: typed.contains('@').then(|| email_key(typed)),
            username_key: username_key(typed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_at_sign_makes_it_an_address_first() {
        let id = LoginIdentifier::parse("Alice@Example.com");
        assert_eq!(id.email_key.as_deref(), Some("alice@example.com"));
        assert_eq!(id.username_key.as_deref(), Some("alice@example.com"));
        let id = LoginIdentifier::parse("Alice");
        assert_eq!(id.email_key, None);
        assert_eq!(id.username_key.as_deref(), Some("alice"));
    }

    #[test]
    fn nonsense_matches_nobody() {
        for typed in ["", "a\0b", "a\0@b.c", &*"x".repeat(513)] {
            let id = LoginIdentifier::parse(typed);
            assert_eq!((id.email_key, id.username_key), (None, None), "{typed:?}");
        }
    }

    proptest! {
        #[test]
        fn no_key_ever_holds_a_nul(typed in ".{0,60}") {
            let id = LoginIdentifier::parse(&typed);
            for key in [id.email_key, id.username_key].into_iter().flatten() {
                prop_assert!(!key.contains('\0'));
            }
        }
    }
}
