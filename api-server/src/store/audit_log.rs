//! Reading the audit log.

use std::net::IpAddr;

use sqlx::{Connection, query_as};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{Store, StoreError, account_list::plan_for_these_values, settle, within};
use crate::domain::{
    audit::{Action, Outcome},
    ids::{SessionId, UserId},
    page::{Cursor, PageRequest, Slice},
};

/// Which events are wanted; what is absent asks for nothing.
#[derive(Default)]
pub struct AuditFilter {
    /// Those that were done to this user.
    pub user: Option<UserId>,
    /// Those that this user did.
    pub actor: Option<UserId>,
    /// Those of this kind.
    pub action: Option<Action>,
    /// Those that ended like this.
    pub outcome: Option<Outcome>,
    /// Those from this moment on.
    pub since: Option<OffsetDateTime>,
    /// Those before this moment.
    pub until: Option<OffsetDateTime>,
}

/// An event as it was written down.
#[derive(Clone, Debug, PartialEq)]
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
    pub session: Option<SessionId>,
    /// Where the request came from.
    pub client_address: Option<IpAddr>,
    /// What the client said it was.
    pub user_agent: Option<String>,
    /// The request.
    pub request_id: Option<String>,
    /// What else there is to say.
    pub detail: Option<serde_json::Value>,
}

/// A row that every query of events returns in the same shape.
pub(super) struct EventRow {
    pub(super) id: Uuid,
    pub(super) at: OffsetDateTime,
    pub(super) action: String,
    pub(super) result: String,
    pub(super) actor_id: Option<Uuid>,
    pub(super) user_id: Option<Uuid>,
    pub(super) session_id: Option<Uuid>,
    pub(super) client_address: Option<String>,
    pub(super) user_agent: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) detail: Option<serde_json::Value>,
}

impl From<EventRow> for AuditEntry {
    fn from(row: EventRow) -> Self {
        Self {
            id: row.id,
            at: row.at,
            action: row.action,
            result: row.result,
            actor: row.actor_id.map(UserId),
            user: row.user_id.map(UserId),
            session: row.session_id.map(SessionId),
            client_address: row.client_address.and_then(|text| text.parse().ok()),
            user_agent: row.user_agent,
            request_id: row.request_id,
            detail: row.detail,
        }
    }
}

/// By how much the clocks of servers, which make the identifiers, and the
/// database's, which says when something happened, may at most be apart.
const CLOCKS_APART: Duration = Duration::DAY;

impl AuditFilter {
    /// Between which identifiers the wanted events are at any rate, as those
    /// grow with time (UUID v7, RFC 9562, section 5.7). The list is in their
    /// order, so that it need not be read from its end to find a month in its
    /// middle.
    fn id_range(&self, cursor: Option<Cursor>) -> (Option<Uuid>, Option<Uuid>) {
        let from = self.since.and_then(|since| first_id(since, -CLOCKS_APART));
        let before = self.until.and_then(|until| first_id(until, CLOCKS_APART));
        let before = [before, cursor.map(Cursor::id)].into_iter().flatten().min();
        (from, before)
    }
}

/// The smallest identifier of a moment that is `away` from this one; none
/// before 1970 and beyond all calendars.
fn first_id(moment: OffsetDateTime, away: Duration) -> Option<Uuid> {
    let moment = moment.checked_add(away)?;
    let milliseconds = u128::try_from(moment.unix_timestamp_nanos()).ok()? / 1_000_000;
    Some(Uuid::from_u128(milliseconds << 80))
}

impl Store {
    /// A page of the audit log, the newest first.
    pub async fn audit_log(
        &self,
        filter: &AuditFilter,
        page: PageRequest,
    ) -> Result<Slice<AuditEntry>, StoreError> {
        let mut connection = self.acquire().await?;
        let (from, before) = filter.id_range(page.cursor);
        // What users did to themselves is under user_id, all else that they
        // did under actor_id: each half has an index.
        let select = query_as!(
            EventRow,
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
               AND ($9::uuid IS NULL OR id >= $9)
             ORDER BY id DESC
             LIMIT $8",
            before,
            filter.user.map(|user| user.0),
            filter.actor.map(|user| user.0),
            filter.action.map(Action::as_str),
            filter.outcome.map(Outcome::as_str),
            filter.since,
            filter.until,
            page.limit.rows(),
            from,
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
        let entries = rows.map(AuditEntry::from);
        Ok(Slice::cut(entries.collect(), page.limit, |entry| entry.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap()
    }

    fn made_at(seconds: u64) -> Uuid {
        let moment = uuid::Timestamp::from_unix(uuid::NoContext, seconds, 999_999_999);
        Uuid::new_v7(moment)
    }

    #[test]
    fn the_nearer_end_counts() {
        let until = |seconds| AuditFilter {
            until: Some(at(seconds)),
            ..AuditFilter::default()
        };
        let cursor = Cursor::after(made_at(1_000_000_000));
        let before = |filter: &AuditFilter, cursor| filter.id_range(cursor).1;
        let none = AuditFilter::default();
        assert_eq!(before(&none, None), None);
        assert_eq!(before(&none, Some(cursor)), Some(cursor.id()));
        assert_eq!(
            before(&until(2_000_000_000), Some(cursor)),
            Some(cursor.id())
        );
        assert!(before(&until(500_000_000), Some(cursor)).unwrap() < cursor.id());
    }

    #[test]
    fn no_moment_is_too_far() {
        for text in ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"] {
            let format = time::format_description::well_known::Rfc3339;
            let moment = Some(OffsetDateTime::parse(text, &format).unwrap());
            let filter = AuditFilter {
                since: moment,
                until: moment,
                ..AuditFilter::default()
            };
            let (from, before) = filter.id_range(None);
            assert!(from <= before || before.is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_event_within_its_moments_is_left_out(
            happened in 200_000_u64..10_000_000_000, skew in -86_399_i64..86_399,
        ) {
            let seconds = i64::try_from(happened).unwrap();
            let id = made_at(happened.saturating_add_signed(skew));
            let filter = AuditFilter {
                since: Some(at(seconds)),
                until: Some(at(seconds + 1)),
                ..AuditFilter::default()
            };
            let (from, before) = filter.id_range(None);
            prop_assert!(from.unwrap() <= id && id < before.unwrap());
        }
    }
}
