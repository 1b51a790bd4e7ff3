//! Searching accounts by the beginning of a name or an address.

use thiserror::Error;

use super::{email::email_key, username::username_key};

/// The most bytes of a search: no address is longer.
const MAX_BYTES: usize = 254;

/// Comes after every text that begins as another does: no name and no address
/// has this character, which is the last of Unicode and assigned to nothing.
const AFTER_ALL: char = '\u{10FFFF}';

/// Accounts whose user name or address begins like this, without regard to
/// case. No character means anything but itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Search {
    /// For user names; absent where none can begin like this.
    pub username: Option<Range>,
    /// For e-mail addresses.
    pub email: Range,
}

/// The texts from the first on, and before the second, in the order of their
/// bytes: those that begin with the first.
#[derive(Clone, PartialEq, Eq)]
pub struct Range {
    /// What they begin with, and the first of them.
    pub from: String,
    /// What comes after all of them.
    pub before: String,
}

/// Nothing can be searched by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must have 1 to 254 bytes, and no NUL character")]
pub struct SearchError;

impl Search {
    /// Reads a search.
    pub fn parse(typed: &str) -> Result<Self, SearchError> {
        if typed.is_empty() || typed.len() > MAX_BYTES || typed.contains('\0') {
            return Err(SearchError);
        }
        Ok(Self {
            username: username_key(typed).map(Range::beginning_with),
            email: Range::beginning_with(email_key(typed)),
        })
    }
}

impl Range {
    fn beginning_with(from: String) -> Self {
        let before = format!("{from}{AFTER_ALL}");
        Self { from, before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_cannot_be_searched_by_is_refused() {
        for typed in ["", "a\0b", &"x".repeat(255)] {
            assert!(Search::parse(typed).is_err(), "{typed:?}");
        }
        assert!(Search::parse(&"x".repeat(254)).is_ok());
    }

    #[test]
    fn names_are_compared_as_at_login() {
        let search = Search::parse("GUYｂ").unwrap();
        assert_eq!(search.username.unwrap().from, "guyb");
        let search = Search::parse("no name").unwrap();
        assert!(search.username.is_none());
        assert_eq!(search.email.from, "no name");
    }

    proptest! {
        #[test]
        fn a_range_holds_what_begins_so_and_nothing_else(
            from in "[a-z%_\\\\*é]{1,5}", other in "[a-z%_\\\\*éÿ\u{ffff}]{0,8}",
        ) {
            let range = Range::beginning_with(from.clone());
            for text in [&other, &format!("{from}{other}")] {
                let within = range.from <= *text && *text < range.before;
                prop_assert_eq!(within, text.starts_with(&from));
            }
        }
    }
}
