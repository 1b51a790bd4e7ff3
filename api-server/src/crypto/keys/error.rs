//! What is wrong with a key file.

use std::fmt;

use thiserror::Error;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A key file cannot be used. The text is one line and never repeats what the
/// file says, but names of keys, which are public.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyFileError {
    /// Longer than any key file.
    #[error("has more than 256 KiB")]
    TooLong,
    /// Not text.
    #[error("is not UTF-8")]
    NotText,
    /// Not JSON.
    #[error("is not JSON: line {line}, column {column}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// JSON of another shape.
    #[error(
        "is not a JWK Set, {{\"keys\": [...]}}: line {line}, column {column}, at {path}: a member \
         has another type, or is there twice"
    )]
    Shape {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// Member names and positions.
        path: String,
    },
    /// More keys than anybody needs.
    #[error("has more than {0} keys")]
    TooMany(usize),
    /// One of the keys cannot be used.
    #[error("{0} {1}")]
    Key(Place, &'static str),
    /// A key of this name stands there already.
    #[error("{0} has the kid of an earlier key")]
    Duplicate(Place),
    /// A key would sign before every server and client can know it.
    #[error(
        "{0} would sign before it has been published for 10 minutes: leave it in state next, or \
         give it an activates_at of {time} or later",
        time = rfc3339(*.1)
    )]
    TooSoon(Place, i64),
    /// No key is active.
    #[error(
        "has no key that signs now: one must be in state active, of kty OKP with its private part \
         d, past its activates_at and before its retires_at"
    )]
    NothingSigns,
}

/// Which key of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Counted from 0.
    index: usize,
    /// Its name, where that is one.
    kid: Option<String>,
}

impl Place {
    pub(super) fn new(index: usize, kid: Option<&str>) -> Self {
        let kid = kid.map(str::to_owned);
        Self { index, kid }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}", self.index + 1)?;
        match &self.kid {
            Some(kid) => write!(f, " ({kid})"),
            None => Ok(()),
        }
    }
}

/// A time as key files write it; one that no calendar has, as a number.
#[must_use]
pub fn rfc3339(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| seconds.to_string())
}
