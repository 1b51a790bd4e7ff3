//! `DELETE /auth/user/me`

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{ApiError, body, client::Client, cookies::Cookies, identity::Identity};
use crate::app::App;

/// What confirms that it is really the user who wants their account deleted.
#[derive(Deserialize, ToSchema)]
pub(super) struct DeleteAccountRequest {
    /// The password in force.
    #[schema(value_type = String, format = "password", example = "securepass")]
    current_password: SecretString,
}

/// Deletes the account and all its sessions, for good, and makes the browser
/// forget both cookies. The audit log keeps the account's identifier.
#[utoipa::path(delete, path = "/auth/user/me", tag = "account",
    security(("bearer" = []), ("cookie" = [])),
    request_body = DeleteAccountRequest,
    responses(
        (status = 204, description = "The account is gone"),
    ),
    extensions(("x-problems" = json!(["wrong-password", "last-admin", "rate-limited", "busy"]))),
)]
pub(super) async fn delete(
    State(app): State<App>,
    identity: Identity,
    Client(origin): Client,
    body::Json(request): body::Json<DeleteAccountRequest>,
) -> Result<Response, ApiError> {
    let caller = identity.caller();
    app.delete_account(caller, request.current_password, &origin)
        .await?;
    let forget = Cookies::for_url(&app.public_url).forget();
    Ok((forget, StatusCode::NO_CONTENT).into_response())
}
