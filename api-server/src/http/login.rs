//! `POST /auth/login`

use axum::{Extension, extract::State, response::Response};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    ApiError, body,
    client::Client,
    cross_site::SameSite,
    edge::Seen,
    token_response::{TokenResponse, hand_over},
};
use crate::app::App;

/// Who logs in.
#[derive(Deserialize, ToSchema)]
pub(super) struct LoginRequest {
    /// The user name or the e-mail address.
    #[schema(example = "guybrush")]
    username: String,
    /// The password.
    #[schema(value_type = String, format = "password", example = "securepass")]
    password: SecretString,
}

/// Begins a session. The tokens also come as HTTP-only cookies.
#[utoipa::path(post, path = "/auth/login", tag = "tokens", request_body = LoginRequest,
    responses(
        (status = 200, description = "Logged in", body = TokenResponse,
            headers(("set-cookie" = String, description = "Both tokens, as HTTP-only cookies"))),
    ),
    extensions(("x-problems" = json!(["login-refused", "cross-site", "rate-limited", "busy"]))),
)]
pub(super) async fn login(
    State(app): State<App>,
    _: SameSite,
    Client(origin): Client,
    Extension(seen): Extension<Seen>,
    body::Json(request): body::Json<LoginRequest>,
) -> Result<Response, ApiError> {
    let tokens = app
        .login(&request.username, request.password, &origin)
        .await?;
    seen.user(tokens.user);
    Ok(hand_over(tokens, &app.public_url))
}
