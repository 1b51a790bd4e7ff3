//! Ending a session.

use super::{App, AppError, Origin};
use crate::{
    domain::{
        audit::{Action, Event},
        ids::SessionId,
    },
    store::sessions::EndReason,
};

impl App {
    /// Ends the session of every valid token among these, of either kind.
    /// That none is valid is no error: the session is over all the same.
    pub async fn logout(&self, tokens: &[&str], origin: &Origin) -> Result<(), AppError> {
        let mut sessions: Vec<SessionId> = Vec::new();
        for token in tokens {
            if let Some(session) = self.session_of(token)
                && !sessions.contains(&session)
            {
                sessions.push(session);
            }
        }
        for session in sessions {
            let event = Event::success(Action::Logout);
            let ended = self
                .store
                .end_session(session, EndReason::Logout, event, origin);
            if ended.await? {
                self.metrics.sessions_ended(EndReason::Logout, 1);
            }
        }
        Ok(())
    }

    /// The session of a valid token, of either kind.
    pub(super) fn session_of(&self, token: &str) -> Option<SessionId> {
        let now = self.now();
        let access = self.tokens.read_access(token, now).map(|claims| claims.sid);
        let refresh = || {
            self.tokens
                .read_refresh(token, now)
                .map(|claims| claims.sid)
        };
        access.or_else(|_| refresh()).ok().map(SessionId)
    }
}
