//! `POST /auth/refresh`

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, header},
    response::Response,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    ApiError,
    body::OptionalJson,
    client::Client,
    cookies::{self, Cookies},
    cross_site::SameSite,
    edge::Seen,
    token_response::{TokenResponse, hand_over},
};
use crate::app::App;

/// A refresh token, where it does not come as a cookie.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({}))]
pub(super) struct RefreshRequest {
    /// The refresh token from login or from the last refresh.
    pub(super) refresh_token: Option<String>,
}

/// Exchanges a refresh token, from the body or the cookie, for a new pair.
#[utoipa::path(post, path = "/auth/refresh", tag = "tokens", request_body = Option<RefreshRequest>,
    responses(
        (status = 200, description = "A new pair", body = TokenResponse,
            headers(("set-cookie" = String, description = "Both tokens, as HTTP-only cookies"))),
    ),
    extensions(("x-problems" = json!(["no-token", "invalid-token", "cross-site", "rate-limited"]))),
)]
pub(super) async fn refresh(
    State(app): State<App>,
    _: SameSite,
    Client(origin): Client,
    headers: HeaderMap,
    Extension(seen): Extension<Seen>,
    OptionalJson(request): OptionalJson<RefreshRequest>,
) -> Result<Response, ApiError> {
    let given = request.and_then(|request| request.refresh_token);
    let cookie = if headers.contains_key(header::AUTHORIZATION) {
        None
    } else {
        cookies::read(&headers, Cookies::for_url(&app.public_url).refresh)?
    };
    let token = given.as_deref().or(cookie).ok_or(ApiError::NoToken)?;
    let tokens = app.refresh(token, &origin).await?;
    seen.user(tokens.user);
    Ok(hand_over(tokens, &app.public_url))
}
