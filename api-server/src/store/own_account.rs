//! What users do to their own accounts. Each change is one transaction, which
//! first makes sure that whoever asked still may: the checks before it took as
//! long as a password hash takes.

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sqlx::{Connection, PgConnection, query, query_as, query_scalar};

use super::{
    Store, StoreError,
    admins::is_last_admin,
    audit::{self, Origin},
    own_sessions::end_sessions,
    sessions::EndReason,
    settle,
    users::{Taken, User, UserRow},
    within,
};
use crate::domain::{
    audit::Event,
    email::Email,
    ids::{Caller, UserId},
    username::Username,
};

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
    /// Changes the names of whoever asks, or tells which are taken.
    pub async fn change_profile(
        &self,
        caller: Caller,
        verified_hash: Option<&SecretString>,
        username: Option<&Username>,
        email: Option<&Email>,
        event: &Event,
        origin: &Origin,
    ) -> Result<Result<User, Refused>, StoreError> {
        let mut connection = self.acquire().await?;
        let answer = within(async {
            let mut transaction = connection.begin().await?;
            if let Err(refused) = hold(&mut transaction, caller, verified_hash).await? {
                transaction.rollback().await?;
                return Ok(Err(refused));
            }
            // Asked first, to name both at once; the update decides.
            let taken = names_of_others(&mut transaction, caller.user, username, email).await?;
            if taken.any() {
                transaction.rollback().await?;
                return Ok(Err(Refused::Taken(taken)));
            }
            match rename(&mut transaction, caller.user, username, email).await {
                Ok(user) => {
                    audit::record(&mut transaction, event, origin).await?;
                    transaction.commit().await?;
                    Ok(Ok(user))
                }
                Err(error) => {
                    let taken = Taken::told_by(&error).ok_or(error)?;
                    transaction.rollback().await?;
                    Ok(Err(Refused::Taken(taken)))
                }
            }
        })
        .await;
        settle(connection, answer)
    }

    /// Replaces the password of whoever asks, and ends their other sessions
    /// unless those are to be kept; counts those that it ended. Of two changes
    /// at once, the second finds that the hash is not the one that it verified.
    pub async fn change_own_password(
        &self,
        caller: Caller,
        verified_hash: &SecretString,
        new_hash: &SecretString,
        keep_sessions: bool,
        event: Event,
        origin: &Origin,
    ) -> Result<Result<i64, Refused>, StoreError> {
        let mut connection = self.acquire().await?;
        let answer = within(async {
            let mut transaction = connection.begin().await?;
            if let Err(refused) = hold(&mut transaction, caller, Some(verified_hash)).await? {
                transaction.rollback().await?;
                return Ok(Err(refused));
            }
            query!(
                "UPDATE authstack.users SET password_hash = $2, updated_at = now() WHERE id = $1",
                caller.user.0,
                new_hash.expose_secret(),
            )
            .execute(&mut *transaction)
            .await?;
            let ended = if keep_sessions {
                0
            } else {
                let (user, this) = (caller.user, Some(caller.session));
                end_sessions(&mut transaction, user, this, EndReason::PasswordChange).await?
            };
            let event = event.with(json!({ "sessions_ended": ended }));
            audit::record(&mut transaction, &event, origin).await?;
            transaction.commit().await?;
            Ok(Ok(ended))
        })
        .await;
        settle(connection, answer)
    }

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

async fn names_of_others(
    transaction: &mut PgConnection,
    user: UserId,
    username: Option<&Username>,
    email: Option<&Email>,
) -> Result<Taken, sqlx::Error> {
    query_as!(
        Taken,
        r#"SELECT
             EXISTS (SELECT FROM authstack.users
                     WHERE username_key = $2 AND id <> $1) AS "username!",
             EXISTS (SELECT FROM authstack.users
                     WHERE (email_key = $3 OR username_key = $3) AND id <> $1) AS "email!""#,
        user.0,
        username.map(Username::key),
        email.map(Email::key),
    )
    .fetch_one(transaction)
    .await
}

async fn rename(
    transaction: &mut PgConnection,
    user: UserId,
    username: Option<&Username>,
    email: Option<&Email>,
) -> Result<User, sqlx::Error> {
    let row = query_as!(
        UserRow,
        "UPDATE authstack.users
         SET username = COALESCE($2, username), username_key = COALESCE($3, username_key),
             email = COALESCE($4, email), email_key = COALESCE($5, email_key),
             updated_at = now()
         WHERE id = $1
         RETURNING id, username, email, roles, created_at, updated_at",
        user.0,
        username.map(Username::display),
        username.map(Username::key),
        email.map(Email::display),
        email.map(Email::key),
    )
    .fetch_one(transaction)
    .await?;
    Ok(row.into())
}
