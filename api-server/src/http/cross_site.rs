//! Requests that a browser sends on behalf of another site.
//!
//! Browsers say where a request comes from; a page cannot make them lie. What
//! says nothing is no browser, has no cookies of a user, and passes.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, header, request::Parts},
};
use url::Url;

use super::{ApiError, cors};
use crate::{
    app::App,
    config::{PublicUrl, services::CorsOrigins},
};

/// A guard, as an argument of handlers that change what a browser holds: login,
/// refresh and logout. `Authorization` is never sent by another site's doing.
pub(super) struct SameSite;

impl FromRequestParts<App> for SameSite {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        if parts.headers.contains_key(header::AUTHORIZATION) {
            return Ok(Self);
        }
        check(&parts.headers, app).map(|()| Self)
    }
}

/// Refuses what a browser sends on behalf of another site.
pub(super) fn check(headers: &HeaderMap, app: &App) -> Result<(), ApiError> {
    check_at(headers.get(header::HOST), headers, app)
}

/// The same for a request to `host`.
pub(super) fn check_at(
    host: Option<&HeaderValue>,
    headers: &HeaderMap,
    app: &App,
) -> Result<(), ApiError> {
    if is_allowed(host, headers, &app.public_url, &app.services.cors_origins) {
        Ok(())
    } else {
        Err(ApiError::CrossSite)
    }
}

fn is_allowed(
    host: Option<&HeaderValue>,
    headers: &HeaderMap,
    public_url: &PublicUrl,
    trusted: &CorsOrigins,
) -> bool {
    if cors::trusted_origin(headers, trusted).is_some() {
        return true;
    }
    match (headers.get("sec-fetch-site"), headers.get(header::ORIGIN)) {
        (Some(site), _) => matches!(site.as_bytes(), b"same-origin" | b"none"),
        (None, Some(origin)) => is_own(origin, host, public_url),
        (None, None) => true,
    }
}

/// Whether an `Origin` is this service's: as it is known, or as it was called.
fn is_own(origin: &HeaderValue, host: Option<&HeaderValue>, public_url: &PublicUrl) -> bool {
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    // "null" is no URL: sandboxed frames, files, redirects across sites.
    let Ok(origin) = Url::parse(origin) else {
        return false;
    };
    let origin = origin.origin();
    let serialised = origin.ascii_serialization();
    if serialised == public_url.origin() {
        return true;
    }
    // A proxy may have ended TLS, so the scheme of this connection says
    // nothing; but a service known by https does not answer pages over http.
    let schemes = if public_url.is_https() {
        &["https"][..]
    } else {
        &["http", "https"]
    };
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    schemes.iter().any(|scheme| {
        Url::parse(&format!("{scheme}://{host}"))
            .is_ok_and(|called| called.origin() == origin && origin.is_tuple())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(public_url: &str, headers: &[(&'static str, &str)]) -> bool {
        let headers = headers
            .iter()
            .map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<HeaderMap>();
        let public_url = PublicUrl::parse(public_url).unwrap();
        let trusted = CorsOrigins::parse("https://app.example.com").unwrap();
        is_allowed(headers.get(header::HOST), &headers, &public_url, &trusted)
    }

    #[test]
    fn fetch_metadata_decides_where_it_is_sent() {
        let url = "https://auth.example.com";
        for (site, expected) in [
            ("same-origin", true),
            ("none", true),
            ("same-site", false),
            ("cross-site", false),
            ("", false),
            ("banana", false),
        ] {
            assert_eq!(passes(url, &[("sec-fetch-site", site)]), expected, "{site}");
        }
        let both = [("sec-fetch-site", "cross-site"), ("origin", url)];
        assert!(!passes(url, &both));
    }

    #[test]
    fn otherwise_the_origin_must_be_ours() {
        let url = "https://auth.example.com";
        for (origin, host, expected) in [
            ("https://auth.example.com", "10.0.0.1", true),
            ("https://auth.example.com:443", "10.0.0.1", true),
            ("https://other.example.com", "other.example.com", true),
            ("http://other.example.com", "other.example.com", false),
            ("https://evil.example", "auth.example.com", false),
            (
                "https://auth.example.com.evil.example",
                "auth.example.com",
                false,
            ),
            ("https://auth.example.com:8443", "auth.example.com", false),
            ("null", "auth.example.com", false),
            ("", "", false),
            ("data:,", "auth.example.com", false),
        ] {
            let headers = [("origin", origin), ("host", host)];
            assert_eq!(passes(url, &headers), expected, "{origin} at {host}");
        }
        let local = [
            ("origin", "http://127.0.0.1:8001"),
            ("host", "127.0.0.1:8001"),
        ];
        assert!(passes("http://localhost:8001", &local));
    }

    #[test]
    fn an_origin_that_is_trusted_counts_as_ours() {
        let url = "https://auth.example.com";
        let app = ("origin", "https://app.example.com");
        for site in ["same-site", "cross-site"] {
            assert!(passes(url, &[("sec-fetch-site", site), app]), "{site}");
        }
        assert!(passes(url, &[app]));
        let http = ("origin", "http://app.example.com");
        assert!(!passes(url, &[http]), "another scheme is another origin");
        assert!(!passes(url, &[("sec-fetch-site", "cross-site"), http]));
    }

    #[test]
    fn what_is_no_browser_passes() {
        assert!(passes(
            "https://auth.example.com",
            &[("host", "auth.example.com")]
        ));
    }
}
