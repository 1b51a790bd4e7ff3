//! Which service sends a request, by HTTP Basic (RFC 6749, section 2.3.1).

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;

use super::ApiError;
use crate::app::App;

/// A configured client that has proved who it is, by its id.
pub(super) struct ServiceClient(pub(super) String);

impl FromRequestParts<App> for ServiceClient {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let (id, secret) = credentials(&parts.headers).ok_or(ApiError::InvalidClient)?;
        if app.services.clients.authenticate(&id, &secret) {
            Ok(Self(id))
        } else {
            Err(ApiError::InvalidClient)
        }
    }
}

/// Id and secret, of which each was encoded as in a form.
fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((form_decode(id)?, form_decode(secret)?))
}

fn form_decode(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    let text = percent_decode_str(&text).decode_utf8().ok()?;
    Some(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(values: &[&str]) -> Option<(String, String)> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        credentials(&headers)
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn id_and_secret_are_read_and_decoded() {
        let pair = |id: &str, secret: &str| Some((id.to_owned(), secret.to_owned()));
        assert_eq!(read(&[&basic("shop:s3cret")]), pair("shop", "s3cret"));
        assert_eq!(read(&[&basic("sh%6Fp:a%3Ab+c:d")]), pair("shop", "a:b c:d"));
        let lower = basic("a:b").replace("Basic", "bASIC");
        assert_eq!(read(&[&lower]), pair("a", "b"));
        assert_eq!(read(&[&basic(":")]), pair("", ""));
    }

    #[test]
    fn what_is_not_one_basic_header_is_nothing() {
        let good = basic("a:b");
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[&good, &good]), None);
        for bad in [
            "Bearer a",
            "Basic",
            "Basic !",
            &basic("ab"),
            &basic("%ff:x"),
            &format!("Basic {}", STANDARD.encode([0xff, b':'])),
        ] {
            assert_eq!(read(&[bad]), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_header_panics(value in "[ -~]{0,60}") {
            let _ = read(&[&value]);
            let _ = read(&[&basic(&value)]);
        }
    }
}
