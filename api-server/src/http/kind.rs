//! The kinds of problems: what is said of each, wherever it is said. The
//! answers, the pages that their `type` leads to and the OpenAPI document all
//! read the one table.

use axum::http::StatusCode;

mod table;

pub(super) use table::*;

/// A kind of problem. Each has a URI that never changes:
/// `<PUBLIC_URL>/problems/<name>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// The last part of the URI.
    pub(super) name: &'static str,
    /// The same for every occurrence.
    pub(super) title: &'static str,
    /// The status that it is sent with.
    pub(super) status: StatusCode,
    /// What has happened, for whoever meets it.
    pub(super) meaning: &'static str,
    /// What to do about it.
    pub(super) remedy: &'static str,
    /// A `detail` as it may be sent.
    pub(super) example: &'static str,
}

/// The kind of this name.
pub(super) fn named(name: &str) -> Option<&'static Kind> {
    ALL.iter().find(|kind| kind.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_fit_into_a_uri() {
        let names: HashSet<_> = ALL.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), ALL.len());
        for name in names {
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
                "{name}"
            );
        }
    }

    #[test]
    fn every_kind_is_an_error_that_says_something() {
        for kind in ALL {
            assert!(kind.status.is_client_error() || kind.status.is_server_error());
            for text in [kind.title, kind.meaning, kind.remedy, kind.example] {
                assert!(!text.is_empty(), "{}", kind.name);
            }
        }
    }
}
