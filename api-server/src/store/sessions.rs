//! Sessions: one row each, rotated by one statement.

use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, query, query_scalar};
use time::OffsetDateTime;

use super::{
    Store, StoreError,
    audit::{self, Origin},
    settle, within,
};
use crate::{
    crypto::refresh::SessionSecret,
    domain::{
        audit::{Action, Event},
        ids::{SessionId, UserId},
        session::SessionState,
        ttl::Ttl,
    },
};

/// A session about to begin.
pub struct NewSession<'a> {
    /// Its identifier.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// The hash that the password was verified against. If it has changed
    /// meanwhile, the login is void.
    pub verified_hash: &'a SecretString,
    /// The secret that its refresh tokens derive from.
    pub secret: &'a SessionSecret,
    /// How long it lasts, by the database's clock.
    pub ttl: Ttl,
}

/// What tokens are made from.
pub struct SessionGrant {
    /// The session.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// What the user may do.
    pub roles: Vec<String>,
    /// The secret that its refresh tokens derive from.
    pub secret: SessionSecret,
    /// Which refresh token is in force.
    pub counter: i64,
    /// When that one was made: its `iat`.
    pub rotated_at: OffsetDateTime,
    /// When the session ends.
    pub expires_at: OffsetDateTime,
}

/// Why a session was ended, as the table has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The user logged out.
    Logout,
    /// The user logged out everywhere.
    LogoutAll,
    /// The user ended it from the list of their sessions.
    SessionEnd,
    /// The user set another password.
    PasswordChange,
    /// A service revoked one of its tokens.
    TokenRevoke,
    /// An administrator ended it: by itself, or with the right to log in or
    /// the password.
    Admin,
    /// A refresh token was presented that had been used up.
    Replay,
    /// A refresh token was presented that only our key could have signed, but
    /// that does not derive from the session's secret.
    Forgery,
}

impl EndReason {
    /// The word in the table and in the logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::LogoutAll => "logout_all",
            Self::SessionEnd => "session_end",
            Self::PasswordChange => "password_change",
            Self::TokenRevoke => "token_revoke",
            Self::Admin => "admin",
            Self::Replay => "replay",
            Self::Forgery => "forgery",
        }
    }
}

/// A row that every query below returns in the same shape.
struct GrantRow {
    id: uuid::Uuid,
    user_id: uuid::Uuid,
    roles: Vec<String>,
    secret: Vec<u8>,
    counter: i64,
    rotated_at: OffsetDateTime,
    expires_at: OffsetDateTime,
}

impl GrantRow {
    fn grant(self) -> Result<SessionGrant, StoreError> {
        // The table's CHECK makes the length right.
        let secret = SessionSecret::from_stored(&self.secret)
            .ok_or_else(|| StoreError::Internal(sqlx::Error::Decode("session secret".into())))?;
        Ok(SessionGrant {
            id: SessionId(self.id),
            user: UserId(self.user_id),
            roles: self.roles,
            secret,
            counter: self.counter,
            rotated_at: self.rotated_at,
            expires_at: self.expires_at,
        })
    }
}

impl Store {
    /// Begins a session, unless the user was disabled or changed password
    /// since it was verified.
    pub async fn begin_session(
        &self,
        new: &NewSession<'_>,
        origin: &Origin,
    ) -> Result<Option<SessionGrant>, StoreError> {
        let mut connection = self.acquire().await?;
        let insert = sqlx::query_as!(
            GrantRow,
            r#"WITH u AS (
                 SELECT id, roles FROM authstack.users
                 WHERE id = $2 AND password_hash = $3 AND disabled_at IS NULL
                 FOR SHARE
               ), s AS (
                 INSERT INTO authstack.sessions
                   (id, user_id, secret, expires_at, client_address, user_agent)
                 SELECT $1, u.id, $4, now() + $5::bigint * interval '1 second', $6::text::inet, $7
                 FROM u
                 RETURNING *
               )
               SELECT s.id, s.user_id, u.roles, s.secret, s.counter, s.rotated_at, s.expires_at
               FROM s JOIN u ON u.id = s.user_id"#,
            new.id.0,
            new.user.0,
            new.verified_hash.expose_secret(),
            new.secret.as_bytes(),
            new.ttl.as_secs(),
            origin.address.map(|address| address.to_string()),
            origin.user_agent,
        );
        let event = Event::success(Action::Login)
            .by_and_to(new.user)
            .about(new.id);
        let answer = within(async {
            let mut transaction = connection.begin().await?;
            let row = insert.fetch_optional(&mut *transaction).await?;
            if row.is_some() {
                audit::record(&mut transaction, &event, origin).await?;
            }
            transaction.commit().await?;
            Ok(row)
        })
        .await;
        settle(connection, answer)?.map(GrantRow::grant).transpose()
    }

    /// Rotates a session's refresh token, if `counter` is the one in force.
    pub async fn rotate(
        &self,
        session: SessionId,
        counter: i64,
    ) -> Result<Option<SessionGrant>, StoreError> {
        let mut connection = self.acquire().await?;
        let update = sqlx::query_as!(
            GrantRow,
            "UPDATE authstack.sessions s
             SET counter = s.counter + 1, rotated_at = now()
             FROM authstack.users u
             WHERE s.id = $1 AND s.counter = $2
               AND s.revoked_at IS NULL AND s.expires_at > now()
               AND u.id = s.user_id AND u.disabled_at IS NULL
             RETURNING s.id, s.user_id, u.roles, s.secret, s.counter, s.rotated_at, s.expires_at",
            session.0,
            counter,
        );
        let answer = within(update.fetch_optional(&mut *connection)).await;
        settle(connection, answer)?.map(GrantRow::grant).transpose()
    }

    /// A session as it is now, over or not.
    pub async fn session(
        &self,
        session: SessionId,
    ) -> Result<Option<(SessionGrant, SessionState)>, StoreError> {
        let mut connection = self.acquire().await?;
        let select = query!(
            r#"SELECT s.id, s.user_id, u.roles, s.secret, s.counter, s.rotated_at, s.expires_at,
                 s.revoked_at IS NULL AND s.expires_at > now() AND u.disabled_at IS NULL AS "live!",
                 now() AS "now!"
               FROM authstack.sessions s
               JOIN authstack.users u ON u.id = s.user_id
               WHERE s.id = $1"#,
            session.0,
        );
        let answer = within(select.fetch_optional(&mut *connection)).await;
        let Some(row) = settle(connection, answer)? else {
            return Ok(None);
        };
        let state = SessionState {
            counter: row.counter,
            rotated_at: row.rotated_at,
            live: row.live,
            now: row.now,
        };
        let grant = GrantRow {
            id: row.id,
            user_id: row.user_id,
            roles: row.roles,
            secret: row.secret,
            counter: row.counter,
            rotated_at: row.rotated_at,
            expires_at: row.expires_at,
        }
        .grant()?;
        Ok(Some((grant, state)))
    }

    /// Ends a session and writes `event`, about it and its user. Whether it was
    /// this call that did: one that is over stays as it ended.
    pub async fn end_session(
        &self,
        session: SessionId,
        reason: EndReason,
        event: Event,
        origin: &Origin,
    ) -> Result<bool, StoreError> {
        let mut connection = self.acquire().await?;
        let update = query_scalar!(
            "UPDATE authstack.sessions SET revoked_at = now(), revoked_reason = $2
             WHERE id = $1 AND revoked_at IS NULL
             RETURNING user_id",
            session.0,
            reason.as_str(),
        );
        let answer = within(async {
            let mut transaction = connection.begin().await?;
            let user = update.fetch_optional(&mut *transaction).await?;
            if let Some(user) = user {
                let user = UserId(user);
                // Whoever holds a session's token is its user, but where the
                // token was misused.
                let event = match reason {
                    EndReason::Logout => event.by_and_to(user),
                    _ => event.to(user),
                };
                let event = event.about(session);
                audit::record(&mut transaction, &event, origin).await?;
            }
            transaction.commit().await?;
            Ok(user.is_some())
        })
        .await;
        settle(connection, answer)
    }
}
