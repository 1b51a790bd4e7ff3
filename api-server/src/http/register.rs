//! `POST /auth/register`

use axum::{Extension, Json, extract::State, http::StatusCode};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{ApiError, body, client::Client, edge::Seen};
use crate::app::App;

/// A new account.
#[derive(Deserialize, ToSchema)]
pub(super) struct RegisterRequest {
    /// 1 to 64 characters, without `@` and spaces; upper and lower case are
    /// the same name.
    #[schema(example = "guybrush", min_length = 1, max_length = 64)]
    username: String,
    /// An e-mail address.
    #[schema(example = "guybrush@example.com", format = "email", max_length = 254)]
    email: String,
    /// 8 to 128 characters; none of the most common passwords.
    #[schema(value_type = String, format = "password", example = "securepass", min_length = 8, max_length = 128)]
    password: SecretString,
}

/// The account that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct RegisterResponse {
    /// Always the same.
    #[schema(example = "User created successfully")]
    message: &'static str,
    /// The account's identifier, the `sub` of its tokens.
    id: Uuid,
    /// The user name as typed.
    #[schema(example = "guybrush")]
    username: String,
    /// The e-mail address as typed.
    #[schema(example = "guybrush@example.com")]
    email: String,
}

/// Makes an account.
#[utoipa::path(post, path = "/auth/register", tag = "account", request_body = RegisterRequest,
    responses(
        (status = 201, description = "The account was made", body = RegisterResponse),
    ),
    extensions(("x-problems" = json!(["registration-closed", "taken", "rate-limited", "busy"]))),
)]
pub(super) async fn register(
    State(app): State<App>,
    Client(origin): Client,
    Extension(seen): Extension<Seen>,
    body::Json(request): body::Json<RegisterRequest>,
) -> Result<(StatusCode, Json<RegisterResponse>), ApiError> {
    let account = app
        .register(&request.username, &request.email, request.password, &origin)
        .await?;
    seen.user(account.id);
    let response = RegisterResponse {
        message: "User created successfully",
        id: account.id.0,
        username: account.username.display().to_owned(),
        email: account.email.display().to_owned(),
    };
    Ok((StatusCode::CREATED, Json(response)))
}
