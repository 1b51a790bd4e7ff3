//! Everything that is held about a user, for themselves. It is read in pieces,
//! so that neither the memory nor the time of one statement grows with it.

use std::net::IpAddr;

use sqlx::{Connection, query, query_as, query_scalar};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Store, StoreError,
    audit::{self, Origin},
    audit_log::{AuditEntry, EventRow},
    settle, within,
};
use crate::domain::{
    audit::Event,
    ids::{SessionId, UserId},
};

/// How many rows are read at once.
pub const PIECE: u16 = 500;

/// A session as it is stored, less what its tokens derive from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSession {
    /// Its identifier.
    pub id: SessionId,
    /// When it began.
    pub created_at: OffsetDateTime,
    /// When it was last refreshed, or else began.
    pub last_used: OffsetDateTime,
    /// When it ends, or would have ended, by itself.
    pub expires_at: OffsetDateTime,
    /// When it was ended before that.
    pub ended_at: Option<OffsetDateTime>,
    /// Why it was.
    pub end_reason: Option<String>,
    /// Where its login came from.
    pub client_address: Option<IpAddr>,
    /// What the client at its login said it was.
    pub user_agent: Option<String>,
}

/// What an export begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportStart {
    /// The database's time: what happens later is not part of it.
    pub at: OffsetDateTime,
    /// Which services the account was brought from.
    pub imported_from: Vec<ImportedFrom>,
}

/// That an account was brought from another service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedFrom {
    /// What the service was called.
    pub source: String,
    /// The account's identifier there.
    pub id: String,
    /// When it was brought here.
    pub at: OffsetDateTime,
}

impl Store {
    /// Writes down that a user's export begins, and reads what it begins with.
    pub async fn begin_export(
        &self,
        user: UserId,
        event: &Event,
        origin: &Origin,
    ) -> Result<ExportStart, StoreError> {
        let mut connection = self.acquire().await?;
        let answer = within(async {
            let mut transaction = connection.begin().await?;
            audit::record(&mut transaction, event, origin).await?;
            // The event's own time: both are when the transaction began.
            let at = query_scalar!(r#"SELECT now() AS "now!""#)
                .fetch_one(&mut *transaction)
                .await?;
            let imported_from = query_as!(
                ImportedFrom,
                r#"SELECT source, imported_id AS id, imported_at AS at
                   FROM authstack.imported_users
                   WHERE user_id = $1 ORDER BY imported_at, source LIMIT 100"#,
                user.0,
            )
            .fetch_all(&mut *transaction)
            .await?;
            transaction.commit().await?;
            Ok(ExportStart { at, imported_from })
        })
        .await;
        settle(connection, answer)
    }

    /// The next [`PIECE`] sessions of a user after this one, over or not.
    pub async fn stored_sessions(
        &self,
        user: UserId,
        after: Option<Uuid>,
    ) -> Result<Vec<StoredSession>, StoreError> {
        let mut connection = self.acquire().await?;
        let select = query!(
            "SELECT id, created_at, rotated_at, expires_at, revoked_at, revoked_reason,
               host(client_address) AS client_address, user_agent
             FROM authstack.sessions
             WHERE user_id = $1 AND ($2::uuid IS NULL OR id > $2)
             ORDER BY id
             LIMIT $3",
            user.0,
            after,
            i64::from(PIECE),
        );
        let answer = within(select.fetch_all(&mut *connection)).await;
        let rows = settle(connection, answer)?.into_iter();
        let rows = rows.map(|row| StoredSession {
            id: SessionId(row.id),
            created_at: row.created_at,
            last_used: row.rotated_at,
            expires_at: row.expires_at,
            ended_at: row.revoked_at,
            end_reason: row.revoked_reason,
            client_address: row.client_address.and_then(|text| text.parse().ok()),
            user_agent: row.user_agent,
        });
        Ok(rows.collect())
    }

    /// The next [`PIECE`] events by or about a user after this one, until then.
    /// Where another person did it, their address, device and request are
    /// theirs, and left out.
    pub async fn stored_events(
        &self,
        user: UserId,
        after: Option<Uuid>,
        until: OffsetDateTime,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let mut connection = self.acquire().await?;
        // Each half has an index in the order of the whole.
        let select = query_as!(
            EventRow,
            r#"SELECT id AS "id!", at AS "at!", action AS "action!", result AS "result!",
                 actor_id, user_id, session_id, detail,
                 CASE WHEN own THEN host(client_address) END AS client_address,
                 CASE WHEN own THEN user_agent END AS user_agent,
                 CASE WHEN own THEN request_id END AS request_id
               FROM (
                 (SELECT *, actor_id IS NULL OR actor_id = $1 AS own FROM authstack.audit
                  WHERE user_id = $1 AND ($2::uuid IS NULL OR id > $2) AND at <= $3
                  ORDER BY id LIMIT $4)
                 UNION ALL
                 (SELECT *, true AS own FROM authstack.audit
                  WHERE actor_id = $1 AND actor_id IS DISTINCT FROM user_id
                    AND ($2::uuid IS NULL OR id > $2) AND at <= $3
                  ORDER BY id LIMIT $4)
               ) AS events
               ORDER BY id
               LIMIT $4"#,
            user.0,
            after,
            until,
            i64::from(PIECE),
        );
        let answer = within(select.fetch_all(&mut *connection)).await;
        let rows = settle(connection, answer)?.into_iter();
        let rows = rows.map(AuditEntry::from);
        Ok(rows.collect())
    }
}
