//! Seeing and ending one's own sessions.

use super::{App, AppError, Origin};
use crate::{
    domain::{
        audit::{Action, Event},
        ids::{Caller, SessionId, UserId},
        page::{PageRequest, Slice},
    },
    store::{own_sessions::SessionSummary, sessions::EndReason},
};

impl App {
    /// The sessions of a user that live, the newest first.
    pub async fn live_sessions(
        &self,
        user: UserId,
        page: PageRequest,
    ) -> Result<Slice<SessionSummary>, AppError> {
        Ok(self.store.live_sessions(user, page).await?)
    }

    /// Ends one session of the caller's. One that has ended, another user's and
    /// one that never was are the same: not found.
    pub async fn end_own_session(
        &self,
        caller: Caller,
        session: SessionId,
        origin: &Origin,
    ) -> Result<(), AppError> {
        let event = Event::success(Action::SessionEnd);
        let event = event.by_and_to(caller.user).about(session);
        let ended = self
            .store
            .end_own_session(caller.user, session, &event, origin);
        if ended.await? {
            self.metrics.sessions_ended(EndReason::SessionEnd, 1);
            Ok(())
        } else {
            Err(AppError::NotFound)
        }
    }

    /// Ends every session of the caller's, this one included.
    pub async fn logout_all(&self, caller: Caller, origin: &Origin) -> Result<(), AppError> {
        let event = Event::success(Action::LogoutAll).by_caller(caller);
        let ended = self
            .store
            .end_all_own_sessions(caller, event, origin)
            .await?;
        self.metrics.sessions_ended(EndReason::LogoutAll, ended?);
        Ok(())
    }
}
