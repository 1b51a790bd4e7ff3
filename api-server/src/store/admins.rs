//! That there is always somebody who can administer the service.
//!
//! The statements spell the role out (`domain::role::ADMIN`), and that there
//! are roles at all, as the index on them does.

use sqlx::{PgConnection, query_scalar};

use super::{Store, StoreError, settle, within};
use crate::domain::ids::UserId;

/// Names the lock below among the database's advisory locks: "admins".
const LOCK: i64 = 0x6164_6d69_6e73;

/// Whether this user is the only one who may log in and has the role `admin`.
///
/// To be called first in every transaction that deletes or disables a user or
/// takes the role away, before any other lock. It takes a lock of its own until
/// the transaction ends, so that of two such transactions the second sees what
/// the first has done: two administrators who delete one another's accounts at
/// the same moment do not both succeed. Granting the role needs no lock.
pub(super) async fn is_last_admin(
    transaction: &mut PgConnection,
    user: UserId,
) -> Result<bool, sqlx::Error> {
    lock(transaction).await?;
    // A statement of its own: it must see what was committed before the lock
    // was given.
    query_scalar!(
        r#"SELECT count(*) = 1 AND bool_and(id = $1) AS "last!"
           FROM authstack.users
           WHERE roles <> '{}' AND roles @> '{admin}' AND disabled_at IS NULL"#,
        user.0,
    )
    .fetch_one(transaction)
    .await
}

/// Holds back, until this transaction ends, every other that takes this lock.
pub(super) async fn lock(transaction: &mut PgConnection) -> Result<(), sqlx::Error> {
    query_scalar!(
        r#"SELECT pg_advisory_xact_lock($1) IS NULL AS "locked!""#,
        LOCK
    )
    .fetch_one(transaction)
    .await?;
    Ok(())
}

/// Whether this user may log in and has the role.
pub(super) async fn is_admin(
    connection: &mut PgConnection,
    user: UserId,
) -> Result<bool, sqlx::Error> {
    query_scalar!(
        r#"SELECT EXISTS (
             SELECT FROM authstack.users
             WHERE id = $1 AND 'admin' = ANY (roles) AND disabled_at IS NULL
           ) AS "is!""#,
        user.0,
    )
    .fetch_one(connection)
    .await
}

/// Whether anybody has the role, whether or not they may log in.
pub(super) async fn is_there_any(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    query_scalar!(
        r#"SELECT EXISTS (
             SELECT FROM authstack.users WHERE roles <> '{}' AND roles @> '{admin}'
           ) AS "any!""#,
    )
    .fetch_one(connection)
    .await
}

impl Store {
    /// Whether anybody has the role `admin`, whether or not they may log in.
    pub async fn has_admin(&self) -> Result<bool, StoreError> {
        let mut connection = self.acquire().await?;
        let answer = within(is_there_any(&mut connection)).await;
        settle(connection, answer)
    }
}
