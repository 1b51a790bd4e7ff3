//! Staged rows into accounts.

use sqlx::{query_as, query_scalar};
use uuid::Uuid;

use super::staging::{Destination, DestinationError};
use crate::{
    domain::audit::{Action, Event},
    store::error::is_deadlock,
};

/// How many accounts one statement makes. It holds locks that a registration
/// of the same name waits for, so it must not take long.
const BATCH: usize = 500;

/// How often a batch is tried that the database has chosen to break off, so
/// that somebody else could go on.
const ATTEMPTS: usize = 5;

impl Destination {
    /// Makes accounts of the next good rows after `place`, each with its event
    /// and the note of where it came from, all of them or none. Gives how many
    /// rows are done, and the place of the last; `None` when there are no more.
    pub async fn write(
        &mut self,
        source: &str,
        after: i64,
    ) -> Result<Option<(usize, i64)>, DestinationError> {
        let mut attempt = 1;
        let places = loop {
            match self.write_once(source, after).await {
                Err(error) if is_deadlock(&error) && attempt < ATTEMPTS => attempt += 1,
                answer => break answer?,
            }
        };
        let last = places.iter().max().copied();
        Ok(last.map(|last| (places.len(), last)))
    }

    /// How many rows are good.
    pub async fn good(&mut self) -> Result<u64, DestinationError> {
        let good: i64 =
            query_scalar("SELECT count(*) FROM pg_temp.import_rows WHERE state = 'good'")
                .fetch_one(&mut self.connection)
                .await?;
        Ok(good.unsigned_abs())
    }

    /// One statement, so one transaction. A name that was taken since the
    /// collisions were sought is one more collision.
    async fn write_once(&mut self, source: &str, after: i64) -> Result<Vec<i64>, sqlx::Error> {
        // Made here, because the order of identifiers is that of events.
        let users: Vec<_> = (0..BATCH).map(|_| Uuid::now_v7()).collect();
        let events: Vec<_> = (0..BATCH).map(|_| Uuid::now_v7()).collect();
        let event = Event::success(Action::UserImport);
        let rows: Vec<(i64,)> = query_as(
            "WITH batch AS (
               SELECT r.*, row_number() OVER (ORDER BY r.place) AS n
               FROM (SELECT * FROM pg_temp.import_rows
                     WHERE state = 'good' AND place > $1 ORDER BY place LIMIT $2) AS r
             ), numbered AS (
               SELECT b.*, ids.user_id, ids.event_id
               FROM batch b
               JOIN unnest($3::uuid[], $4::uuid[]) WITH ORDINALITY AS ids (user_id, event_id, n)
                 USING (n)
             ), added AS (
               INSERT INTO authstack.users
                 (id, username, username_key, email, email_key, password_hash, roles,
                  disabled_at, created_at)
               SELECT b.user_id, b.username, b.username_key, b.email, b.email_key,
                 b.password_hash, b.roles, CASE WHEN b.disabled THEN now() END,
                 coalesce(b.created_at, now())
               FROM numbered b
               WHERE NOT EXISTS (SELECT FROM authstack.users u WHERE u.email_key = b.username_key)
                 AND NOT EXISTS (SELECT FROM authstack.users u WHERE u.username_key = b.email_key)
               ON CONFLICT DO NOTHING
               RETURNING id
             ), noted AS (
               INSERT INTO authstack.imported_users (source, imported_id, user_id)
               SELECT $5, b.old_id, b.user_id
               FROM numbered b JOIN added ON added.id = b.user_id
             ), audited AS (
               INSERT INTO authstack.audit (id, action, result, user_id, detail)
               SELECT b.event_id, $6, $7, b.user_id, jsonb_build_object('source', $5::text)
               FROM numbered b JOIN added ON added.id = b.user_id
             ), found AS (
               INSERT INTO pg_temp.import_findings (place, kind)
               SELECT b.place, 'account_meanwhile'
               FROM numbered b LEFT JOIN added ON added.id = b.user_id WHERE added.id IS NULL
             )
             UPDATE pg_temp.import_rows r
             SET state = CASE WHEN added.id IS NULL THEN 'left_out' ELSE 'imported' END
             FROM numbered b LEFT JOIN added ON added.id = b.user_id
             WHERE r.place = b.place
             RETURNING r.place",
        )
        .bind(after)
        .bind(i64::try_from(BATCH).unwrap_or(i64::MAX))
        .bind(users)
        .bind(events)
        .bind(source)
        .bind(event.action.as_str())
        .bind(event.outcome.as_str())
        .fetch_all(&mut self.connection)
        .await?;
        Ok(rows.into_iter().map(|(place,)| place).collect())
    }
}
