//! What users do to their own accounts. Each change is one transaction, which
//! first makes sure that whoever asked still may: the checks before it took as
//! long as a password hash takes.

use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection, query, query_scalar};

use super::{
    Store, StoreError,
    admins::is_last_admin,
    audit::{self, Origin},
    settle,
    users::Taken,
    within,
};
use crate::domain::{audit::Event, ids::Caller};

/// Why a change was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The session has ended meanwhile, or the user has gone.
    SessionOver,
    /// The password is no longer the one that was verified.
    PasswordChanged,
    /// Nobody would be left to administer the service.
    LastAdmin,
    /// Another account has these names.
    Taken(Taken),
}

/// Locks the caller's row until the transaction ends, and checks that the
/// session lives and, where a password was verified, that its hash is still the
/// one in force. The lock also orders this before or after any login, which
/// shares it, and any other change to the same account.
pub(super) async fn hold(
    transaction: &mut PgConnection,
    caller: Caller,
    verified_hash: Option<&SecretString>,
) -> Result<Result<(), Refused>, sqlx::Error> {
    let hash = query_scalar!(
        "SELECT password_hash FROM authstack.users
         WHERE id = $1 AND disabled_at IS NULL FOR UPDATE",
        caller.user.0,
    )
    .fetch_optional(&mut *transaction)
    .await?;
    // A statement of its own: it must see what was committed before the lock
    // was given.
    let lives = query_scalar!(
        r#"SELECT EXISTS (
             SELECT FROM authstack.sessions
             WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL AND expires_at > now()
           ) AS "lives!""#,
        caller.session.0,
        caller.user.0,
    )
    .fetch_one(transaction)
    .await?;
    let Some(hash) = hash.filter(|_| lives) else {
        return Ok(Err(Refused::SessionOver));
    };
    if verified_hash.is_some_and(|verified| verified.expose_secret() != hash) {
        return Ok(Err(Refused::PasswordChanged));
    }
    Ok(Ok(()))
}

impl Store {
    /// Removes a user and all their sessions. The audit log keeps the
    /// identifiers.
    pub async fn delete_own_account(
        &self,
        caller: Caller,
        verified_hash: &SecretString,
        event: &Event,
        origin: &Origin,
    ) -> Result<Result<(), Refused>, StoreError> {
        let mut connection = self.acquire().await?;
        let answer = within(async {
            let mut transaction = connection.begin().await?;
            let last = is_last_admin(&mut transaction, caller.user).await?;
            let held = hold(&mut transaction, caller, Some(verified_hash)).await?;
            let held = held.and(if last {
                Err(Refused::LastAdmin)
            } else {
                Ok(())
            });
            if let Err(refused) = held {
                transaction.rollback().await?;
                return Ok(Err(refused));
            }
            // The sessions go with it, by the foreign key.
            query!("DELETE FROM authstack.users WHERE id = $1", caller.user.0)
                .execute(&mut *transaction)
                .await?;
            audit::record(&mut transaction, event, origin).await?;
            transaction.commit().await?;
            Ok(Ok(()))
        })
        .await;
        settle(connection, answer)
    }
}
