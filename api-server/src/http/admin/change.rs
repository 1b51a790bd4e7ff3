//! `PATCH /admin/users/{id}`

use axum::{Json, extract::State};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::AccountResponse;
use crate::{
    app::{App, change_account::ChangeRequest},
    domain::ids::UserId,
    http::{
        ApiError,
        body::{self, given},
        client::Client,
        identity::Admin,
        path::Id,
    },
};

/// What is to be different; what is absent stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeUserRequest {
    /// Another user name.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, example = "guybrush", min_length = 1, max_length = 64)]
    username: Option<String>,
    /// Another e-mail address.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, example = "guybrush@example.com", format = "email", max_length = 254)]
    email: Option<String>,
    /// Another password.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, format = "password", example = "another secure pass", min_length = 8, max_length = 128)]
    password: Option<SecretString>,
    /// Other roles, instead of all that there are.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Vec<String>, required = false, example = json!(["editor"]))]
    roles: Option<Vec<String>>,
    /// Whether the user may not log in.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool, required = false, example = false)]
    disabled: Option<bool>,
}

/// Changes an account.
///
/// Another password, and disabling, end every session of the user at once;
/// enabling brings none of them back. Other roles count here from the next
/// request on, and elsewhere from the next access token on. The last
/// administrator who may log in stays one.
#[utoipa::path(patch, path = "/admin/users/{id}", tag = "administration", operation_id = "change_user",
    security(("bearer" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The account")),
    request_body = ChangeUserRequest,
    responses((status = 200, description = "The account as it is now", body = AccountResponse)),
    extensions(("x-problems" = json!(["forbidden", "taken", "last-admin", "busy"]))),
)]
pub(super) async fn change(
    State(app): State<App>,
    Admin(actor): Admin,
    Id(id): Id,
    Client(origin): Client,
    body::Json(request): body::Json<ChangeUserRequest>,
) -> Result<Json<AccountResponse>, ApiError> {
    let request = ChangeRequest {
        username: request.username,
        email: request.email,
        password: request.password,
        roles: request.roles,
        disabled: request.disabled,
    };
    let changed = app.change_account(actor, UserId(id), request, &origin);
    Ok(Json(changed.await?.into()))
}
