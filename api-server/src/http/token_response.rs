//! How tokens are handed over: as a body and as cookies.

use axum::{
    Json,
    http::header,
    response::{AppendHeaders, IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::cookies::Cookies;
use crate::{app::tokens::IssuedTokens, config::PublicUrl};

/// A pair of tokens.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenResponse {
    /// To be sent as `Authorization: Bearer …`.
    #[schema(example = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl")]
    access_token: String,
    /// To be exchanged at `/auth/refresh`, once.
    #[schema(example = "eyJ0eXAiOiJydCtqd3QiLCJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl")]
    refresh_token: String,
    /// Always `bearer`.
    #[schema(example = "bearer")]
    token_type: &'static str,
    /// How long the access token lives, in seconds.
    #[schema(example = 60)]
    expires_in: i64,
}

/// Hands tokens over.
pub(super) fn hand_over(tokens: IssuedTokens, url: &PublicUrl) -> Response {
    let cookies = Cookies::for_url(url).set(&tokens);
    let body = TokenResponse {
        access_token: tokens.access,
        refresh_token: tokens.refresh,
        token_type: "bearer",
        expires_in: tokens.access_seconds,
    };
    let headers = AppendHeaders(cookies.map(|cookie| (header::SET_COOKIE, cookie)));
    (headers, Json(body)).into_response()
}
