//! `POST /auth/user/me/password`

use axum::{extract::State, http::StatusCode};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{ApiError, body, client::Client, identity::Identity};
use crate::app::{App, change_password::PasswordChange};

/// A password to be replaced by another.
#[derive(Deserialize, ToSchema)]
pub(super) struct PasswordRequest {
    /// The password in force.
    #[schema(value_type = String, format = "password", example = "securepass")]
    current_password: SecretString,
    /// 8 to 128 characters; none of the most common passwords, and not the
    /// current one.
    #[schema(value_type = String, format = "password", example = "look behind you", min_length = 8, max_length = 128)]
    new_password: SecretString,
    /// Whether the user's other sessions go on. They end unless this is true.
    #[schema(example = false)]
    keep_sessions: Option<bool>,
}

/// Sets another password. The session that asks goes on; the user's others end
/// everywhere and at once, unless `keep_sessions` is true.
#[utoipa::path(post, path = "/auth/user/me/password", tag = "account",
    security(("bearer" = []), ("cookie" = [])),
    request_body = PasswordRequest,
    responses(
        (status = 204, description = "The new password is in force"),
    ),
    extensions(("x-problems" = json!(["wrong-password", "rate-limited", "busy"]))),
)]
pub(super) async fn change(
    State(app): State<App>,
    identity: Identity,
    Client(origin): Client,
    body::Json(request): body::Json<PasswordRequest>,
) -> Result<StatusCode, ApiError> {
    let change = PasswordChange {
        current: request.current_password,
        new: request.new_password,
        keep_sessions: request.keep_sessions.unwrap_or(false),
    };
    app.change_password(identity.caller(), &identity.user, change, &origin)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
