//! Taking everything that is held about oneself.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{App, AppError, Origin};
use crate::{
    domain::{
        audit::{Action, Event},
        ids::{Caller, UserId},
    },
    store::{
        audit_log::AuditEntry,
        export::{ExportStart, PIECE, StoredSession},
    },
};

/// A piece of an export.
pub struct Piece<T> {
    /// What is in it.
    pub rows: Vec<T>,
    /// After what the next piece begins, if there may be one.
    pub next: Option<Uuid>,
}

impl<T> Piece<T> {
    fn of(rows: Vec<T>, id: impl Fn(&T) -> Uuid) -> Self {
        let full = rows.len() == usize::from(PIECE);
        let next = rows.last().filter(|_| full).map(id);
        Self { rows, next }
    }
}

impl App {
    /// Begins an export of the caller's account. It shows things as they were
    /// at the time that this tells.
    pub async fn begin_export(
        &self,
        caller: Caller,
        origin: &Origin,
    ) -> Result<ExportStart, AppError> {
        self.limit_export(caller.user).await?;
        let event = Event::success(Action::AccountExport).by_caller(caller);
        Ok(self.store.begin_export(caller.user, &event, origin).await?)
    }

    /// A user's sessions that are stored, over or not.
    pub async fn exported_sessions(
        &self,
        user: UserId,
        after: Option<Uuid>,
    ) -> Result<Piece<StoredSession>, AppError> {
        let rows = self.store.stored_sessions(user, after).await?;
        Ok(Piece::of(rows, |row| row.id.0))
    }

    /// What is written down of what a user did and of what was done to them.
    pub async fn exported_events(
        &self,
        user: UserId,
        after: Option<Uuid>,
        until: OffsetDateTime,
    ) -> Result<Piece<AuditEntry>, AppError> {
        let rows = self.store.stored_events(user, after, until).await?;
        Ok(Piece::of(rows, |row| row.id))
    }
}
