//! Reading JSON bodies: bounded in size and time, with errors that say where.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::ApiError;
use crate::app::App;

/// The most bytes of a body.
const LIMIT: usize = 64 * 1024;
/// How long a body may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A body that must be JSON.
pub(super) struct Json<T>(pub(super) T);

/// A body that may be absent and is JSON otherwise.
pub(super) struct OptionalJson<T>(pub(super) Option<T>);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &App) -> Result<Self, ApiError> {
        let is_json = is_json(request.headers());
        let bytes = read(request).await?;
        if !is_json {
            return Err(ApiError::MediaType("application/json"));
        }
        parse(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest<App> for OptionalJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &App) -> Result<Self, ApiError> {
        let is_json = is_json(request.headers());
        let bytes = read(request).await?;
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        if !is_json {
            return Err(ApiError::MediaType("application/json"));
        }
        // `null` says in JSON what no body says without.
        parse(&bytes).map(Self)
    }
}

/// Reads a body to its end, within its limits.
pub(super) async fn read(request: Request) -> Result<Bytes, ApiError> {
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > LIMIT as u64) {
        return Err(ApiError::TooLarge);
    }
    let body = Limited::new(request.into_body(), LIMIT).collect();
    match tokio::time::timeout(TIMEOUT, body).await {
        Err(_) => Err(ApiError::BodyTimeout),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::TooLarge),
        Ok(Err(_)) => Err(ApiError::BodyBroken),
        Ok(Ok(body)) => Ok(body.to_bytes()),
    }
}

/// `application/json`, or any `application/…+json`, with whatever parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    let Some(text) = value.and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = text.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    let subtype = essence.strip_prefix("application/");
    subtype.is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // Else an array would do for an object: serde reads fields by position.
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if matches!(first, Some(b'[')) {
        return Err(ApiError::Shape {
            pointer: String::new(),
            detail: "must be an object",
        });
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader);
    let value = value.map_err(|error| describe(&error, bytes))?;
    reader.end().map_err(|_| ApiError::Json)?;
    Ok(value)
}

/// Broken JSON, or where a whole one has another shape. The library's own text
/// is not passed on: it may quote the value, which may be a password.
fn describe(error: &serde_path_to_error::Error<serde_json::Error>, bytes: &[u8]) -> ApiError {
    // What is ignored is not checked to be text, as JSON must be.
    let whole = serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
    if !whole || std::str::from_utf8(bytes).is_err() {
        return ApiError::Json;
    }
    let pointer = pointer(error.path());
    let text = error.inner().to_string();
    let about = |what: &str| Some(text.strip_prefix(what)?.split_once('`')?.0);
    let (pointer, detail) = if let Some(field) = about("missing field `") {
        (format!("{pointer}/{field}"), "is required")
    } else if let Some(field) = about("duplicate field `") {
        let parent = pointer.strip_suffix(&format!("/{field}"));
        let parent = parent.unwrap_or(&pointer);
        (format!("{parent}/{field}"), "is given twice")
    } else if let Some(field) = about("unknown field `") {
        let field = escaped(field);
        let parent = pointer.strip_suffix(&format!("/{field}"));
        let parent = parent.unwrap_or(&pointer);
        (format!("{parent}/{field}"), "is no field of this")
    } else {
        (pointer, "has the wrong type")
    };
    ApiError::Shape { pointer, detail }
}

/// A path as a JSON Pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |pointer, segment| {
        let part = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => escaped(key),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => String::new(),
        };
        pointer + "/" + &part
    })
}

/// A name as a part of a JSON Pointer (RFC 6901, section 3).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Reads a member that may be absent, but not null: `null` would look as if it
/// took something away. For `#[serde(default, deserialize_with = …)]`.
pub(super) fn given<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: serde::Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only parsed")]
    struct Example {
        name: String,
    }

    fn outcome(text: &str) -> Result<(), (String, &'static str)> {
        match parse::<Example>(text.as_bytes()) {
            Ok(_) => Ok(()),
            Err(ApiError::Json) => Err(("json".into(), "")),
            Err(ApiError::Shape { pointer, detail }) => Err((pointer, detail)),
            Err(other) => Err((format!("{other:?}"), "")),
        }
    }

    #[test]
    fn broken_json_and_other_shapes_are_told_apart() {
        assert_eq!(outcome(r#"{"name": "x", "more": 1}"#), Ok(()));
        for text in [
            "",
            "{",
            "{\"name\": }",
            "{} {}",
            "{\"name\": \"x\"} {}",
            "{\"name\": 5",
            "{\"name\": \"\u{0}\"}",
            "\u{feff}{}",
        ] {
            assert_eq!(outcome(text), Err(("json".into(), "")), "{text:?}");
        }
        for (text, pointer, detail) in [
            (r#"{"name": 5}"#, "/name", "has the wrong type"),
            (r#"{"name": ["x"]}"#, "/name", "has the wrong type"),
            ("{}", "/name", "is required"),
            (r#"{"name": "x", "name": "y"}"#, "/name", "is given twice"),
            (r#" ["x"]"#, "", "must be an object"),
            ("5", "", "has the wrong type"),
        ] {
            assert_eq!(outcome(text), Err((pointer.to_owned(), detail)), "{text}");
        }
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Strict {
        #[serde(deserialize_with = "given")]
        name: Option<String>,
    }

    #[test]
    fn where_it_matters_unknown_and_null_are_refused() {
        let outcome = |text: &str| match parse::<Strict>(text.as_bytes()) {
            Ok(_) => None,
            Err(ApiError::Shape { pointer, detail }) => Some((pointer, detail)),
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(outcome("{}"), None);
        assert_eq!(outcome(r#"{"name": "x"}"#), None);
        for (text, pointer, detail) in [
            (r#"{"name": null}"#, "/name", "has the wrong type"),
            (r#"{"nam": "x"}"#, "/nam", "is no field of this"),
            (r#"{"a/b~": 1}"#, "/a~1b~0", "is no field of this"),
            (r#"{"": 1}"#, "/", "is no field of this"),
            (r#"{"name": "x", "name": "y"}"#, "/name", "is given twice"),
        ] {
            assert_eq!(outcome(text), Some((pointer.to_owned(), detail)), "{text}");
        }
    }

    #[test]
    fn json_has_several_names() {
        for (value, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/merge-patch+json", true),
            ("text/json", false),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
            assert_eq!(is_json(&headers), expected, "{value}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
