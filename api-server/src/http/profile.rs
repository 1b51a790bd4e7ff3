//! `PATCH /auth/user/me`

use axum::{Json, extract::State};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{ApiError, body, client::Client, identity::Identity, user::UserResponse};
use crate::app::{App, change_profile::ProfileChange};

/// What is to be different. What is absent, or null, stays as it is: neither
/// name can be taken away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileRequest {
    /// 1 to 64 characters, without `@` and spaces; upper and lower case are
    /// the same name.
    #[schema(example = "threepwood", min_length = 1, max_length = 64)]
    username: Option<String>,
    /// An e-mail address. Another one needs `current_password`.
    #[schema(example = "threepwood@example.com", format = "email", max_length = 254)]
    email: Option<String>,
    /// The password in force; looked at only where the address changes.
    #[schema(value_type = Option<String>, format = "password", example = "securepass")]
    current_password: Option<SecretString>,
}

/// Changes the user name, the e-mail address, or both together. A member that
/// this route does not know is refused: it would look as if it had been changed.
#[utoipa::path(patch, path = "/auth/user/me", tag = "account",
    security(("bearer" = []), ("cookie" = [])),
    request_body = ProfileRequest,
    responses(
        (status = 200, description = "The account as it is now", body = UserResponse),
    ),
    extensions(("x-problems" = json!(["wrong-password", "taken", "rate-limited", "busy"]))),
)]
pub(super) async fn change(
    State(app): State<App>,
    identity: Identity,
    Client(origin): Client,
    body::Json(request): body::Json<ProfileRequest>,
) -> Result<Json<UserResponse>, ApiError> {
    let change = ProfileChange {
        username: request.username,
        email: request.email,
        current_password: request.current_password,
    };
    let caller = identity.caller();
    let account = app
        .change_profile(caller, identity.user, change, &origin)
        .await?;
    Ok(Json(account.into()))
}
