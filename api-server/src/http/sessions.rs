//! `/auth/sessions` and `POST /auth/logout/all`

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::net::IpAddr;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    ApiError,
    client::Client,
    cookies::Cookies,
    identity::Identity,
    page::{Page, PageParameters, Paging},
    path::Id,
};
use crate::{
    app::App,
    domain::ids::{Caller, SessionId},
    store::own_sessions::SessionSummary,
};

/// A session that lives, as its user sees it.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionResponse {
    /// The session's identifier, the `sid` of its tokens.
    id: Uuid,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it was last refreshed, or else began.
    #[serde(with = "time::serde::rfc3339")]
    last_used: OffsetDateTime,
    /// When it ends by itself.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// Where its login came from.
    #[schema(value_type = Option<String>, example = "192.0.2.1")]
    client_address: Option<IpAddr>,
    /// What the client at its login said it was.
    #[schema(example = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")]
    user_agent: Option<String>,
    /// Whether it is the one that this request belongs to.
    current: bool,
}

impl SessionResponse {
    fn of(session: SessionSummary, caller: Caller) -> Self {
        Self {
            id: session.id.0,
            created_at: session.created_at,
            last_used: session.last_used,
            expires_at: session.expires_at,
            client_address: session.client_address,
            user_agent: session.user_agent,
            current: session.id == caller.session,
        }
    }
}

/// Lists the sessions that live, the newest first.
#[utoipa::path(get, path = "/auth/sessions", tag = "tokens",
    security(("bearer" = []), ("cookie" = [])),
    params(PageParameters),
    responses(
        (status = 200, description = "A page of sessions", body = Page<SessionResponse>),
    ),
)]
pub(super) async fn list(
    State(app): State<App>,
    identity: Identity,
    Paging(page): Paging,
) -> Result<Json<Page<SessionResponse>>, ApiError> {
    let caller = identity.caller();
    let sessions = app.live_sessions(caller.user, page).await?;
    let show = |session| SessionResponse::of(session, caller);
    Ok(Json(Page::of(sessions, show)))
}

/// Ends one of one's own sessions. If it is the one that the request belongs
/// to, the browser is made to forget both cookies. A session that is over is
/// not found, like one that never was.
#[utoipa::path(delete, path = "/auth/sessions/{id}", tag = "tokens",
    security(("bearer" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The session")),
    responses(
        (status = 204, description = "The session is over"),
        (status = 404, description = "No session of this user with this id lives"),
    ),
)]
pub(super) async fn end(
    State(app): State<App>,
    identity: Identity,
    Id(id): Id,
    Client(origin): Client,
) -> Result<Response, ApiError> {
    let caller = identity.caller();
    let session = SessionId(id);
    app.end_own_session(caller, session, &origin).await?;
    if session == caller.session {
        let forget = Cookies::for_url(&app.public_url).forget();
        return Ok((forget, StatusCode::NO_CONTENT).into_response());
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Ends every session of the user, everywhere and at once, this one included,
/// and makes the browser forget both cookies. It takes an access token: a
/// refresh token can end its own session only, at `/auth/logout`. When it is
/// refused the cookies stay, so that a client can refresh and try again.
#[utoipa::path(post, path = "/auth/logout/all", tag = "tokens",
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 204, description = "All sessions are over"),
    ),
)]
pub(super) async fn logout_all(
    State(app): State<App>,
    identity: Identity,
    Client(origin): Client,
) -> Result<Response, ApiError> {
    app.logout_all(identity.caller(), &origin).await?;
    let forget = Cookies::for_url(&app.public_url).forget();
    Ok((forget, StatusCode::NO_CONTENT).into_response())
}
