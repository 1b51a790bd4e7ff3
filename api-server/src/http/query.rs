//! Parameters after the `?`.

use std::fmt::Display;

use axum::http::Uri;
use url::form_urlencoded;

use crate::app::Invalid;

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
}
