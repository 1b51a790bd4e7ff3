//! Pages of other sites that may call this service (CORS, the Fetch standard,
//! section 3.2). Closed unless CORS_ORIGINS names their origin.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
};

use crate::config::services::CorsOrigins;

const METHODS: &str = "GET, HEAD, POST, PATCH, DELETE";
const REQUEST_HEADERS: &str = "authorization, content-type, x-request-id, traceparent, tracestate";
const RESPONSE_HEADERS: &str = "x-request-id, retry-after, www-authenticate";
/// How long a browser may remember what a preflight was told, in seconds.
const MAX_AGE: &str = "600";

/// What one request's origin may do.
pub(super) enum Cors {
    /// No site is trusted at all: nothing is said.
    Closed,
    /// The request names no origin, or none that is trusted.
    Untrusted,
    /// The request comes from a page of this origin, which is trusted.
    Trusted {
        /// The header `Origin`.
        origin: HeaderValue,
        /// Whether the browser only asks whether it may send the request.
        preflight: bool,
    },
}

impl Cors {
    /// What this request's origin may do.
    pub(super) fn of(request: &Request, trusted: &CorsOrigins) -> Self {
        if trusted.is_empty() {
            return Self::Closed;
        }
        let headers = request.headers();
        match trusted_origin(headers, trusted) {
            Some(origin) => Self::Trusted {
                origin: origin.clone(),
                preflight: request.method() == Method::OPTIONS
                    && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD),
            },
            None => Self::Untrusted,
        }
    }

    /// The answer to a browser that only asks.
    pub(super) fn preflight(&self) -> Option<Response> {
        let Self::Trusted {
            preflight: true, ..
        } = self
        else {
            return None;
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ] {
            let headers = response.headers_mut();
            headers.insert(name, HeaderValue::from_static(value));
        }
        Some(response)
    }

    /// Adds what lets a trusted page read the answer. Caches are told in any
    /// case that it depends on who asks.
    pub(super) fn add_headers(self, headers: &mut HeaderMap) {
        if matches!(self, Self::Closed) {
            return;
        }
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        if let Self::Trusted { origin, .. } = self {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            for (name, value) in [
                (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true"),
                (header::ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS),
            ] {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
    }
}

/// The one `Origin` of a request, if it is trusted.
pub(super) fn trusted_origin<'a>(
    headers: &'a HeaderMap,
    trusted: &CorsOrigins,
) -> Option<&'a HeaderValue> {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) if trusted.contains(origin.as_bytes()) => Some(origin),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_preflight_names_the_methods_that_routes_take() {
        let document = serde_json::to_value(crate::http::document()).unwrap();
        let paths = document["paths"].as_object().unwrap().values();
        let operations = paths.flat_map(|path| path.as_object().unwrap().keys());
        let mut taken: BTreeSet<_> = operations.map(|name| name.to_uppercase()).collect();
        // Every route that takes GET takes HEAD.
        taken.insert("HEAD".to_owned());
        let named: BTreeSet<_> = METHODS.split(", ").map(str::to_owned).collect();
        assert_eq!(named, taken);
    }
}
