//! Telling other services what a token stands for, and revoking it for them.

use super::{App, AppError, Origin};
use crate::{
    crypto::jwt::{AccessClaims, RefreshClaims},
    domain::{
        audit::{Action, Event},
        ids::SessionId,
        session::{Verdict, judge},
    },
    store::{sessions::EndReason, users::User},
};

/// A token that is valid right now: its session lives and its user may log in.
pub enum ActiveToken {
    /// An access token.
    Access(AccessClaims, User),
    /// A refresh token that `/auth/refresh` would take now.
    Refresh(RefreshClaims, User),
}

impl App {
    /// What a token stands for, unless it stands for nothing. Asking changes
    /// nothing: a used-up refresh token is inactive here, and ends its session
    /// only where it is presented to be used.
    pub async fn introspect(&self, token: &str) -> Result<Option<ActiveToken>, AppError> {
        let now = self.now();
        if let Ok(claims) = self.tokens.read_access(token, now) {
            let session = SessionId(claims.sid);
            let user = self.store.session_user(session, claims.sub).await?;
            return Ok(user.map(|user| ActiveToken::Access(claims, user)));
        }
        match self.tokens.read_refresh(token, now) {
            Ok(claims) => self.introspect_refresh(claims).await,
            Err(_) => Ok(None),
        }
    }

    async fn introspect_refresh(
        &self,
        claims: RefreshClaims,
    ) -> Result<Option<ActiveToken>, AppError> {
        let session = SessionId(claims.sid);
        let Some((grant, state)) = self.store.session(session).await? else {
            return Ok(None);
        };
        let made_here = grant.secret.made(&claims.jti, claims.ctr);
        let verdict = judge(claims.ctr, &state);
        if !made_here || !matches!(verdict, Verdict::Current | Verdict::Previous) {
            return Ok(None);
        }
        let user = self.store.session_user(session, grant.user.0).await?;
        Ok(user.map(|user| ActiveToken::Refresh(claims, user)))
    }

    /// Ends the session of a token, of either kind, for a service. That the
    /// token is not valid is no error (RFC 7009, section 2.2).
    pub async fn revoke(&self, client: &str, token: &str, origin: &Origin) -> Result<(), AppError> {
        let Some(session) = self.session_of(token) else {
            return Ok(());
        };
        let event = Event::success(Action::TokenRevoke);
        let event = event.with(serde_json::json!({ "client_id": client }));
        let reason = EndReason::TokenRevoke;
        if self
            .store
            .end_session(session, reason, event, origin)
            .await?
        {
            self.metrics.sessions_ended(reason, 1);
        }
        Ok(())
    }
}
