//! `POST /oauth2/introspect` (RFC 7662) and `POST /oauth2/revoke` (RFC 7009).

use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{ApiError, client::Client, client_auth::ServiceClient, form::Form, problem::Problem};
use crate::app::{App, introspect::ActiveToken, tokens::OWN_CLIENT};

/// A token that a service asks about or revokes.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the form, which is read by name")]
pub(super) struct TokenForm {
    /// An access token or a refresh token.
    #[schema(
        min_length = 1,
        example = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl"
    )]
    token: String,
    /// What kind it is thought to be; tokens say it themselves, so that it
    /// makes no difference.
    #[schema(example = "access_token")]
    token_type_hint: Option<String>,
}

/// What a token stands for. If it stands for nothing, `active` is alone.
#[derive(Default, Serialize, ToSchema)]
pub(super) struct IntrospectionResponse {
    /// Whether the token is valid right now: signed by this service, not
    /// expired, its session not ended, its user not disabled.
    active: bool,
    /// `Bearer` for an access token, `refresh_token` for a refresh token. Only
    /// the former is meant for other services.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Bearer")]
    token_type: Option<&'static str>,
    /// The client that the token was made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "authstack")]
    client_id: Option<String>,
    /// The user's name as typed, as it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "guybrush")]
    username: Option<String>,
    /// The user's identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<Uuid>,
    /// The session's identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<Uuid>,
    /// The token's identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    /// Who made the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "http://localhost:8001")]
    iss: Option<String>,
    /// Whom an access token is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "authstack")]
    aud: Option<String>,
    /// When the token was made, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    /// When the token ends, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    /// For an access token: what the user may do, as it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<String>>,
}

impl IntrospectionResponse {
    fn of(token: ActiveToken, issuer: &str) -> Self {
        let response = Self {
            active: true,
            iss: Some(issuer.to_owned()),
            ..Self::default()
        };
        match token {
            ActiveToken::Access(claims, user) => Self {
                token_type: Some("Bearer"),
                client_id: Some(claims.client_id),
                username: Some(user.username),
                sub: Some(user.id.0),
                sid: Some(claims.sid),
                jti: Some(claims.jti),
                aud: Some(claims.aud),
                iat: Some(claims.iat),
                exp: Some(claims.exp),
                roles: Some(user.roles),
                ..response
            },
            // Neither `aud` nor roles: whoever grants by them, and looks at no
            // type, grants nothing for a refresh token.
            ActiveToken::Refresh(claims, user) => Self {
                token_type: Some("refresh_token"),
                client_id: Some(OWN_CLIENT.to_owned()),
                username: Some(user.username),
                sub: Some(user.id.0),
                sid: Some(claims.sid),
                jti: Some(claims.jti),
                iat: Some(claims.iat),
                exp: Some(claims.exp),
                ..response
            },
        }
    }
}

/// Tells a service what a token stands for (RFC 7662). It asks the session, so
/// that a logout counts at once. Any configured client may ask about any token.
#[utoipa::path(post, path = "/oauth2/introspect", tag = "services",
    security(("client" = [])),
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "What the token stands for", body = IntrospectionResponse)),
)]
pub(super) async fn introspect(
    State(app): State<App>,
    _: ServiceClient,
    form: Form,
) -> Result<Json<IntrospectionResponse>, ApiError> {
    form.optional("token_type_hint")?;
    let token = app.introspect(form.required("token")?).await?;
    let issuer = app.tokens.issuer();
    let response = token.map(|token| IntrospectionResponse::of(token, issuer));
    Ok(Json(response.unwrap_or_default()))
}

/// Revokes a token of either kind for a service (RFC 7009): its session ends,
/// and with it every token of that session. A token that is not valid is no
/// error. Any configured client may revoke any token.
#[utoipa::path(post, path = "/oauth2/revoke", tag = "services",
    security(("client" = [])),
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The token is not valid any more")),
)]
pub(super) async fn revoke(
    State(app): State<App>,
    ServiceClient(client): ServiceClient,
    Client(origin): Client,
    form: Form,
) -> Result<StatusCode, ApiError> {
    form.optional("token_type_hint")?;
    app.revoke(&client, form.required("token")?, &origin)
        .await?;
    Ok(StatusCode::OK)
}

/// Adds RFC 6749's code to whatever problem these routes end with.
pub(super) async fn with_code(mut response: Response) -> Response {
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        let extensions = response.extensions_mut();
        let problem = extensions.get_or_insert_with(|| Problem::from_status(status));
        problem.oauth = Some(code(status));
    }
    response
}

/// The code of RFC 6749, sections 4.1.2.1 and 5.2.
fn code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "invalid_client",
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            "temporarily_unavailable"
        }
        status if status.is_server_error() => "server_error",
        _ => "invalid_request",
    }
}
