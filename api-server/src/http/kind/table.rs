//! The table, in the order of the statuses.

use axum::http::StatusCode;

use super::Kind;

/// Makes the constants, and the list that therefore lacks none of them.
macro_rules! kinds {
    ($($constant:ident = $kind:expr;)*) => {
        $(pub(in crate::http) const $constant: Kind = $kind;)*

        /// Every kind.
        pub(in crate::http) const ALL: &[Kind] = &[$($constant),*];
    };
}

kinds! {
    BAD_REQUEST = Kind {
        name: "bad-request",
        title: "The request cannot be understood",
        status: StatusCode::BAD_REQUEST,
        meaning: "A part of the request is malformed, missing or there twice, so that it could mean several things.",
        remedy: "The detail says which part. Mend the request; sending it again unchanged gives the same answer.",
        example: "the cookie access_token was sent more than once",
    };
    JSON = Kind {
        name: "malformed-json",
        title: "The body is not JSON",
        status: StatusCode::BAD_REQUEST,
        meaning: "The body of the request is not one JSON object encoded as UTF-8.",
        remedy: "Send one JSON object, as RFC 8259 defines it, and nothing after it.",
        example: "the body must be a JSON object",
    };
    NO_TOKEN = Kind {
        name: "no-token",
        title: "A token is required",
        status: StatusCode::UNAUTHORIZED,
        meaning: "The request came without a token, and this route needs one.",
        remedy: "Log in, and send the access token as Authorization: Bearer, or let the browser send the cookie from login.",
        example: "send an access token, as a Bearer token or as the cookie from login",
    };
    INVALID_TOKEN = Kind {
        name: "invalid-token",
        title: "The token is not accepted",
        status: StatusCode::UNAUTHORIZED,
        meaning: "The token has expired, is not one of this service's, or belongs to a session that is over: by logout, by a change of password, or because a used-up refresh token was presented again.",
        remedy: "Exchange the refresh token at /auth/refresh for a new pair. Where that is refused too, log in again.",
        example: "the token is not valid, or its session is over",
    };
    LOGIN_REFUSED = Kind {
        name: "login-refused",
        title: "The login was refused",
        status: StatusCode::UNAUTHORIZED,
        meaning: "There is no account with this name or address, or the password is another, or the account is disabled. Which of them is not said, so that nobody learns who has an account.",
        remedy: "Check both and try again. Where a password is forgotten, ask an administrator.",
        example: "the user name or the password is wrong",
    };
    INVALID_CLIENT = Kind {
        name: "invalid-client",
        title: "The client is not known",
        status: StatusCode::UNAUTHORIZED,
        meaning: "This route is for services that the operator has configured. The request has no HTTP Basic credentials, or not those of such a service.",
        remedy: "Send a client's id and secret by HTTP Basic (RFC 6749, section 2.3.1). The operator sets them as OAUTH_CLIENTS.",
        example: "send the id and the secret of a configured client by HTTP Basic",
    };
    CROSS_SITE = Kind {
        name: "cross-site",
        title: "The request comes from another site",
        status: StatusCode::FORBIDDEN,
        meaning: "A browser sent this request from a page of another site. As cookies go along without the user's doing, such a request may change nothing.",
        remedy: "Send it from a page of this service, or with an access token in Authorization. The operator may allow a site's pages by CORS_ORIGINS.",
        example: "a browser sent this request on behalf of another site",
    };
    REGISTRATION_CLOSED = Kind {
        name: "registration-closed",
        title: "Registration is closed",
        status: StatusCode::FORBIDDEN,
        meaning: "Nobody may make an account of their own here.",
        remedy: "Ask an administrator for an account.",
        example: "accounts are made by an administrator",
    };
    WRONG_PASSWORD = Kind {
        name: "wrong-password",
        title: "The current password is wrong",
        status: StatusCode::FORBIDDEN,
        meaning: "This change needs the account's current password, and the one that was sent is another.",
        remedy: "Send the password that the account has now.",
        example: "the current password is wrong",
    };
    FORBIDDEN = Kind {
        name: "forbidden",
        title: "This is not allowed",
        status: StatusCode::FORBIDDEN,
        meaning: "The account is known and lacks the role that this needs.",
        remedy: "Ask an administrator for the role. It counts from the next request on.",
        example: "this account may not do that",
    };
    NOT_FOUND = Kind {
        name: "not-found",
        title: "There is nothing here",
        status: StatusCode::NOT_FOUND,
        meaning: "No route has this path, or there is nothing with this identifier that the account may see.",
        remedy: "Compare the path with /openapi.json, and the identifier with the list that it is from.",
        example: "there is no such thing, or not for you",
    };
    METHOD_NOT_ALLOWED = Kind {
        name: "method-not-allowed",
        title: "This route does not take this method",
        status: StatusCode::METHOD_NOT_ALLOWED,
        meaning: "The path is right; the method is not.",
        remedy: "The header Allow names the methods that the route takes.",
        example: "the header Allow names the methods that it takes",
    };
    TIMEOUT = Kind {
        name: "timeout",
        title: "The request took too long to arrive",
        status: StatusCode::REQUEST_TIMEOUT,
        meaning: "The body did not arrive within 30 seconds, and the connection was closed.",
        remedy: "Send the request again, over a better connection.",
        example: "the body did not arrive within 30 seconds",
    };
    TAKEN = Kind {
        name: "taken",
        title: "A name is taken",
        status: StatusCode::CONFLICT,
        meaning: "Another account has this user name or this e-mail address. Upper and lower case are the same.",
        remedy: "The member errors says which. Choose another, or log in to the account that there is.",
        example: "another account has the same user name or e-mail address",
    };
    LAST_ADMIN = Kind {
        name: "last-admin",
        title: "The last administrator stays",
        status: StatusCode::CONFLICT,
        meaning: "Afterwards nobody who may log in would have the role admin.",
        remedy: "Give the role to another account first.",
        example: "make another account an administrator first",
    };
    TOO_LARGE = Kind {
        name: "too-large",
        title: "The body is too large",
        status: StatusCode::PAYLOAD_TOO_LARGE,
        meaning: "The body of the request has more than 64 KiB.",
        remedy: "Send less. Nothing that this service takes is as large.",
        example: "the body may have at most 64 KiB",
    };
    URI_TOO_LONG = Kind {
        name: "uri-too-long",
        title: "The address is too long",
        status: StatusCode::URI_TOO_LONG,
        meaning: "The proxy in front of this service takes no address of this length.",
        remedy: "Send less in the query string.",
        example: "The request line exceeds 16 KiB.",
    };
    MEDIA_TYPE = Kind {
        name: "media-type",
        title: "The body is of another kind",
        status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
        meaning: "The header Content-Type does not name what this route takes: JSON, or a form at the OAuth endpoints.",
        remedy: "Send Content-Type: application/json, or application/x-www-form-urlencoded at the OAuth endpoints, and a body to match.",
        example: "send the body with Content-Type: application/json",
    };
    VALIDATION = Kind {
        name: "validation",
        title: "The request breaks rules",
        status: StatusCode::UNPROCESSABLE_ENTITY,
        meaning: "The body is JSON, and fields of it are missing, of the wrong type, or break a rule.",
        remedy: "The member errors names every such field by a JSON Pointer (RFC 6901), with what is wrong with it.",
        example: "1 field breaks a rule",
    };
    HEADERS_TOO_LARGE = Kind {
        name: "headers-too-large",
        title: "The headers are too large",
        status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        meaning: "The proxy in front of this service takes no headers of this size.",
        remedy: "Send fewer or shorter headers. In a browser, delete the cookies of this site.",
        example: "A header exceeds 16 KiB, or all of them 64 KiB.",
    };
    RATE_LIMITED = Kind {
        name: "rate-limited",
        title: "Too many attempts",
        status: StatusCode::TOO_MANY_REQUESTS,
        meaning: "Something was tried too often: a password for the same name, passwords or registrations from the same address, or refreshes of the same session. Whether an account exists makes no difference.",
        remedy: "Try again after as many seconds as Retry-After says. Trying earlier is refused and costs nothing more.",
        example: "too many attempts; try again after as many seconds as Retry-After says",
    };
    INTERNAL = Kind {
        name: "internal",
        title: "The server made a mistake",
        status: StatusCode::INTERNAL_SERVER_ERROR,
        meaning: "Something failed that should not. The cause is in the server's log, under the request's id.",
        remedy: "Tell the operator the member instance, which is that id. Trying again may help.",
        example: "the request could not be completed",
    };
    UNAVAILABLE = Kind {
        name: "unavailable",
        title: "The database is not available",
        status: StatusCode::SERVICE_UNAVAILABLE,
        meaning: "The service works, and its database does not answer in time.",
        remedy: "Try again after as many seconds as Retry-After says.",
        example: "the database is not available; try again",
    };
    BUSY = Kind {
        name: "busy",
        title: "The server is busy",
        status: StatusCode::SERVICE_UNAVAILABLE,
        meaning: "More passwords are waiting to be checked than the server gets through in good time.",
        remedy: "Try again after as many seconds as Retry-After says. Everything that checks no password works meanwhile.",
        example: "too many logins at once; try again",
    };
    NO_SERVER = Kind {
        name: "no-server",
        title: "No server is available",
        status: StatusCode::SERVICE_UNAVAILABLE,
        meaning: "The proxy in front of this service reaches none of its servers.",
        remedy: "Try again after as many seconds as Retry-After says.",
        example: "No server can take the request now; try again soon.",
    };
    NO_ANSWER = Kind {
        name: "no-answer",
        title: "The server did not answer in time",
        status: StatusCode::GATEWAY_TIMEOUT,
        meaning: "The proxy in front of this service waited for a server's answer in vain. What was asked for may have been done nevertheless.",
        remedy: "Look whether it was done before trying again.",
        example: "No server answered within a minute.",
    };
}
