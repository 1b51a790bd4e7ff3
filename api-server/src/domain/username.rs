//! User names: what may be one, and when two are the same.

use precis_core::profile::PrecisFastInvocation;
use precis_profiles::UsernameCaseMapped;
use thiserror::Error;

use super::login::MAX_BYTES as MAX_LOGIN_BYTES;

/// The most characters that a user name may have.
pub const MAX_CHARS: usize = 64;

/// A user name that a new account may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username {
    display: String,
    key: String,
}

/// Why a user name is refused. The texts are meant for the person who typed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UsernameError {
    /// Nothing was typed.
    #[error("must not be empty")]
    Empty,
    /// More than [`MAX_CHARS`] characters, as typed or once normalised.
    #[error("must have at most 64 characters")]
    TooLong,
    /// `@` tells e-mail addresses from user names at login.
    #[error("must not contain '@'")]
    At,
    /// Longer than what a login looks at.
    #[error("must have at most 512 bytes")]
    TooLongToLogIn,
    /// A character that RFC 8265 does not admit: spaces, controls, symbols.
    #[error("contains a character that is not allowed in a user name, such as a space")]
    Character,
}

impl Username {
    /// Reads a user name by RFC 8265, section 3.3 (`UsernameCaseMapped`).
    pub fn parse(typed: &str) -> Result<Self, UsernameError> {
        if typed.is_empty() {
            return Err(UsernameError::Empty);
        }
        // Before anything else, so that the work below is bounded.
        if typed.chars().nth(MAX_CHARS).is_some() {
            return Err(UsernameError::TooLong);
        }
        if typed.contains('@') {
            return Err(UsernameError::At);
        }
        let key = username_key(typed).ok_or(UsernameError::Character)?;
        // Normalisation can produce an '@' (from U+FF20) or lengthen the text.
        if key.contains('@') {
            return Err(UsernameError::At);
        }
        if key.chars().nth(MAX_CHARS).is_some() {
            return Err(UsernameError::TooLong);
        }
        Ok(Self {
            display: typed.to_owned(),
            key,
        })
    }

    /// Reads a user name that another service has given. It may be longer
    /// than a new one, and hold an `@`: whoever is used to a name keeps it.
    pub fn imported(typed: &str) -> Result<Self, UsernameError> {
        if typed.is_empty() {
            return Err(UsernameError::Empty);
        }
        if typed.len() > MAX_LOGIN_BYTES {
            return Err(UsernameError::TooLongToLogIn);
        }
        let key = username_key(typed).ok_or(UsernameError::Character)?;
        // The key can be longer than the name, and is looked up as it is.
        if key.len() > MAX_LOGIN_BYTES {
            return Err(UsernameError::TooLongToLogIn);
        }
        Ok(Self {
            display: typed.to_owned(),
            key,
        })
    }

    /// The name as it was typed.
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

/// How often the rules are applied again until they change nothing more.
const AGAIN: usize = 3;

/// The form under which a user name is compared, or `None` if no name can be
/// spelt like that.
///
/// The rules of a profile need not lead to a text that they leave alone, or
/// even admit: capitals of Cherokee become letters that `IdentifierClass` does
/// not know. They are applied until nothing changes, as RFC 8264, section 7,
/// says, and a name that never settles is none.
#[must_use]
pub fn username_key(typed: &str) -> Option<String> {
    let enforced = |text: &str| {
        let key = UsernameCaseMapped::enforce(text).ok()?;
        (!key.is_empty()).then(|| key.into_owned())
    };
    let mut key = enforced(typed)?;
    for _ in 0..AGAIN {
        let again = enforced(&key)?;
        if again == key {
            return Some(key);
        }
        key = again;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_and_width_do_not_make_a_second_name() {
        let plain = Username::parse("guybrush").unwrap();
        for other in ["Guybrush", "GUYBRUSH", "ｇｕｙｂｒｕｓｈ"] {
            assert_eq!(
                Username::parse(other).unwrap().key(),
                plain.key(),
                "{other}"
            );
        }
        assert_eq!(Username::parse("Guybrush").unwrap().display(), "Guybrush");
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        for (typed, expected) in [
            ("", UsernameError::Empty),
            (&*"x".repeat(65), UsernameError::TooLong),
            (&*"x".repeat(300), UsernameError::TooLong),
            ("a@b", UsernameError::At),
            ("a＠b", UsernameError::At),
            ("a b", UsernameError::Character),
            ("a\0b", UsernameError::Character),
            ("a\u{202e}b", UsernameError::Character),
            ("😀", UsernameError::Character),
            ("\u{13a0}", UsernameError::Character),
        ] {
            assert_eq!(Username::parse(typed), Err(expected), "{typed:?}");
        }
        assert!(Username::parse(&"x".repeat(64)).is_ok());
    }

    #[test]
    fn every_character_that_may_be_a_name_has_a_key_that_is_its_own() {
        for typed in ('\0'..=char::MAX).map(String::from) {
            if let Ok(name) = Username::parse(&typed) {
                let again = username_key(name.key());
                assert_eq!(again.as_deref(), Some(name.key()), "{typed:?}");
            }
        }
    }

    #[test]
    fn imported_names_may_be_what_new_ones_may_not() {
        for typed in ["guybrush", "guy@example.com", &*"x".repeat(512)] {
            let name = Username::imported(typed).unwrap();
            assert_eq!(name.display(), typed);
            assert_eq!(name.key(), typed);
        }
        for (typed, expected) in [
            ("", UsernameError::Empty),
            (&*"x".repeat(513), UsernameError::TooLongToLogIn),
            ("two words", UsernameError::Character),
            ("a\0b", UsernameError::Character),
        ] {
            assert_eq!(Username::imported(typed), Err(expected), "{typed:?}");
        }
    }

    proptest! {
        #[test]
        fn an_imported_name_finds_itself_at_login(typed in "\\PC{0,80}") {
            if let Ok(name) = Username::imported(&typed) {
                let login = crate::domain::login::LoginIdentifier::parse(&typed);
                prop_assert_eq!(login.username_key.as_deref(), Some(name.key()));
            }
        }

        #[test]
        fn a_key_is_its_own_key(typed in "\\PC{0,80}") {
            if let Ok(name) = Username::parse(&typed) {
                let again = username_key(name.key());
                prop_assert_eq!(again.as_deref(), Some(name.key()));
                prop_assert!(!name.key().contains('\0'));
            }
        }
    }
}
