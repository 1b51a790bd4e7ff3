//! Administrators that nobody who is logged in has made: from the command
//! line, or from the environment of the first server.

use serde_json::json;
use sqlx::{Connection, query, query_as};
use uuid::Uuid;

use super::{
    Store, StoreError,
    administration::{NewRow, insert},
    admins::{is_there_any, lock},
    audit::{self, Origin},
    settle,
    users::Taken,
    within,
};
use crate::domain::{
    audit::{Action, Event},
    ids::UserId,
    role,
};

/// Who makes an administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// Somebody with the database's credentials, by a command.
    CommandLine,
    /// A server that finds none, from its settings.
    Environment,
}

impl Maker {
    /// The word in the audit log.
    fn as_str(self) -> &'static str {
        match self {
            Self::CommandLine => "command_line",
            Self::Environment => "environment",
        }
    }
}

/// Whom a command means: by user name, by address, or by both.
pub struct Names<'a> {
    /// The key of a user name.
    pub username: Option<&'a str>,
    /// The key of an address.
    pub email: Option<&'a str>,
}

/// What became of the wish to give somebody the role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promotion {
    /// They have it now.
    Granted(UserId),
    /// They had it already.
    Had(UserId),
    /// They may not log in, and were left alone.
    Disabled,
    /// There is nobody of these names.
    NotFound,
}

impl Store {
    /// Makes an administrator, or nobody (`None`) where a server finds that
    /// somebody has the role already. Servers that start together do so one
    /// after the other.
    pub async fn add_admin(
        &self,
        new: &NewRow<'_>,
        maker: Maker,
    ) -> Result<Result<Option<UserId>, Taken>, StoreError> {
        let mut connection = self.acquire().await?;
        let event = Event::success(Action::AdminUserCreate)
            .to(new.id)
            .with(json!({ "by": maker.as_str() }));
        let answer = within(async {
            let mut transaction = connection.begin().await?;
            lock(&mut transaction).await?;
            if maker == Maker::Environment && is_there_any(&mut transaction).await? {
                return Ok(Ok(None));
            }
            if let Err(taken) = insert(&mut transaction, new).await? {
                return Ok(Err(taken));
            }
            audit::record(&mut transaction, &event, &Origin::default()).await?;
            transaction.commit().await?;
            Ok(Ok(Some(new.id)))
        })
        .await;
        settle(connection, answer)
    }

    /// Gives somebody the role of administrators.
    pub async fn promote(&self, names: Names<'_>) -> Result<Promotion, StoreError> {
        let mut connection = self.acquire().await?;
        let answer = within(async {
            let mut transaction = connection.begin().await?;
            let Some(found) = find(&mut transaction, &names).await? else {
                return Ok(Promotion::NotFound);
            };
            let user = UserId(found.id);
            if found.disabled {
                return Ok(Promotion::Disabled);
            }
            if role::is_admin(&found.roles) {
                return Ok(Promotion::Had(user));
            }
            let mut roles = found.roles;
            roles.push(role::ADMIN.to_owned());
            roles.sort();
            query!(
                "UPDATE authstack.users SET roles = $2, updated_at = now() WHERE id = $1",
                found.id,
                &roles,
            )
            .execute(&mut *transaction)
            .await?;
            let event = Event::success(Action::AdminUserChange).to(user);
            let event = event.with(json!({
                "fields": ["roles"], "effects": ["admin_granted"],
                "by": Maker::CommandLine.as_str(),
            }));
            audit::record(&mut transaction, &event, &Origin::default()).await?;
            transaction.commit().await?;
            Ok(Promotion::Granted(user))
        })
        .await;
        settle(connection, answer)
    }
}

/// Somebody who is to have the role.
struct Found {
    id: Uuid,
    roles: Vec<String>,
    disabled: bool,
}

/// Finds and holds whom all the given names belong to.
async fn find(
    transaction: &mut sqlx::PgConnection,
    names: &Names<'_>,
) -> Result<Option<Found>, sqlx::Error> {
    query_as!(
        Found,
        r#"SELECT id, roles, disabled_at IS NOT NULL AS "disabled!"
           FROM authstack.users
           WHERE (username_key = $1 OR email_key = $2)
             AND ($1::text IS NULL OR username_key = $1)
             AND ($2::text IS NULL OR email_key = $2)
           FOR UPDATE"#,
        names.username,
        names.email,
    )
    .fetch_optional(transaction)
    .await
}
