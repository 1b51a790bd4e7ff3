//! The audit log. An event is written in the transaction of what it is about:
//! neither is there without the other.

use std::net::IpAddr;

use sqlx::{PgConnection, query};
use uuid::Uuid;

use super::{Store, StoreError, settle, within};
use crate::domain::audit::Event;

/// Where a request came from, as far as the audit log and the session's record
/// go.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The client's address.
    pub address: Option<IpAddr>,
    /// What the client says it is.
    pub user_agent: Option<String>,
    /// The request, as in its answer and its log line.
    pub request_id: Option<String>,
}

/// Writes an event, as part of whatever transaction the connection is in.
pub(super) async fn record(
    connection: &mut PgConnection,
    event: &Event,
    origin: &Origin,
) -> Result<(), sqlx::Error> {
    query!(
        "INSERT INTO authstack.audit
           (id, action, result, actor_id, user_id, session_id,
            client_address, user_agent, request_id, detail)
         VALUES ($1, $2, $3, $4, $5, $6, $7::text::inet, $8, $9, $10)",
        Uuid::now_v7(),
        event.action.as_str(),
        event.outcome.as_str(),
        event.actor.map(|id| id.0),
        event.user.map(|id| id.0),
        event.session.map(|id| id.0),
        origin.address.map(|address| address.to_string()),
        origin.user_agent,
        origin.request_id,
        event.detail,
    )
    .execute(connection)
    .await?;
    Ok(())
}

impl Store {
    /// Writes an event that stands alone: something that was refused, and
    /// changed nothing.
    pub async fn record(&self, event: &Event, origin: &Origin) -> Result<(), StoreError> {
        let mut connection = self.acquire().await?;
        let answer = within(record(&mut connection, event, origin)).await;
        settle(connection, answer)
    }
}
