//! Exchanging a refresh token for its successor and a new access token.

use super::{App, AppError, Origin, tokens::IssuedTokens};
use crate::{
    crypto::jwt::{RefreshClaims, TokenError},
    domain::{
        audit::{Action, Event},
        ids::SessionId,
        session::{Verdict, judge},
    },
    store::sessions::{EndReason, SessionGrant},
};

impl App {
    /// Rotates the session that a refresh token belongs to.
    pub async fn refresh(&self, token: &str, origin: &Origin) -> Result<IssuedTokens, AppError> {
        let claims = self.tokens.read_refresh(token, self.now())?;
        let session = SessionId(claims.sid);
        self.limit_refresh(session).await?;
        match self.store.rotate(session, claims.ctr).await? {
            Some(grant) => {
                self.check_derivation(&grant, &claims, origin).await?;
                let now = grant.rotated_at;
                Ok(self.issue(grant, now)?)
            }
            None => self.refresh_stale(session, &claims, origin).await,
        }
    }

    /// The token was not the one in force: its successor again, or the end of
    /// the session.
    async fn refresh_stale(
        &self,
        session: SessionId,
        claims: &RefreshClaims,
        origin: &Origin,
    ) -> Result<IssuedTokens, AppError> {
        let found = self.store.session(session).await?;
        let (grant, state) = found.ok_or(TokenError::Invalid)?;
        self.check_derivation(&grant, claims, origin).await?;
        match judge(claims.ctr, &state) {
            Verdict::Previous => Ok(self.issue(grant, state.now)?),
            // The session came back to life between the two statements: an
            // administrator enabled its user.
            Verdict::Current => {
                let grant = self.store.rotate(session, claims.ctr).await?;
                let grant = grant.ok_or(TokenError::Invalid)?;
                let now = grant.rotated_at;
                Ok(self.issue(grant, now)?)
            }
            Verdict::Replayed => {
                let event = Event::success(Action::TokenReplay);
                self.end_compromised(&grant, EndReason::Replay, event, origin)
                    .await?;
                Err(TokenError::Invalid.into())
            }
            Verdict::Dead => Err(TokenError::Invalid.into()),
        }
    }

    /// A good signature over a `jti` that does not derive from the session's
    /// secret: whoever made it has our signing key, but not our database.
    async fn check_derivation(
        &self,
        grant: &SessionGrant,
        claims: &RefreshClaims,
        origin: &Origin,
    ) -> Result<(), AppError> {
        if grant.secret.made(&claims.jti, claims.ctr) {
            return Ok(());
        }
        let event = Event::success(Action::TokenForgery);
        self.end_compromised(grant, EndReason::Forgery, event, origin)
            .await?;
        Err(TokenError::Invalid.into())
    }

    async fn end_compromised(
        &self,
        grant: &SessionGrant,
        reason: EndReason,
        event: Event,
        origin: &Origin,
    ) -> Result<(), AppError> {
        let ended = self.store.end_session(grant.id, reason, event, origin);
        if ended.await? {
            self.metrics.sessions_ended(reason, 1);
            tracing::warn!(
                user_id = %grant.user,
                session_id = %grant.id,
                reason = reason.as_str(),
                "session ended: its refresh token was misused"
            );
        }
        Ok(())
    }
}
