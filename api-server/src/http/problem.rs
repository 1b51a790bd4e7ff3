//! Problem details (RFC 9457): the body of every error.
//!
//! An error travels up as a response without a body and with a [`Problem`]
//! among its extensions; the edge, which knows the request's id, writes the
//! body. An error that the framework made has no `Problem`; the edge makes one
//! from its status.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::kind::{self, Kind};

/// What went wrong this time.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) kind: Kind,
    pub(super) detail: String,
    pub(super) errors: Vec<FieldProblem>,
    /// The code of RFC 6749, section 5.2, at the OAuth endpoints.
    pub(super) oauth: Option<&'static str>,
}

impl Problem {
    /// A problem about nothing in particular.
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            oauth: None,
        }
    }

    /// A problem for an error that the framework made.
    pub(super) fn from_status(status: StatusCode) -> Self {
        let (kind, detail) = match status {
            StatusCode::NOT_FOUND => (
                kind::NOT_FOUND,
                "no route has this path; see /openapi.json for those that there are",
            ),
            StatusCode::METHOD_NOT_ALLOWED => (
                kind::METHOD_NOT_ALLOWED,
                "the header Allow names the methods that it takes",
            ),
            _ if status.is_client_error() => (kind::BAD_REQUEST, "the request is malformed"),
            _ => (kind::INTERNAL, "the request could not be completed"),
        };
        Self::new(Kind { status, ..kind }, detail)
    }

    /// A problem of this kind as it may be sent, for documentation.
    pub(super) fn example(kind: Kind) -> Self {
        let errors = match kind {
            kind::VALIDATION => vec![FieldProblem::at(
                "/email".to_owned(),
                "must be an e-mail address, such as name@example.com",
            )],
            kind::TAKEN => vec![FieldProblem::at("/username".to_owned(), "is already taken")],
            _ => Vec::new(),
        };
        Self {
            errors,
            oauth: (kind == kind::INVALID_CLIENT).then_some("invalid_client"),
            ..Self::new(kind, kind.example)
        }
    }
}

/// A part of the request that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct FieldProblem {
    /// Where it is in the body, as a JSON Pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/email")]
    pub(super) pointer: Option<String>,
    /// Or which parameter of the query it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "limit")]
    pub(super) parameter: Option<&'static str>,
    /// What is wrong with it.
    #[schema(example = "must be an e-mail address, such as name@example.com")]
    pub(super) detail: String,
}

impl FieldProblem {
    /// Something in the body.
    pub(super) fn at(pointer: String, detail: impl Into<String>) -> Self {
        Self {
            pointer: Some(pointer),
            parameter: None,
            detail: detail.into(),
        }
    }

    /// A parameter of the query.
    pub(super) fn parameter(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            pointer: None,
            parameter: Some(name),
            detail: detail.into(),
        }
    }
}

/// The body of every error: problem details, RFC 9457.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody<'a> {
    /// A URI that names the kind of problem and never changes.
    #[serde(rename = "type")]
    #[schema(example = "http://localhost:8001/problems/validation", format = "uri")]
    kind: String,
    /// The kind of problem in words.
    #[schema(example = "The request breaks rules")]
    title: &'a str,
    /// The status code, again.
    #[schema(example = 422)]
    status: u16,
    /// What went wrong this time.
    #[schema(example = "1 field breaks a rule")]
    detail: &'a str,
    /// The request's id, as in `x-request-id` and the server's log.
    #[schema(example = "0198c5a4-7d3e-7c11-9d33-7b6a5d1f2a10")]
    instance: &'a str,
    /// For validation: each part of the request that breaks a rule.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [FieldProblem],
    /// At the OAuth endpoints: the error's code (RFC 6749, section 5.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "invalid_client")]
    error: Option<&'a str>,
    /// At the OAuth endpoints: `detail`, again.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_description: Option<&'a str>,
}

impl<'a> ProblemBody<'a> {
    /// A request's id, for documentation.
    pub(super) const EXAMPLE_INSTANCE: &'static str = "0198c5a4-7d3e-7c11-9d33-7b6a5d1f2a10";

    /// The body for a problem of the request `instance`, at the service that
    /// clients know as `origin`.
    pub(super) fn new(problem: &'a Problem, origin: &str, instance: &'a str) -> Self {
        Self {
            kind: format!("{origin}/problems/{}", problem.kind.name),
            title: problem.kind.title,
            status: problem.kind.status.as_u16(),
            detail: &problem.detail,
            instance,
            errors: &problem.errors,
            error: problem.oauth,
            error_description: problem.oauth.map(|_| &*problem.detail),
        }
    }
}

/// Writes the body of an error; other responses pass through.
pub(super) fn render(response: Response, origin: &str, request_id: &str) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    // An error with a body that is not a problem is meant: the status page,
    // which existing clients read.
    let made_here = response.extensions().get::<Problem>().cloned();
    if made_here.is_none() && response.extensions().get::<KeepBody>().is_some() {
        return response;
    }
    let problem = made_here.unwrap_or_else(|| Problem::from_status(status));
    let body = ProblemBody::new(&problem, origin, request_id);
    // A struct of strings always serialises.
    let json = serde_json::to_vec(&body).unwrap_or_default();
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    Response::from_parts(parts, Body::from(json))
}

/// Marks an error response whose body is not a problem on purpose.
#[derive(Clone, Copy)]
pub(super) struct KeepBody;
