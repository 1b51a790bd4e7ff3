//! The kinds of problems, in the order of their status.

use axum::http::StatusCode;

/// A kind of problem. Each has a URI that never changes:
/// `<PUBLIC_URL>/problems/<name>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// The last part of the URI.
    pub(super) name: &'static str,
    /// The same for every occurrence.
    pub(super) title: &'static str,
    /// The status that it is sent with.
    pub(super) status: StatusCode,
}

const fn kind(name: &'static str, title: &'static str, status: StatusCode) -> Kind {
    Kind {
        name,
        title,
        status,
    }
}

pub(super) const BAD_REQUEST: Kind = kind(
    "bad-request",
    "The request cannot be understood",
    StatusCode::BAD_REQUEST,
);
pub(super) const JSON: Kind = kind(
    "malformed-json",
    "The body is not JSON",
    StatusCode::BAD_REQUEST,
);
pub(super) const NO_TOKEN: Kind = kind("no-token", "A token is required", StatusCode::UNAUTHORIZED);
pub(super) const INVALID_TOKEN: Kind = kind(
    "invalid-token",
    "The token is not accepted",
    StatusCode::UNAUTHORIZED,
);
pub(super) const LOGIN_REFUSED: Kind = kind(
    "login-refused",
    "The login was refused",
    StatusCode::UNAUTHORIZED,
);
pub(super) const CROSS_SITE: Kind = kind(
    "cross-site",
    "The request comes from another site",
    StatusCode::FORBIDDEN,
);
pub(super) const REGISTRATION_CLOSED: Kind = kind(
    "registration-closed",
    "Registration is closed",
    StatusCode::FORBIDDEN,
);
pub(super) const WRONG_PASSWORD: Kind = kind(
    "wrong-password",
    "The current password is wrong",
    StatusCode::FORBIDDEN,
);
pub(super) const FORBIDDEN: Kind = kind("forbidden", "This is not allowed", StatusCode::FORBIDDEN);
pub(super) const NOT_FOUND: Kind =
    kind("not-found", "There is nothing here", StatusCode::NOT_FOUND);
pub(super) const METHOD_NOT_ALLOWED: Kind = kind(
    "method-not-allowed",
    "This route does not take this method",
    StatusCode::METHOD_NOT_ALLOWED,
);
pub(super) const TIMEOUT: Kind = kind(
    "timeout",
    "The request took too long to arrive",
    StatusCode::REQUEST_TIMEOUT,
);
pub(super) const TAKEN: Kind = kind("taken", "A name is taken", StatusCode::CONFLICT);
pub(super) const LAST_ADMIN: Kind = kind(
    "last-admin",
    "The last administrator stays",
    StatusCode::CONFLICT,
);
pub(super) const TOO_LARGE: Kind = kind(
    "too-large",
    "The body is too large",
    StatusCode::PAYLOAD_TOO_LARGE,
);
pub(super) const MEDIA_TYPE: Kind = kind(
    "media-type",
    "The body must be JSON",
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
);
pub(super) const VALIDATION: Kind = kind(
    "validation",
    "The request breaks rules",
    StatusCode::UNPROCESSABLE_ENTITY,
);
pub(super) const INTERNAL: Kind = kind(
    "internal",
    "The server made a mistake",
    StatusCode::INTERNAL_SERVER_ERROR,
);
pub(super) const UNAVAILABLE: Kind = kind(
    "unavailable",
    "The database is not available",
    StatusCode::SERVICE_UNAVAILABLE,
);
pub(super) const BUSY: Kind = kind(
    "busy",
    "The server is busy",
    StatusCode::SERVICE_UNAVAILABLE,
);
