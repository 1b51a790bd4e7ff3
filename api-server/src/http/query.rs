//! Parameters after the `?`.

use std::fmt::Display;

use axum::http::Uri;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use url::form_urlencoded;
use uuid::Uuid;

use super::ApiError;
use crate::{
    app::Invalid,
    domain::audit::{Action, Outcome},
};

/// A parameter that may be given once, or its absence. What else is there is
/// ignored, as unknown members of a body are.
pub(super) fn parameter<T, E: Display>(
    uri: &Uri,
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, Invalid> {
    let query = uri.query().unwrap_or_default();
    let mut values = form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value);
    let wrong = |reason: String| Invalid {
        field: name,
        reason,
    };
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match parse(&value) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(wrong(error.to_string())),
        },
        (Some(_), Some(_)) => Err(wrong("is given twice".to_owned())),
    }
}

/// The parameters of a request, read one by one, to report everything that is
/// wrong with them.
pub(super) struct Parameters<'a> {
    uri: &'a Uri,
    wrong: Vec<Invalid>,
}

impl<'a> Parameters<'a> {
    /// The parameters of this address.
    pub(super) fn of(uri: &'a Uri) -> Self {
        let wrong = Vec::new();
        Self { uri, wrong }
    }

    /// Reads one that may be absent. What is wrong with it, [`Self::check`]
    /// tells.
    pub(super) fn take<T, E: Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = parameter(self.uri, name, parse);
        value.unwrap_or_else(|wrong| {
            self.wrong.push(wrong);
            None
        })
    }

    /// What was made of them, if nothing was wrong.
    pub(super) fn check<T>(self, made: T) -> Result<T, ApiError> {
        if self.wrong.is_empty() {
            Ok(made)
        } else {
            Err(ApiError::Parameters(self.wrong))
        }
    }
}

/// Reads `true` or `false`.
pub(super) fn true_or_false(text: &str) -> Result<bool, &'static str> {
    text.parse().map_err(|_| "must be true or false")
}

/// Reads an identifier.
pub(super) fn uuid(text: &str) -> Result<Uuid, &'static str> {
    text.parse().map_err(|_| "must be a UUID")
}

/// Reads a moment.
pub(super) fn moment(text: &str) -> Result<OffsetDateTime, &'static str> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "must be a time by RFC 3339, such as 2026-11-22T16:00:00Z")
}

/// Reads how something ended.
pub(super) fn outcome(text: &str) -> Result<Outcome, &'static str> {
    let known = [Outcome::Success, Outcome::Failure];
    let known = known.into_iter().find(|known| known.as_str() == text);
    known.ok_or("must be success or failure")
}

/// Reads what was done. A word that no event has is misspelt: an empty list
/// would look as if nothing had happened.
pub(super) fn action(text: &str) -> Result<Action, String> {
    let known = Action::ALL.iter().find(|known| known.as_str() == text);
    known.copied().ok_or_else(|| {
        let words: Vec<_> = Action::ALL.iter().map(|known| known.as_str()).collect();
        format!("must be one of {}", words.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_decoded_and_may_come_once() {
        let read = |uri: &'static str| {
            let text = |text: &str| Ok::<_, String>(text.to_owned());
            parameter(&Uri::from_static(uri), "q", text)
        };
        assert_eq!(read("/x"), Ok(None));
        assert_eq!(read("/x?p=1"), Ok(None));
        assert_eq!(read("/x?q="), Ok(Some(String::new())));
        assert_eq!(read("/x?p=1&q=a%40b+c"), Ok(Some("a@b c".to_owned())));
        assert!(read("/x?q=1&q=1").is_err());
        assert!(parameter(&Uri::from_static("/x?q=1"), "q", |_| Err::<(), _>("no")).is_err());
    }

    #[test]
    fn everything_that_is_wrong_is_told() {
        let uri = Uri::from_static("/x?a=maybe&b=true&c=now&d=yes&e=Login!&f=1");
        let mut parameters = Parameters::of(&uri);
        assert_eq!(parameters.take("a", true_or_false), None);
        assert_eq!(parameters.take("b", true_or_false), Some(true));
        assert_eq!(parameters.take("c", moment), None);
        assert_eq!(parameters.take("d", outcome), None);
        assert_eq!(parameters.take("e", action), None);
        assert_eq!(parameters.take("f", uuid), None);
        assert_eq!(parameters.take("absent", uuid), None);
        let Err(ApiError::Parameters(wrong)) = parameters.check(()) else {
            unreachable!("five are wrong")
        };
        let names: Vec<_> = wrong.iter().map(|wrong| wrong.field).collect();
        assert_eq!(names, ["a", "c", "d", "e", "f"]);
    }
}
