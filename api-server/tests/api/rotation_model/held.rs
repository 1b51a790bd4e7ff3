//! What a user holds: the tokens that were given out.

use authstack_api::{
    crypto::{
        jwt::{AccessClaims, RefreshClaims},
        refresh::SessionSecret,
    },
    domain::ids::SessionId,
};
use uuid::Uuid;

use super::Run;
use crate::support::tokens;

/// A refresh token that was given out.
pub(super) struct Issued {
    pub(super) token: String,
    pub(super) claims: RefreshClaims,
    /// How many seconds had been waited by then.
    pub(super) waited: u64,
}

/// A session as its user holds it.
pub(super) struct Held {
    pub(super) id: SessionId,
    pub(super) secret: SessionSecret,
    /// By counter.
    pub(super) issued: Vec<Issued>,
}

impl Run {
    pub(super) fn issued(&self, token: String) -> Issued {
        let server = &self.servers[0];
        let claims = tokens().read_refresh(&token, server.app.now()).unwrap();
        Issued {
            token,
            claims,
            waited: self.waited,
        }
    }

    /// A token as it must be when it is given out again: the same to the
    /// letter, but that its times are what the rows say by now.
    pub(super) fn again(&self, issued: &Issued) -> String {
        let moved = i64::try_from(self.waited - issued.waited).unwrap();
        if moved == 0 {
            return issued.token.clone();
        }
        let claims = RefreshClaims {
            iat: issued.claims.iat - moved,
            exp: issued.claims.exp - moved,
            ..issued.claims.clone()
        };
        tokens()
            .sign_refresh(&claims, self.servers[0].app.now())
            .unwrap()
    }

    /// An access token that is good for as long as its session.
    pub(super) fn access(&self, session: usize) -> String {
        let now = self.servers[0].app.now();
        let claims = AccessClaims {
            iss: "http://localhost:8001".into(),
            aud: "authstack".into(),
            sub: self.user.0,
            client_id: "authstack".into(),
            jti: Uuid::new_v4().to_string(),
            sid: self.held[session].id.0,
            iat: now,
            exp: now + 60,
            roles: Vec::new(),
        };
        tokens().sign_access(&claims).unwrap()
    }
}
