//! Turning a session into the pair of tokens that stands for it.

use time::OffsetDateTime;
use uuid::Uuid;

use super::App;
use crate::{
    crypto::jwt::{AccessClaims, RefreshClaims, SigningError},
    domain::ids::{SessionId, UserId},
    store::sessions::SessionGrant,
};

/// The client that this API's own login stands for (`client_id`, RFC 9068,
/// section 2.2).
pub const OWN_CLIENT: &str = "authstack";

/// A pair of tokens, with what is left of each in seconds.
pub struct IssuedTokens {
    /// Whose they are.
    pub user: UserId,
    /// The session that they stand for.
    pub session: SessionId,
    /// The access token.
    pub access: String,
    /// How long it lives.
    pub access_seconds: i64,
    /// The refresh token.
    pub refresh: String,
    /// How long it lives.
    pub refresh_seconds: i64,
}

impl App {
    /// Makes the tokens for a session as it is at `database_now`. The refresh
    /// token follows from the session alone; the access token is new.
    pub(super) fn issue(
        &self,
        grant: SessionGrant,
        database_now: OffsetDateTime,
    ) -> Result<IssuedTokens, SigningError> {
        let session_ends = grant.expires_at.unix_timestamp();
        let now = self.now();
        let refresh = RefreshClaims {
            sid: grant.id.0,
            ctr: grant.counter,
            jti: grant.secret.token_id(grant.counter),
            iat: grant.rotated_at.unix_timestamp(),
            exp: session_ends,
        };
        let refresh = self.tokens.sign_refresh(&refresh, now)?;
        // An access token never outlives its session.
        let left = (grant.expires_at - database_now).whole_seconds().max(0);
        let access_seconds = self.rules.access_ttl.as_secs().min(left);
        let access = self.tokens.sign_access(&AccessClaims {
            iss: self.tokens.issuer().to_owned(),
            aud: self.tokens.audience().to_owned(),
            sub: grant.user.0,
            client_id: OWN_CLIENT.to_owned(),
            jti: Uuid::new_v4().to_string(),
            sid: grant.id.0,
            iat: now,
            exp: now + access_seconds,
            roles: grant.roles,
        })?;
        Ok(IssuedTokens {
            user: grant.user,
            session: grant.id,
            access,
            access_seconds,
            refresh,
            refresh_seconds: left,
        })
    }
}
