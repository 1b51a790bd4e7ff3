//! Accounts, as administrators change them. Every change looks once more, in
//! its own transaction, whether whoever asks is an administrator: the role may
//! have gone since the request was let in.

use secrecy::ExposeSecret;
use serde_json::json;
use sqlx::{Connection, PgConnection, query, query_as};

use super::{
    Store, StoreError,
    account_list::Row,
    admins::{is_admin, is_last_admin},
    audit::{self, Origin},
    own_sessions::end_sessions,
    sessions::EndReason,
    settle,
    users::Taken,
    within,
};
use crate::domain::{
    account::{Account, Change},
    audit::{Action, Event},
    email::Email,
    ids::UserId,
    role::Roles,
    username::Username,
};

/// An account to be made.
pub struct NewRow<'a> {
    /// Its identifier.
    pub id: UserId,
    /// Its user name.
    pub username: &'a Username,
    /// Its e-mail address.
    pub email: &'a Email,
    /// The hash of its password.
    pub password_hash: &'a str,
    /// What its user may do.
    pub roles: &'a Roles,
    /// Whether its user may not log in yet.
    pub disabled: bool,
}

/// Why nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Whoever asked is no administrator any more.
    NotAdmin,
    /// There is no such account.
    NotFound,
    /// Nobody would be left to administrate.
    LastAdmin,
    /// Another account has the name or the address.
    Taken(Taken),
}

impl Store {
    /// Makes an account on behalf of an administrator.
    pub async fn create_account(
        &self,
        actor: UserId,
        new: &NewRow<'_>,
        origin: &Origin,
    ) -> Result<Result<Account, Refusal>, StoreError> {
        let mut connection = self.acquire().await?;
        let event = Event::success(Action::AdminUserCreate).by(actor);
        let answer = within(async {
            let mut transaction = connection.begin().await?;
            if !is_admin(&mut transaction, actor).await? {
                return Ok(Err(Refusal::NotAdmin));
            }
            let made = match insert(&mut transaction, new).await? {
                Ok(made) => made,
                Err(taken) => return Ok(Err(Refusal::Taken(taken))),
            };
            audit::record(&mut transaction, &event.to(new.id), origin).await?;
            transaction.commit().await?;
            Ok(Ok(made))
        })
        .await;
        settle(connection, answer)
    }

    /// Changes an account on behalf of an administrator, and counts the
    /// sessions that this ended. What is the same already is left alone, and
    /// nothing is written down of it.
    pub async fn change_account(
        &self,
        actor: UserId,
        user: UserId,
        change: &Change,
        origin: &Origin,
    ) -> Result<Result<(Account, i64), Refusal>, StoreError> {
        let mut connection = self.acquire().await?;
        let answer = within(async {
            let mut transaction = connection.begin().await?;
            let held = match hold(&mut transaction, actor, user).await? {
                Ok(held) => held,
                Err(refused) => return Ok(Err(refused)),
            };
            let entailed = change.against(&held.account);
            if entailed.fields.is_empty() {
                return Ok(Ok((held.account, 0)));
            }
            if entailed.unmakes_admin && held.last_admin {
                return Ok(Err(Refusal::LastAdmin));
            }
            let after = match update(&mut transaction, user, change).await? {
                Ok(after) => after,
                Err(taken) => return Ok(Err(Refusal::Taken(taken))),
            };
            let ended = if entailed.ends_sessions {
                end_sessions(&mut transaction, user, None, EndReason::Admin).await?
            } else {
                0
            };
            let event = Event::success(Action::AdminUserChange).by(actor).to(user);
            let detail = json!({"fields": entailed.fields, "effects": entailed.effects});
            audit::record(&mut transaction, &event.with(detail), origin).await?;
            transaction.commit().await?;
            Ok(Ok((after, ended)))
        })
        .await;
        settle(connection, answer)
    }

    /// Removes an account, and with it its sessions, on behalf of an
    /// administrator.
    pub async fn remove_account(
        &self,
        actor: UserId,
        user: UserId,
        origin: &Origin,
    ) -> Result<Result<(), Refusal>, StoreError> {
        let mut connection = self.acquire().await?;
        let event = Event::success(Action::AdminUserDelete).by(actor).to(user);
        let answer = within(async {
            let mut transaction = connection.begin().await?;
            match hold(&mut transaction, actor, user).await? {
                Ok(held) if held.last_admin => return Ok(Err(Refusal::LastAdmin)),
                Ok(_) => {}
                Err(refused) => return Ok(Err(refused)),
            }
            query!("DELETE FROM authstack.users WHERE id = $1", user.0)
                .execute(&mut *transaction)
                .await?;
            audit::record(&mut transaction, &event, origin).await?;
            transaction.commit().await?;
            Ok(Ok(()))
        })
        .await;
        settle(connection, answer)
    }

    /// Ends every session of a user on behalf of an administrator, and counts
    /// them.
    pub async fn end_sessions_of(
        &self,
        actor: UserId,
        user: UserId,
        origin: &Origin,
    ) -> Result<Result<i64, Refusal>, StoreError> {
        let mut connection = self.acquire().await?;
        let event = Event::success(Action::AdminUserLogout).by(actor).to(user);
        let answer = within(async {
            let mut transaction = connection.begin().await?;
            if let Err(refused) = hold(&mut transaction, actor, user).await? {
                return Ok(Err(refused));
            }
            let ended = end_sessions(&mut transaction, user, None, EndReason::Admin).await?;
            audit::record(&mut transaction, &event, origin).await?;
            transaction.commit().await?;
            Ok(Ok(ended))
        })
        .await;
        settle(connection, answer)
    }
}

/// An account that stays as it is until the transaction ends.
struct Held {
    account: Account,
    /// Whether nobody else may administrate.
    last_admin: bool,
}

/// Holds an account for an administrator, who stays one as long. The lock among
/// administrators comes before that on the row, as everywhere, so that nobody
/// waits in a circle.
async fn hold(
    transaction: &mut PgConnection,
    actor: UserId,
    user: UserId,
) -> Result<Result<Held, Refusal>, sqlx::Error> {
    let last_admin = is_last_admin(transaction, user).await?;
    if !is_admin(transaction, actor).await? {
        return Ok(Err(Refusal::NotAdmin));
    }
    let found = query_as!(
        Row,
        "SELECT id, username, email, roles, disabled_at, created_at, updated_at
         FROM authstack.users WHERE id = $1 FOR UPDATE",
        user.0,
    );
    let held = |row: Row| Held {
        account: row.into(),
        last_admin,
    };
    let row = found.fetch_optional(transaction).await?;
    Ok(row.map(held).ok_or(Refusal::NotFound))
}

/// Adds a user, unless a name is taken.
pub(super) async fn insert(
    connection: &mut PgConnection,
    new: &NewRow<'_>,
) -> Result<Result<Account, Taken>, sqlx::Error> {
    let insert = query_as!(
        Row,
        "INSERT INTO authstack.users
           (id, username, username_key, email, email_key, password_hash, roles, disabled_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, CASE WHEN $8 THEN now() END)
         RETURNING id, username, email, roles, disabled_at, created_at, updated_at",
        new.id.0,
        new.username.display(),
        new.username.key(),
        new.email.display(),
        new.email.key(),
        new.password_hash,
        new.roles.as_slice(),
        new.disabled,
    );
    match insert.fetch_one(connection).await {
        Ok(row) => Ok(Ok(row.into())),
        Err(error) => Taken::told_by(&error).map(Err).ok_or(error),
    }
}

/// Writes a change, unless a name is taken.
async fn update(
    connection: &mut PgConnection,
    user: UserId,
    change: &Change,
) -> Result<Result<Account, Taken>, sqlx::Error> {
    let update = query_as!(
        Row,
        "UPDATE authstack.users SET
           username = COALESCE($2, username), username_key = COALESCE($3, username_key),
           email = COALESCE($4, email), email_key = COALESCE($5, email_key),
           password_hash = COALESCE($6, password_hash),
           roles = COALESCE($7::text[], roles),
           disabled_at = CASE $8::boolean
             WHEN true THEN COALESCE(disabled_at, now())
             WHEN false THEN NULL
             ELSE disabled_at
           END,
           updated_at = now()
         WHERE id = $1
         RETURNING id, username, email, roles, disabled_at, created_at, updated_at",
        user.0,
        change.username.as_ref().map(Username::display),
        change.username.as_ref().map(Username::key),
        change.email.as_ref().map(Email::display),
        change.email.as_ref().map(Email::key),
        change
            .password_hash
            .as_ref()
            .map(ExposeSecret::expose_secret),
        change.roles.as_ref().map(Roles::as_slice),
        change.disabled,
    );
    match update.fetch_one(connection).await {
        Ok(row) => Ok(Ok(row.into())),
        Err(error) => Taken::told_by(&error).map(Err).ok_or(error),
    }
}
