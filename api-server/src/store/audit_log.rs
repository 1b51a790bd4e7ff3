//! Reading the audit log.

use std::net::IpAddr;

use sqlx::{Connection, query};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Store, StoreError, account_list::plan_for_these_values, settle, within};
use crate::domain::{
    audit::Outcome,
    ids::UserId,
    page::{Cursor, PageRequest, Slice},
};

/// Which events are wanted; what is absent asks for nothing.
#[derive(Default)]
pub struct AuditFilter {
    /// Those that were done to this user.
    pub user: Option<UserId>,
    /// Those that this user did.
    pub actor: Option<UserId>,
    /// Those of this kind: a word, as the table has it.
    pub action: Option<String>,
    /// Those that ended like this.
    pub outcome: Option<Outcome>,
    /// Those from this moment on.
    pub since: Option<OffsetDateTime>,
    /// Those before this moment.
    pub until: Option<OffsetDateTime>,
}

/// An event as it was written down.
pub struct AuditEntry {
    /// Its identifier, a UUID v7.
    pub id: Uuid,
    /// When it happened, by the database's clock.
    pub at: OffsetDateTime,
    /// What was done or tried. Newer servers know more words than this one.
    pub action: String,
    /// `success` or `failure`.
    pub result: String,
    /// Who did it.
    pub actor: Option<UserId>,
    /// Whom it was done to.
    pub user: Option<UserId>,
    /// The session that it is about.
    pub session: Option<Uuid>,
    /// Where the request came from.
    pub client_address: Option<IpAddr>,
    /// What the client said it was.
    pub user_agent: Option<String>,
    /// The request.
    pub request_id: Option<String>,
    /// What else there is to say.
    pub detail: Option<serde_json::Value>,
}

impl Store {
    /// A page of the audit log, the newest first.
    pub async fn audit_log(
        &self,
        filter: &AuditFilter,
        page: PageRequest,
    ) -> Result<Slice<AuditEntry>, StoreError> {
        let mut connection = self.acquire().await?;
        // What users did to themselves is under user_id, all else that they
        // did under actor_id: each half has an index.
        let select = query!(
            "SELECT id, at, action, result, actor_id, user_id, session_id,
               host(client_address) AS client_address, user_agent, request_id, detail
             FROM authstack.audit
             WHERE ($1::uuid IS NULL OR id < $1)
               AND ($2::uuid IS NULL OR user_id = $2)
               AND ($3::uuid IS NULL OR (user_id = $3 AND actor_id = $3)
                 OR (actor_id = $3 AND actor_id IS DISTINCT FROM user_id))
               AND ($4::text IS NULL OR action = $4)
               AND ($5::text IS NULL OR result = $5)
               AND ($6::timestamptz IS NULL OR at >= $6)
               AND ($7::timestamptz IS NULL OR at < $7)
             ORDER BY id DESC
             LIMIT $8",
            page.cursor.map(Cursor::id),
            filter.user.map(|user| user.0),
            filter.actor.map(|user| user.0),
            filter.action,
            filter.outcome.map(Outcome::as_str),
            filter.since,
            filter.until,
            page.limit.rows(),
        );
        let answer = within(async {
            let mut transaction = connection.begin().await?;
            plan_for_these_values(&mut transaction).await?;
            let rows = select.fetch_all(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(rows)
        })
        .await;
        let rows = settle(connection, answer)?.into_iter();
        let entries = rows.map(|row| AuditEntry {
            id: row.id,
            at: row.at,
            action: row.action,
            result: row.result,
            actor: row.actor_id.map(UserId),
            user: row.user_id.map(UserId),
            session: row.session_id,
            client_address: row.client_address.and_then(|text| text.parse().ok()),
            user_agent: row.user_agent,
            request_id: row.request_id,
            detail: row.detail,
        });
        Ok(Slice::cut(entries.collect(), page.limit, |entry| entry.id))
    }
}
