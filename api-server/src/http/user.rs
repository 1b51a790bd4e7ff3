//! `GET /auth/user/me`

use axum::Json;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{ApiError, identity::Identity};
use crate::store::users::User;

/// A user, as shown to themselves.
#[derive(Serialize, ToSchema)]
pub(super) struct UserResponse {
    /// The identifier that never changes.
    id: Uuid,
    /// The user name as typed.
    #[schema(example = "guybrush")]
    username: String,
    /// The e-mail address as typed.
    #[schema(example = "guybrush@example.com")]
    email: String,
    /// What the user may do, beyond what everybody may.
    roles: Vec<String>,
    /// When the account was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

impl From<User> for UserResponse {
    fn from(user: User) -> Self {
        Self {
            id: user.id.0,
            username: user.username,
            email: user.email,
            roles: user.roles,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// Shows whoever sends it their account.
#[utoipa::path(get, path = "/auth/user/me", tag = "account",
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, description = "The account", body = UserResponse),
    ),
)]
pub(super) async fn me(identity: Identity) -> Result<Json<UserResponse>, ApiError> {
    Ok(Json(identity.user.into()))
}
