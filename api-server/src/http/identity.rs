//! Who sends a request, as an argument of the handler: its signature is its
//! policy.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};

use super::{
    ApiError,
    cookies::{self, Cookies},
    cross_site,
    edge::Seen,
};
use crate::{
    app::{App, AppError},
    crypto::jwt::TokenError,
    domain::{
        ids::{Caller, SessionId, UserId},
        role::is_admin,
    },
    store::users::User,
};

/// A user whose session lives, as the database has it now.
pub(super) struct Identity {
    /// The user.
    pub(super) user: User,
    /// The session that the request belongs to.
    pub(super) session: SessionId,
}

impl Identity {
    /// Who it is, for use cases.
    pub(super) fn caller(&self) -> Caller {
        Caller {
            user: self.user.id,
            session: self.session,
        }
    }
}

impl FromRequestParts<App> for Identity {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let names = Cookies::for_url(&app.public_url);
        let token = if let Some(token) = bearer(&parts.headers)? {
            token
        } else {
            let token = cookies::read(&parts.headers, names.access)?;
            let token = token.ok_or(ApiError::NoToken)?;
            if !parts.method.is_safe() {
                cross_site::check(&parts.headers, app)?;
            }
            token
        };
        let claims = app.tokens.read_access(token, app.now())?;
        let session = SessionId(claims.sid);
        let user = app.store.session_user(session, claims.sub).await?;
        let user = user.ok_or(TokenError::Invalid)?;
        if let Some(seen) = parts.extensions.get::<Seen>() {
            seen.user(user.id);
        }
        Ok(Self { user, session })
    }
}

/// An administrator: a user who has the role `admin` in the database now,
/// whatever their token says.
pub(super) struct Admin(pub(super) UserId);

impl FromRequestParts<App> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Identity { user, .. } = Identity::from_request_parts(parts, app).await?;
        if is_admin(&user.roles) {
            Ok(Self(user.id))
        } else {
            // The log line of the request has the user, the route and 403.
            Err(AppError::Forbidden.into())
        }
    }
}

/// The Bearer token (RFC 6750, section 2.1). With `Authorization` of any kind,
/// cookies count for nothing: one that is not a Bearer token is an error.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    match (token, values.next()) {
        (Some(token), None) => Ok(Some(token)),
        _ => Err(TokenError::Invalid.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_tokens_are_found_and_other_schemes_refused() {
        let with = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            bearer(&headers).map(|token| token.map(str::to_owned)).ok()
        };
        assert_eq!(with(&[]), Some(None));
        assert_eq!(with(&["Bearer x.y.z"]), Some(Some("x.y.z".into())));
        assert_eq!(with(&["bearer  x.y.z"]), Some(Some("x.y.z".into())));
        assert_eq!(with(&["Basic eDp5"]), None);
        assert_eq!(with(&["Bearer"]), None);
        assert_eq!(with(&["Bearer x", "Bearer x"]), None);
    }
}
