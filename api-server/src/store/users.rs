//! Users.

use secrecy::SecretString;
use sqlx::{Connection, query, query_as};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Store, StoreError,
    audit::{self, Origin},
    error::violated_constraint,
    settle, within,
};
use crate::domain::{
    audit::Event,
    email::Email,
    ids::{SessionId, UserId},
    login::LoginIdentifier,
    username::Username,
};

/// A user, as shown to themselves.
#[derive(Clone)]
pub struct User {
    /// The identifier that never changes.
    pub id: UserId,
    /// The user name as typed.
    pub username: String,
    /// The e-mail address as typed.
    pub email: String,
    /// What the user may do.
    pub roles: Vec<String>,
    /// When the account was made.
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    pub updated_at: OffsetDateTime,
}

/// What login needs to know of a user.
pub struct Credentials {
    /// The user.
    pub id: UserId,
    /// The user name, as it is compared.
    pub username_key: String,
    /// The e-mail address, as it is compared.
    pub email_key: String,
    /// The stored hash, as text.
    pub password_hash: SecretString,
    /// Whether the user may not log in.
    pub disabled: bool,
}

/// A row that every query of users returns in the same shape.
pub(super) struct UserRow {
    pub(super) id: Uuid,
    pub(super) username: String,
    pub(super) email: String,
    pub(super) roles: Vec<String>,
    pub(super) created_at: OffsetDateTime,
    pub(super) updated_at: OffsetDateTime,
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: UserId(row.id),
            username: row.username,
            email: row.email,
            roles: row.roles,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

struct CredentialsRow {
    id: Uuid,
    username_key: String,
    email_key: String,
    password_hash: String,
    disabled: bool,
}

impl From<CredentialsRow> for Credentials {
    fn from(row: CredentialsRow) -> Self {
        Self {
            id: UserId(row.id),
            username_key: row.username_key,
            email_key: row.email_key,
            password_hash: row.password_hash.into(),
            disabled: row.disabled,
        }
    }
}

/// Which of a new user's names are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Another user has this name.
    pub username: bool,
    /// Another user has this address.
    pub email: bool,
}

impl Taken {
    /// Whether any is.
    #[must_use]
    pub fn any(self) -> bool {
        self.username || self.email
    }

    /// The name whose constraint a statement violated, if that is why it
    /// failed. The database tells the first that it notices.
    pub(super) fn told_by(error: &sqlx::Error) -> Option<Self> {
        let constraint = violated_constraint(error)?;
        let taken = Self {
            username: constraint == "users_username_key",
            email: constraint == "users_email_key",
        };
        taken.any().then_some(taken)
    }
}

impl Store {
    /// Which of these names are taken right now. An address is, too, where it
    /// is an imported user name: at login it would take its place.
    pub async fn names_taken(
        &self,
        username: &Username,
        email: &Email,
    ) -> Result<Taken, StoreError> {
        let mut connection = self.acquire().await?;
        let found = query_as!(
            Taken,
            r#"SELECT
                EXISTS (SELECT FROM authstack.users WHERE username_key = $1) AS "username!",
                EXISTS (SELECT FROM authstack.users
                        WHERE email_key = $2 OR username_key = $2) AS "email!""#,
            username.key(),
            email.key(),
        );
        let answer = within(found.fetch_one(&mut *connection)).await;
        settle(connection, answer)
    }

    /// Adds a user, unless a name is taken: then nothing changes, and the one
    /// that the database noticed first is told.
    pub async fn add_user(
        &self,
        id: UserId,
        username: &Username,
        email: &Email,
        password_hash: &str,
        event: &Event,
        origin: &Origin,
    ) -> Result<Result<(), Taken>, StoreError> {
        let mut connection = self.acquire().await?;
        let insert = query!(
            "INSERT INTO authstack.users (id, username, username_key, email, email_key, password_hash)
             VALUES ($1, $2, $3, $4, $5, $6)",
            id.0,
            username.display(),
            username.key(),
            email.display(),
            email.key(),
            password_hash,
        );
        let answer = within(async {
            let mut transaction = connection.begin().await?;
            match insert.execute(&mut *transaction).await {
                Ok(_) => {
                    audit::record(&mut transaction, event, origin).await?;
                    transaction.commit().await?;
                    Ok(Ok(()))
                }
                Err(error) => Taken::told_by(&error).map(Err).ok_or(error),
            }
        })
        .await;
        settle(connection, answer)
    }

    /// The user whom a login identifier means: by address, or else by name.
    pub async fn credentials(
        &self,
        identifier: &LoginIdentifier,
    ) -> Result<Option<Credentials>, StoreError> {
        let mut connection = self.acquire().await?;
        let found = query_as!(
            CredentialsRow,
            r#"SELECT id, username_key, email_key, password_hash, disabled_at IS NOT NULL AS "disabled!"
               FROM authstack.users
               WHERE email_key = $1 OR username_key = $2
               ORDER BY email_key IS NOT DISTINCT FROM $1 DESC
               LIMIT 1"#,
            identifier.email_key,
            identifier.username_key,
        );
        let answer = within(found.fetch_optional(&mut *connection)).await;
        Ok(settle(connection, answer)?.map(Credentials::from))
    }

    /// What a user's password is checked against.
    pub async fn credentials_of(&self, user: UserId) -> Result<Option<Credentials>, StoreError> {
        let mut connection = self.acquire().await?;
        let found = query_as!(
            CredentialsRow,
            r#"SELECT id, username_key, email_key, password_hash, disabled_at IS NOT NULL AS "disabled!"
               FROM authstack.users WHERE id = $1"#,
            user.0,
        );
        let answer = within(found.fetch_optional(&mut *connection)).await;
        Ok(settle(connection, answer)?.map(Credentials::from))
    }

    /// The user of a session, if the session lives and the user may log in.
    pub async fn session_user(
        &self,
        session: SessionId,
        user: Uuid,
    ) -> Result<Option<User>, StoreError> {
        let mut connection = self.acquire().await?;
        let found = query_as!(
            UserRow,
            "SELECT u.id, u.username, u.email, u.roles, u.created_at, u.updated_at
             FROM authstack.sessions s
             JOIN authstack.users u ON u.id = s.user_id
             WHERE s.id = $1 AND u.id = $2
               AND s.revoked_at IS NULL AND s.expires_at > now()
               AND u.disabled_at IS NULL",
            session.0,
            user,
        );
        let answer = within(found.fetch_optional(&mut *connection)).await;
        Ok(settle(connection, answer)?.map(User::from))
    }
}
