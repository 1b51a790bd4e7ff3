//! `DELETE /admin/users/{id}` and `POST /admin/users/{id}/logout`

use axum::{extract::State, http::StatusCode};

use crate::{
    app::App,
    domain::ids::UserId,
    http::{ApiError, client::Client, identity::Admin, path::Id},
};

/// Removes an account and all its sessions, for good. The audit log keeps the
/// account's identifier. The last administrator who may log in stays.
#[utoipa::path(delete, path = "/admin/users/{id}", tag = "administration", operation_id = "delete_user",
    security(("bearer" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The account")),
    responses((status = 204, description = "The account is gone")),
    extensions(("x-problems" = json!(["forbidden", "last-admin"]))),
)]
pub(super) async fn remove(
    State(app): State<App>,
    Admin(actor): Admin,
    Id(id): Id,
    Client(origin): Client,
) -> Result<StatusCode, ApiError> {
    app.remove_account(actor, UserId(id), &origin).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends every session of a user, everywhere and at once.
#[utoipa::path(post, path = "/admin/users/{id}/logout", tag = "administration", operation_id = "log_out_user",
    security(("bearer" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The account")),
    responses((status = 204, description = "All sessions of the user are over")),
    extensions(("x-problems" = json!(["forbidden"]))),
)]
pub(super) async fn log_out(
    State(app): State<App>,
    Admin(actor): Admin,
    Id(id): Id,
    Client(origin): Client,
) -> Result<StatusCode, ApiError> {
    app.log_out_user(actor, UserId(id), &origin).await?;
    Ok(StatusCode::NO_CONTENT)
}
