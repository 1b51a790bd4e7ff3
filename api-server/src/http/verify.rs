//! `GET /auth/verify`: whether a proxy may let a request through, and whose it
//! is (forward-auth).

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{ApiError, cross_site, identity::Identity};
use crate::app::App;

const USER_ID: HeaderName = HeaderName::from_static("x-auth-user-id");
const SESSION_ID: HeaderName = HeaderName::from_static("x-auth-session-id");
const ROLES: HeaderName = HeaderName::from_static("x-auth-roles");
const USERNAME: HeaderName = HeaderName::from_static("x-auth-username");

/// All but the unreserved characters of RFC 3986, section 2.3.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Whoever sends the request that a proxy asks about.
pub(super) struct Forwarded(Identity);

impl FromRequestParts<App> for Forwarded {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let identity = Identity::from_request_parts(parts, app).await?;
        let headers = &parts.headers;
        let by_cookie = !headers.contains_key(header::AUTHORIZATION);
        if by_cookie && !is_safe(headers) {
            // The site that was called is the other service's, not ours.
            let called = headers.get("x-forwarded-host");
            cross_site::check_at(called.or(headers.get(header::HOST)), headers, app)?;
        }
        Ok(Self(identity))
    }
}

/// Whether the request in question is a safe one, as far as the proxy says:
/// Traefik by the one header, nginx, as configured, by the other.
fn is_safe(headers: &HeaderMap) -> bool {
    let names = ["x-forwarded-method", "x-original-method"];
    let mut methods = names.iter().flat_map(|name| headers.get_all(*name));
    methods.all(|value| Method::from_bytes(value.as_bytes()).is_ok_and(|m| m.is_safe()))
}

/// Says whether a proxy may let a request through. It takes the request's own
/// headers: `Authorization` or the cookie from login. By cookie, a request
/// whose method (`X-Forwarded-Method` or `X-Original-Method`) may change
/// something must come from the same site. The four headers are in every
/// answer, empty where nobody is known, so that a proxy that copies them
/// overwrites what a client sent.
#[utoipa::path(get, path = "/auth/verify", tag = "services",
    security(("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "Let it through", headers(
        ("X-Auth-User-Id" = String, description = "The user's identifier"),
        ("X-Auth-Session-Id" = String, description = "The session's identifier"),
        ("X-Auth-Roles" = String, description = "What the user may do, separated by commas"),
        ("X-Auth-Username" = String, description = "The user's name, percent-encoded"),
    ))),
    extensions(("x-problems" = json!(["cross-site"]))),
)]
pub(super) async fn verify(Forwarded(identity): Forwarded) -> Response {
    let user = &identity.user;
    let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
    let roles: Vec<_> = user.roles.iter().map(|role| encode(role)).collect();
    let headers = [
        (USER_ID, user.id.to_string()),
        (SESSION_ID, identity.session.to_string()),
        (ROLES, roles.join(",")),
        (USERNAME, encode(&user.username)),
    ];
    (headers, StatusCode::OK).into_response()
}

/// Adds the four headers, empty, to answers that lack them.
pub(super) async fn with_all_headers(mut response: Response) -> Response {
    for name in [USER_ID, SESSION_ID, ROLES, USERNAME] {
        let entry = response.headers_mut().entry(name);
        entry.or_insert(HeaderValue::from_static(""));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_that_is_named_must_be_safe() {
        let safe = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, value.parse().unwrap());
            }
            is_safe(&headers)
        };
        assert!(safe(&[]));
        assert!(safe(&[("x-forwarded-method", "GET")]));
        assert!(safe(&[("x-original-method", "HEAD")]));
        for value in ["POST", "DELETE", "get", "", "P OST"] {
            assert!(!safe(&[("x-forwarded-method", value)]), "{value}");
            assert!(!safe(&[("x-original-method", value)]), "{value}");
        }
        assert!(!safe(&[
            ("x-forwarded-method", "GET"),
            ("x-original-method", "POST")
        ]));
        assert!(!safe(&[
            ("x-forwarded-method", "GET"),
            ("x-forwarded-method", "POST")
        ]));
    }
}
