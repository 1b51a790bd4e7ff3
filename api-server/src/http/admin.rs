//! `/admin`: for users with the role `admin`.
//!
//! Bodies are read more strictly than elsewhere: an unknown member is an
//! error, and so is `null`. An administrator who writes `disable` for
//! `disabled` should not believe that it was done.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{app::App, domain::account::Account};

mod audit;
mod change;
mod create;
mod list;
mod remove;

/// The routes for administrators.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list::list, create::create))
        .routes(routes!(list::show, change::change, remove::remove))
        .routes(routes!(remove::log_out))
        .routes(routes!(audit::list))
}

/// An account, as shown to administrators.
#[derive(Serialize, ToSchema)]
struct AccountResponse {
    /// The identifier that never changes, the `sub` of the user's tokens.
    id: Uuid,
    /// The user name as typed.
    #[schema(example = "guybrush")]
    username: String,
    /// The e-mail address as typed.
    #[schema(example = "guybrush@example.com")]
    email: String,
    /// What the user may do, in the order of the names.
    #[schema(example = json!(["editor"]))]
    roles: Vec<String>,
    /// Since when the user may not log in; null for those who may.
    #[serde(with = "time::serde::rfc3339::option")]
    disabled_at: Option<OffsetDateTime>,
    /// When the account was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it last changed.
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

impl From<Account> for AccountResponse {
    fn from(account: Account) -> Self {
        Self {
            id: account.id.0,
            username: account.username,
            email: account.email,
            roles: account.roles,
            disabled_at: account.disabled_at,
            created_at: account.created_at,
            updated_at: account.updated_at,
        }
    }
}
