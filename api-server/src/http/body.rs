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
            return Err(ApiError::MediaType);
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
            return Err(ApiError::MediaType);
        }
        parse(&bytes).map(|value| Self(Some(value)))
    }
}

async fn read(request: Request) -> Result<Bytes, ApiError> {
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
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        match error.into_inner().classify() {
            // The library's own text may quote the value: a password.
            serde_json::error::Category::Data => ApiError::Shape {
                pointer,
                detail: "is missing, given twice, or of the wrong type",
            },
            _ => ApiError::Json,
        }
    })?;
    reader.end().map_err(|_| ApiError::Json)?;
    Ok(value)
}

/// A path as a JSON Pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |pointer, segment| {
        let part = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => String::new(),
        };
        pointer + "/" + &part
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only parsed")]
    struct Example {
        name: Option<String>,
    }

    fn outcome(text: &str) -> Result<(), String> {
        match parse::<Example>(text.as_bytes()) {
            Ok(_) => Ok(()),
            Err(ApiError::Json) => Err("json".into()),
            Err(ApiError::Shape { pointer, .. }) => Err(pointer),
            Err(other) => Err(format!("{other:?}")),
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
            "{\"name\": \"\u{0}\"}",
            "\u{feff}{}",
        ] {
            assert_eq!(outcome(text), Err("json".into()), "{text:?}");
        }
        assert_eq!(outcome(r#"{"name": 5}"#), Err("/name".into()));
        assert_eq!(outcome(r#"{"name": ["x"]}"#), Err("/name".into()));
        assert_eq!(outcome(r#" ["x"]"#), Err(String::new()));
        assert_eq!(outcome("5"), Err(String::new()));
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
