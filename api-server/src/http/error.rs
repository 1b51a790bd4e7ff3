//! Every error that a handler can end with, and the one place that says what a
//! client sees of it. The cause, which may be internal, goes to the log.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};

use super::{
    kind::{self, Kind},
    problem::{FieldProblem, Problem},
};
use crate::{
    app::{AppError, Invalid},
    crypto::{hasher::HashError, jwt::TokenError},
    store::{StoreError, users::Taken},
};

/// Why a request has no good answer.
#[derive(Debug)]
pub enum ApiError {
    /// The use case failed.
    App(AppError),
    /// No route has this path.
    NotFound,
    /// The body is not JSON at all.
    Json,
    /// The body is JSON of another shape: where, and what is wrong there.
    Shape {
        /// A JSON Pointer.
        pointer: String,
        /// What is wrong.
        detail: &'static str,
    },
    /// Parameters of the query break rules.
    Parameters(Vec<Invalid>),
    /// A parameter of a form is missing or there twice.
    BadParameter(String),
    /// The body is not said to be of this type, which is the one to send.
    MediaType(&'static str),
    /// The body is too long.
    TooLarge,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The body broke off.
    BodyBroken,
    /// A cookie of this name was sent more than once.
    CookieTwice(&'static str),
    /// A browser sent this request on behalf of another site.
    CrossSite,
    /// There is no token.
    NoToken,
    /// The request is for configured services, and comes from none.
    InvalidClient,
    /// A handler panicked.
    Panic,
}

/// What the log should say about an error, beside its status.
#[derive(Clone, Debug)]
pub(super) struct Cause(pub(super) String);

impl From<AppError> for ApiError {
    fn from(error: AppError) -> Self {
        Self::App(error)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::App(error.into())
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        Self::App(error.into())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (problem, header) = describe(&self);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = problem.kind.status;
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        if let Some(cause) = cause(&self) {
            response.extensions_mut().insert(Cause(cause));
        }
        response.extensions_mut().insert(problem);
        response
    }
}

type Header = Option<(HeaderName, HeaderValue)>;

fn describe(error: &ApiError) -> (Problem, Header) {
    match error {
        ApiError::App(error) => describe_app(error),
        ApiError::NotFound => plain(
            kind::NOT_FOUND,
            "no route has this path; see /openapi.json for those that there are",
        ),
        ApiError::Json => plain(kind::JSON, "the body must be a JSON object"),
        ApiError::Shape { pointer, detail } => {
            validation(vec![FieldProblem::at(pointer.clone(), *detail)])
        }
        ApiError::Parameters(wrong) => validation(
            wrong
                .iter()
                .map(|wrong| FieldProblem::parameter(wrong.field, &*wrong.reason))
                .collect(),
        ),
        ApiError::BadParameter(detail) => (Problem::new(kind::BAD_REQUEST, detail), None),
        ApiError::MediaType(expected) => {
            let detail = format!("send the body with Content-Type: {expected}");
            (Problem::new(kind::MEDIA_TYPE, detail), None)
        }
        ApiError::TooLarge => with(
            kind::TOO_LARGE,
            "the body may have at most 64 KiB",
            header::CONNECTION,
            "close",
        ),
        ApiError::BodyTimeout => with(
            kind::TIMEOUT,
            "the body did not arrive within 30 seconds",
            header::CONNECTION,
            "close",
        ),
        ApiError::BodyBroken => with(
            kind::BAD_REQUEST,
            "the body broke off",
            header::CONNECTION,
            "close",
        ),
        ApiError::CookieTwice(name) => {
            let detail = format!("the cookie {name} was sent more than once");
            (Problem::new(kind::BAD_REQUEST, detail), None)
        }
        ApiError::CrossSite => plain(
            kind::CROSS_SITE,
            "a browser sent this request on behalf of another site",
        ),
        ApiError::NoToken => challenge(
            kind::NO_TOKEN,
            "send an access token, as a Bearer token or as the cookie from login",
            r#"Bearer realm="authstack""#,
        ),
        ApiError::InvalidClient => challenge(
            kind::INVALID_CLIENT,
            "send the id and the secret of a configured client by HTTP Basic",
            r#"Basic realm="authstack""#,
        ),
        ApiError::Panic => plain(kind::INTERNAL, "the request could not be completed"),
    }
}

fn describe_app(error: &AppError) -> (Problem, Header) {
    match error {
        AppError::Invalid(fields) => validation(fields.iter().map(field_problem).collect()),
        AppError::Taken(taken) => (conflict(*taken), None),
        AppError::RegistrationClosed => plain(
            kind::REGISTRATION_CLOSED,
            "accounts are made by an administrator",
        ),
        AppError::WrongPassword => plain(kind::WRONG_PASSWORD, "the current password is wrong"),
        AppError::LastAdmin => plain(
            kind::LAST_ADMIN,
            "make another account an administrator first",
        ),
        AppError::Forbidden => plain(kind::FORBIDDEN, "this account may not do that"),
        AppError::NotFound => plain(kind::NOT_FOUND, "there is no such thing, or not for you"),
        AppError::LoginRefused => challenge(
            kind::LOGIN_REFUSED,
            "the user name or the password is wrong",
            r#"Bearer realm="authstack""#,
        ),
        AppError::Token(error) => {
            let detail = match error {
                TokenError::Invalid => "the token is not valid, or its session is over",
                TokenError::Expired => "the token has expired",
            };
            challenge(
                kind::INVALID_TOKEN,
                detail,
                r#"Bearer realm="authstack", error="invalid_token""#,
            )
        }
        AppError::RateLimited { wait, .. } => {
            let (problem, _) = plain(
                kind::RATE_LIMITED,
                "too many attempts; try again after as many seconds as Retry-After says",
            );
            let seconds = HeaderValue::from(whole_seconds(*wait));
            (problem, Some((header::RETRY_AFTER, seconds)))
        }
        AppError::Store(StoreError::Unavailable(_) | StoreError::TimedOut) => with(
            kind::UNAVAILABLE,
            "the database is not available; try again",
            header::RETRY_AFTER,
            "1",
        ),
        AppError::Hash(HashError::Busy) => with(
            kind::BUSY,
            "too many logins at once; try again",
            header::RETRY_AFTER,
            "1",
        ),
        AppError::Store(StoreError::Internal(_))
        | AppError::Hash(HashError::Failed)
        | AppError::Signing(_) => plain(kind::INTERNAL, "the request could not be completed"),
    }
}

/// Rounded up, so that whoever waits that long has waited long enough.
fn whole_seconds(wait: Duration) -> u64 {
    let begun = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(begun).max(1)
}

fn plain(kind: Kind, detail: &str) -> (Problem, Header) {
    (Problem::new(kind, detail), None)
}

fn with(kind: Kind, detail: &str, name: HeaderName, value: &'static str) -> (Problem, Header) {
    let (problem, _) = plain(kind, detail);
    (problem, Some((name, HeaderValue::from_static(value))))
}

fn challenge(kind: Kind, detail: &str, value: &'static str) -> (Problem, Header) {
    with(kind, detail, header::WWW_AUTHENTICATE, value)
}

fn validation(errors: Vec<FieldProblem>) -> (Problem, Header) {
    let detail = match errors.len() {
        1 => "1 field breaks a rule".to_owned(),
        n => format!("{n} fields break rules"),
    };
    let problem = Problem {
        errors,
        ..Problem::new(kind::VALIDATION, detail)
    };
    (problem, None)
}

fn field_problem(invalid: &Invalid) -> FieldProblem {
    FieldProblem::at(format!("/{}", invalid.field), &*invalid.reason)
}

fn conflict(taken: Taken) -> Problem {
    let fields = [("username", taken.username), ("email", taken.email)];
    let errors: Vec<_> = fields
        .into_iter()
        .filter(|(_, taken)| *taken)
        .map(|(field, _)| FieldProblem::at(format!("/{field}"), "is already taken"))
        .collect();
    let detail = "another account has the same user name or e-mail address";
    Problem {
        errors,
        ..Problem::new(kind::TAKEN, detail)
    }
}

/// What errors that somebody should look at say, and which limit refused.
fn cause(error: &ApiError) -> Option<String> {
    match error {
        ApiError::App(
            error @ (AppError::Store(_)
            | AppError::Hash(_)
            | AppError::Signing(_)
            | AppError::RateLimited { .. }),
        ) => Some(error.to_string()),
        _ => None,
    }
}
