//! The two cookies that tokens travel in.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::AppendHeaders,
};

use super::ApiError;
use crate::{app::tokens::IssuedTokens, config::PublicUrl};

/// The cookies' names and attributes, which depend on whether clients speak
/// TLS. Only the names in force are read: neither prefixed cookie can have been
/// planted over plain HTTP, and `__Host-` not by a neighbouring host either.
/// `__Secure-`, which the refresh token needs for its own Path, can, by one
/// that speaks TLS: beside ours it is one too many, and an error.
#[derive(Clone, Copy)]
pub(super) struct Cookies {
    /// The name of the access token's cookie.
    pub(super) access: &'static str,
    /// The name of the refresh token's cookie.
    pub(super) refresh: &'static str,
    attributes: &'static str,
}

/// Where the access token's cookie is sent.
const ACCESS_PATH: &str = "/";
/// Where the refresh token's cookie is sent: nowhere else.
const REFRESH_PATH: &str = "/auth";

impl Cookies {
    /// The cookies for this URL.
    pub(super) fn for_url(url: &PublicUrl) -> Self {
        if url.is_https() {
            Self {
                access: "__Host-access_token",
                refresh: "__Secure-refresh_token",
                attributes: "HttpOnly; SameSite=Lax; Secure",
            }
        } else {
            Self {
                access: "access_token",
                refresh: "refresh_token",
                attributes: "HttpOnly; SameSite=Lax",
            }
        }
    }

    /// The headers that hand these tokens over.
    pub(super) fn set(self, tokens: &IssuedTokens) -> [HeaderValue; 2] {
        [
            self.cookie(
                self.access,
                &tokens.access,
                ACCESS_PATH,
                tokens.access_seconds,
            ),
            self.cookie(
                self.refresh,
                &tokens.refresh,
                REFRESH_PATH,
                tokens.refresh_seconds,
            ),
        ]
    }

    /// The part of an answer that makes a browser forget both.
    pub(super) fn forget(self) -> AppendHeaders<[(HeaderName, HeaderValue); 2]> {
        AppendHeaders(self.clear().map(|cookie| (header::SET_COOKIE, cookie)))
    }

    fn clear(self) -> [HeaderValue; 2] {
        [
            self.cookie(self.access, "", ACCESS_PATH, 0),
            self.cookie(self.refresh, "", REFRESH_PATH, 0),
        ]
    }

    fn cookie(self, name: &str, value: &str, path: &str, max_age: i64) -> HeaderValue {
        let attributes = self.attributes;
        let text = format!("{name}={value}; {attributes}; Path={path}; Max-Age={max_age}");
        let mut header = HeaderValue::try_from(text)
            // Names are constants, tokens are base64 and dots.
            .unwrap_or_else(|_| HeaderValue::from_static(""));
        header.set_sensitive(true);
        header
    }
}

/// The value of a cookie. One sent twice is an error: which of them the browser
/// means, and who set the other, nobody can tell.
pub(super) fn read<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> Result<Option<&'a str>, ApiError> {
    let mut found = None;
    for header in headers.get_all(header::COOKIE) {
        // By bytes: cookies of others on this host need not be text, and must
        // neither hide ours nor that there are two of them.
        for pair in header.as_bytes().split(|byte| *byte == b';') {
            let Some(end) = pair.iter().position(|byte| *byte == b'=') else {
                continue;
            };
            if pair[..end].trim_ascii() != name.as_bytes() {
                continue;
            }
            if found.replace(pair[end + 1..].trim_ascii()).is_some() {
                return Err(ApiError::CookieTwice(name));
            }
        }
    }
    // What is not text is no token of ours.
    let text = found.and_then(|value| str::from_utf8(value).ok());
    Ok(text.filter(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::COOKIE, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let found = headers(&["a=1; access_token=x.y.z; b=2"]);
        assert_eq!(read(&found, "access_token").unwrap(), Some("x.y.z"));
        let found = headers(&["a=1", "access_token=x"]);
        assert_eq!(read(&found, "access_token").unwrap(), Some("x"));
        let found = headers(&["not_access_token=x; access_token2=y; access_token="]);
        assert_eq!(read(&found, "access_token").unwrap(), None);
        assert_eq!(read(&HeaderMap::new(), "access_token").unwrap(), None);
    }

    #[test]
    fn one_sent_twice_is_refused() {
        for values in [
            &["access_token=x; access_token=x"][..],
            &["access_token=x", "access_token=y"],
        ] {
            assert!(matches!(
                read(&headers(values), "access_token"),
                Err(ApiError::CookieTwice("access_token"))
            ));
        }
    }

    #[test]
    fn https_gives_prefixed_secure_cookies() {
        let https = Cookies::for_url(&PublicUrl::parse("https://auth.example.com").unwrap());
        let [access, refresh] = https.clear();
        assert_eq!(
            access,
            "__Host-access_token=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0"
        );
        assert_eq!(
            refresh,
            "__Secure-refresh_token=; HttpOnly; SameSite=Lax; Secure; Path=/auth; Max-Age=0"
        );
        let http = Cookies::for_url(&PublicUrl::parse("http://localhost:8001").unwrap());
        let [access, _] = http.clear();
        assert_eq!(
            access,
            "access_token=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0"
        );
    }

    proptest! {
        #[test]
        fn no_header_panics(value in "[ -~]{0,80}") {
            let _ = read(&headers(&[&value]), "access_token");
        }
    }
}
