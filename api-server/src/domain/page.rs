//! Lists in pieces. A list is ordered by its identifiers, which are UUIDs of
//! version 7 and so grow with time; a cursor is the last one that was shown.
//! Unlike an offset, it stays right while rows come and go, and costs the same
//! on every page.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::fmt;
use thiserror::Error;
use uuid::Uuid;

/// How many items a page may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(u8);

/// Not a number of items that a page may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be a whole number from 1 to 100")]
pub struct LimitError;

impl Limit {
    /// The most.
    pub const MAX: Self = Self(100);

    /// Reads a limit.
    pub fn parse(text: &str) -> Result<Self, LimitError> {
        // `parse` would also take a sign.
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(LimitError);
        }
        let limit = text.parse().map_err(|_| LimitError)?;
        if (1..=Self::MAX.0).contains(&limit) {
            Ok(Self(limit))
        } else {
            Err(LimitError)
        }
    }

    /// The limit as a number.
    #[must_use]
    pub fn get(self) -> usize {
        usize::from(self.0)
    }

    /// How many rows to ask the database for: one more than are shown, which
    /// tells whether there is a next page.
    #[must_use]
    pub fn rows(self) -> i64 {
        i64::from(self.0) + 1
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

/// Where a page begins: after this identifier. It is opaque to clients, and no
/// secret: whoever makes one up sees no more than their own list from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(Uuid);

/// Not a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be the next_cursor of an earlier page")]
pub struct CursorError;

impl Cursor {
    /// The cursor after this identifier.
    #[must_use]
    pub fn after(id: Uuid) -> Self {
        Self(id)
    }

    /// Reads a cursor as it was given out: 22 characters of base64url.
    pub fn parse(text: &str) -> Result<Self, CursorError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError)?;
        Uuid::from_slice(&bytes).map(Self).map_err(|_| CursorError)
    }

    /// The last identifier of the page before.
    #[must_use]
    pub fn id(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.as_bytes()))
    }
}

/// Which piece of a list is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// How many items.
    pub limit: Limit,
    /// After which, or from the beginning.
    pub cursor: Option<Cursor>,
}

/// A piece of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next piece begins, if there is one.
    pub next: Option<Cursor>,
}

impl<T> Slice<T> {
    /// The piece that these rows make, of which there may be [`Limit::rows`].
    #[must_use]
    pub fn cut(mut rows: Vec<T>, limit: Limit, id: impl Fn(&T) -> Uuid) -> Self {
        let more = rows.len() > limit.get();
        rows.truncate(limit.get());
        let last = rows.last().filter(|_| more);
        let next = last.map(|row| Cursor::after(id(row)));
        Self { items: rows, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn limits_are_from_1_to_100() {
        for text in ["1", "007", "50", "100"] {
            assert!(Limit::parse(text).is_ok(), "{text}");
        }
        for text in ["", "0", "101", "256", "-1", "+1", "1.5", "ten", " 1"] {
            assert_eq!(Limit::parse(text), Err(LimitError), "{text:?}");
        }
        assert_eq!(Limit::default().get(), 50);
        assert_eq!(Limit::MAX.rows(), 101);
    }

    #[test]
    fn the_row_too_many_only_tells_that_there_is_a_next_page() {
        let rows = |count: u128| (1..=count).map(Uuid::from_u128).collect::<Vec<_>>();
        let limit = Limit::parse("3").unwrap();
        for (count, shown, next) in [(0, 0, None), (2, 2, None), (3, 3, None), (4, 3, Some(3))] {
            let slice = Slice::cut(rows(count), limit, |id| *id);
            assert_eq!(slice.items.len(), shown);
            let next = next.map(|id| Cursor::after(Uuid::from_u128(id)));
            assert_eq!(slice.next, next, "{count}");
        }
    }

    proptest! {
        #[test]
        fn a_cursor_comes_back_as_it_went(id in any::<u128>()) {
            let cursor = Cursor::after(Uuid::from_u128(id));
            prop_assert_eq!(Cursor::parse(&cursor.to_string()), Ok(cursor));
        }

        #[test]
        fn nothing_else_is_a_cursor(text in "\\PC{0,40}") {
            if let Ok(cursor) = Cursor::parse(&text) {
                prop_assert_eq!(cursor.to_string(), text);
            }
        }
    }
}
