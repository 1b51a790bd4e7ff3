//! `POST /admin/users`

use axum::{
    Json,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::AccountResponse;
use crate::{
    app::{App, create_account::AccountRequest},
    http::{
        ApiError,
        body::{self, given},
        client::Client,
        identity::Admin,
    },
};

/// An account to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateUserRequest {
    /// 1 to 64 characters, without `@` and spaces; upper and lower case are
    /// the same name.
    #[schema(example = "elaine", min_length = 1, max_length = 64)]
    username: String,
    /// An e-mail address.
    #[schema(example = "elaine@example.com", format = "email", max_length = 254)]
    email: String,
    /// 8 to 128 characters; none of the most common passwords.
    #[schema(value_type = String, format = "password", example = "securepass", min_length = 8, max_length = 128)]
    password: SecretString,
    /// What the user may do: at most 32 names of 1 to 64 characters, a
    /// lower-case letter, then lower-case letters, digits and `.`, `_`, `:`,
    /// `-`. Here only `admin` has a meaning.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Vec<String>, required = false, example = json!(["editor"]))]
    roles: Option<Vec<String>>,
    /// Whether the user may not log in yet.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool, required = false, example = false)]
    disabled: Option<bool>,
}

/// Makes an account for somebody, also where registration is closed.
#[utoipa::path(post, path = "/admin/users", tag = "administration", operation_id = "create_user",
    security(("bearer" = []), ("cookie" = [])),
    request_body = CreateUserRequest,
    responses((status = 201, description = "The account was made", body = AccountResponse,
        headers(("location" = String, description = "The path of the account")))),
    extensions(("x-problems" = json!(["forbidden", "taken", "busy"]))),
)]
pub(super) async fn create(
    State(app): State<App>,
    Admin(actor): Admin,
    Client(origin): Client,
    body::Json(request): body::Json<CreateUserRequest>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<AccountResponse>), ApiError> {
    let request = AccountRequest {
        username: &request.username,
        email: &request.email,
        password: request.password,
        roles: &request.roles.unwrap_or_default(),
        disabled: request.disabled.unwrap_or_default(),
    };
    let account = app.create_account(actor, request, &origin).await?;
    let location = [(header::LOCATION, format!("/admin/users/{}", account.id))];
    Ok((StatusCode::CREATED, location, Json(account.into())))
}
