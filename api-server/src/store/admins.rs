//! That there is always somebody who can administer the service.

use sqlx::{PgConnection, query_scalar};

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
    query_scalar!(
        r#"SELECT pg_advisory_xact_lock($1) IS NULL AS "locked!""#,
        LOCK
    )
    .fetch_one(&mut *transaction)
    .await?;
    // A statement of its own: it must see what was committed before the lock
    // was given.
    query_scalar!(
        r#"SELECT EXISTS (
             SELECT FROM authstack.users
             WHERE id = $1 AND 'admin' = ANY (roles) AND disabled_at IS NULL
           ) AND NOT EXISTS (
             SELECT FROM authstack.users
             WHERE id <> $1 AND 'admin' = ANY (roles) AND disabled_at IS NULL
           ) AS "last!""#,
        user.0,
    )
    .fetch_one(transaction)
    .await
}
