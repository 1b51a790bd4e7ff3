//! Looking accounts up, removing them and ending their sessions, on behalf of
//! an administrator; and reading the audit log.

use super::{App, AppError, Origin};
use crate::{
    domain::{
        account::Account,
        audit::{Action, Event},
        ids::UserId,
        page::{PageRequest, Slice},
    },
    store::{
        account_list::AccountFilter,
        administration::Refusal,
        audit_log::{AuditEntry, AuditFilter},
        sessions::EndReason,
    },
};

impl App {
    /// The accounts that a filter admits, the oldest first.
    pub async fn accounts(
        &self,
        filter: &AccountFilter,
        page: PageRequest,
    ) -> Result<Slice<Account>, AppError> {
        Ok(self.store.accounts(filter, page).await?)
    }

    /// One account.
    pub async fn account(&self, user: UserId) -> Result<Account, AppError> {
        let found = self.store.account(user).await?;
        found.ok_or(AppError::NotFound)
    }

    /// The events that a filter admits, the newest first.
    pub async fn audit_log(
        &self,
        filter: &AuditFilter,
        page: PageRequest,
    ) -> Result<Slice<AuditEntry>, AppError> {
        Ok(self.store.audit_log(filter, page).await?)
    }

    /// Removes an account and all its sessions. The audit log keeps the
    /// identifier.
    pub async fn remove_account(
        &self,
        actor: UserId,
        user: UserId,
        origin: &Origin,
    ) -> Result<(), AppError> {
        let removed = self.store.remove_account(actor, user, origin).await?;
        self.unless_refused(
            removed,
            Action::AdminUserDelete,
            (actor, Some(user)),
            origin,
        )
        .await
    }

    /// Ends every session of a user.
    pub async fn log_out_user(
        &self,
        actor: UserId,
        user: UserId,
        origin: &Origin,
    ) -> Result<(), AppError> {
        let ended = self.store.end_sessions_of(actor, user, origin).await?;
        let ended = self
            .unless_refused(ended, Action::AdminUserLogout, (actor, Some(user)), origin)
            .await?;
        self.metrics.sessions_ended(EndReason::Admin, ended);
        Ok(())
    }

    /// What was done, or the error for its refusal, which is written down where
    /// it matters.
    pub(super) async fn unless_refused<T>(
        &self,
        answer: Result<T, Refusal>,
        action: Action,
        (actor, user): (UserId, Option<UserId>),
        origin: &Origin,
    ) -> Result<T, AppError> {
        let refusal = match answer {
            Ok(done) => return Ok(done),
            Err(refusal) => refusal,
        };
        let reason = match refusal {
            Refusal::NotAdmin => Some("not_admin"),
            Refusal::LastAdmin => Some("last_admin"),
            Refusal::NotFound | Refusal::Taken(_) => None,
        };
        if let Some(reason) = reason {
            let event = Event {
                user,
                ..Event::failure(action, reason).by(actor)
            };
            self.store.record(&event, origin).await?;
        }
        Err(match refusal {
            Refusal::NotAdmin => AppError::Forbidden,
            Refusal::NotFound => AppError::NotFound,
            Refusal::LastAdmin => AppError::LastAdmin,
            Refusal::Taken(taken) => AppError::Taken(taken),
        })
    }
}
