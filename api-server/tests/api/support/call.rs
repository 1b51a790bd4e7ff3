//! A request, and what comes back.

use std::net::SocketAddr;

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header},
};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::Pair;
use crate::contract;

/// A request about to be sent.
pub(crate) struct Call {
    router: Router,
    request: Request<Body>,
    /// Whether the OpenAPI document is about this router.
    documented: bool,
}

impl Call {
    pub(crate) fn new(router: Router, method: Method, path: &str) -> Self {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap();
        let peer = SocketAddr::from(([10, 0, 0, 9], 40_000));
        request.extensions_mut().insert(ConnectInfo(peer));
        Self {
            router,
            request,
            documented: true,
        }
    }

    /// To a router that the OpenAPI document is not about.
    pub(super) fn undocumented(mut self) -> Self {
        self.documented = false;
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        let name = HeaderName::from_static(name);
        let value = HeaderValue::from_str(value).unwrap();
        self.request.headers_mut().append(name, value);
        self
    }

    /// Any bytes that a header may have.
    pub(crate) fn header_value(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.request.headers_mut().append(name, value);
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn cookie(self, name: &str, value: &str) -> Self {
        self.header("cookie", &format!("{name}={value}"))
    }

    pub(crate) fn body(mut self, body: impl Into<Body>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string())
    }

    /// Sends it, and holds the answer to the OpenAPI document.
    pub(crate) async fn send(self) -> Answer {
        let (method, uri) = (self.request.method().clone(), self.request.uri().clone());
        let response = self.router.oneshot(self.request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        if self.documented {
            contract::check(&method, uri.path(), parts.status, &parts.headers, &json);
        }
        Answer {
            status: parts.status,
            headers: parts.headers,
            json,
            text,
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The tokens of an answer that must be a success.
    #[track_caller]
    pub(crate) fn pair(&self) -> Pair {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        let token = |name: &str| self.json[name].as_str().unwrap().to_owned();
        Pair {
            access: token("access_token"),
            refresh: token("refresh_token"),
        }
    }

    /// The `Set-Cookie` headers.
    pub(crate) fn cookies(&self) -> Vec<&str> {
        let values = self.headers.get_all(header::SET_COOKIE).iter();
        values.map(|value| value.to_str().unwrap()).collect()
    }

    /// That this is a whole and proper problem of this status and kind.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, kind: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("cache-control"), "no-store");
        assert_eq!(self.header("x-content-type-options"), "nosniff");
        let problem = self.json.as_object().expect("a JSON object");
        let uri = format!("http://localhost:8001/problems/{kind}");
        assert_eq!(problem["type"], uri);
        assert_eq!(problem["status"], status);
        assert_eq!(problem["instance"], self.header("x-request-id"));
        for member in ["title", "detail", "instance"] {
            assert!(!problem[member].as_str().unwrap().is_empty(), "{member}");
        }
        if status == 401 {
            let scheme = match kind {
                "invalid-client" => "Basic ",
                _ => "Bearer ",
            };
            assert!(self.header("www-authenticate").starts_with(scheme));
        }
        if status == 503 {
            assert!(!self.header("retry-after").is_empty());
        }
    }

    /// The identifier of what was made or shown.
    #[track_caller]
    pub(crate) fn id(&self) -> String {
        self.json["id"].as_str().expect("an id").to_owned()
    }

    /// The parameters that a validation problem names.
    pub(crate) fn parameters(&self) -> Vec<&str> {
        let errors = self.json["errors"].as_array().unwrap().iter();
        errors
            .map(|error| error["parameter"].as_str().unwrap())
            .collect()
    }

    /// The pointers of a validation problem.
    pub(crate) fn pointers(&self) -> Vec<&str> {
        let errors = self.json["errors"].as_array().unwrap().iter();
        errors
            .map(|error| error["pointer"].as_str().unwrap())
            .collect()
    }
}
