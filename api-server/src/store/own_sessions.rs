//! A user's sessions, as they see them and end them.

use std::net::IpAddr;

use serde_json::json;
use sqlx::{Connection, PgConnection, query, query_scalar};
use time::OffsetDateTime;

use super::{
    Store, StoreError,
    audit::{self, Origin},
    own_account::{Refused, hold},
    sessions::EndReason,
    settle, within,
};
use crate::domain::{
    audit::Event,
    ids::{Caller, SessionId, UserId},
    page::{Cursor, PageRequest, Slice},
};

/// A session that lives, as its user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSummary {
    /// Its identifier.
    pub id: SessionId,
    /// When it began.
    pub created_at: OffsetDateTime,
    /// When it was last refreshed, or else began.
    pub last_used: OffsetDateTime,
    /// When it ends by itself.
    pub expires_at: OffsetDateTime,
    /// Where its login came from.
    pub client_address: Option<IpAddr>,
    /// What the client at its login said it was.
    pub user_agent: Option<String>,
}

impl Store {
    /// The sessions of a user that live, the newest first.
    pub async fn live_sessions(
        &self,
        user: UserId,
        page: PageRequest,
    ) -> Result<Slice<SessionSummary>, StoreError> {
        let mut connection = self.acquire().await?;
        let select = query!(
            "SELECT id, created_at, rotated_at, expires_at,
               host(client_address) AS client_address, user_agent
             FROM authstack.sessions
             WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > now()
               AND ($2::uuid IS NULL OR id < $2)
             ORDER BY id DESC
             LIMIT $3",
            user.0,
            page.cursor.map(Cursor::id),
            page.limit.rows(),
        );
        let answer = within(select.fetch_all(&mut *connection)).await;
        let rows = settle(connection, answer)?.into_iter();
        let rows = rows.map(|row| SessionSummary {
            id: SessionId(row.id),
            created_at: row.created_at,
            last_used: row.rotated_at,
            expires_at: row.expires_at,
            client_address: row.client_address.and_then(|text| text.parse().ok()),
            user_agent: row.user_agent,
        });
        Ok(Slice::cut(rows.collect(), page.limit, |row| row.id.0))
    }

    /// Ends one live session of a user. Whether there was such a session.
    pub async fn end_own_session(
        &self,
        user: UserId,
        session: SessionId,
        event: &Event,
        origin: &Origin,
    ) -> Result<bool, StoreError> {
        let mut connection = self.acquire().await?;
        let update = query!(
            "UPDATE authstack.sessions SET revoked_at = now(), revoked_reason = $3
             WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL AND expires_at > now()",
            session.0,
            user.0,
            EndReason::SessionEnd.as_str(),
        );
        let answer = within(async {
            let mut transaction = connection.begin().await?;
            let ended = update.execute(&mut *transaction).await?.rows_affected() > 0;
            if ended {
                audit::record(&mut transaction, event, origin).await?;
            }
            transaction.commit().await?;
            Ok(ended)
        })
        .await;
        settle(connection, answer)
    }

    /// Ends every session of whoever asks, the one they ask by included, and
    /// counts them.
    pub async fn end_all_own_sessions(
        &self,
        caller: Caller,
        event: Event,
        origin: &Origin,
    ) -> Result<Result<i64, Refused>, StoreError> {
        let mut connection = self.acquire().await?;
        let answer = within(async {
            let mut transaction = connection.begin().await?;
            if let Err(refused) = hold(&mut transaction, caller, None).await? {
                transaction.rollback().await?;
                return Ok(Err(refused));
            }
            let ended = end_sessions(&mut transaction, caller.user, None, EndReason::LogoutAll);
            let ended = ended.await?;
            let event = event.with(json!({ "sessions_ended": ended }));
            audit::record(&mut transaction, &event, origin).await?;
            transaction.commit().await?;
            Ok(Ok(ended))
        })
        .await;
        settle(connection, answer)
    }
}

/// Ends every live session of a user but for one that may stay, and counts
/// them. The caller holds the user's row, so that two of these cannot wait for
/// one another's sessions.
pub(super) async fn end_sessions(
    transaction: &mut PgConnection,
    user: UserId,
    except: Option<SessionId>,
    reason: EndReason,
) -> Result<i64, sqlx::Error> {
    query_scalar!(
        r#"WITH ended AS (
             UPDATE authstack.sessions SET revoked_at = now(), revoked_reason = $3
             WHERE user_id = $1 AND id IS DISTINCT FROM $2
               AND revoked_at IS NULL AND expires_at > now()
             RETURNING id
           )
           SELECT count(*) AS "ended!" FROM ended"#,
        user.0,
        except.map(|session| session.0),
        reason.as_str(),
    )
    .fetch_one(transaction)
    .await
}
