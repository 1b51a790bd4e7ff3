//! `POST /auth/logout`

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    ApiError,
    body::OptionalJson,
    client::Client,
    cookies::{self, Cookies},
    cross_site::SameSite,
    identity::bearer,
    refresh::RefreshRequest,
};
use crate::app::App;

/// Ends the session of whichever valid token comes with the request, and makes
/// the browser forget both cookies. Without a valid token there is nothing to
/// end, which is no error.
#[utoipa::path(post, path = "/auth/logout", tag = "tokens", request_body = Option<RefreshRequest>,
    responses(
        (status = 204, description = "The session is over"),
    ),
    extensions(("x-problems" = json!(["cross-site"]))),
)]
pub(super) async fn logout(
    State(app): State<App>,
    _: SameSite,
    Client(origin): Client,
    headers: HeaderMap,
    request: Result<OptionalJson<RefreshRequest>, ApiError>,
) -> Response {
    let cookies = Cookies::for_url(&app.public_url);
    let outcome = async {
        let OptionalJson(request) = request?;
        let given = request.and_then(|request| request.refresh_token);
        let mut tokens: Vec<&str> = given.as_deref().into_iter().collect();
        if headers.contains_key(header::AUTHORIZATION) {
            tokens.extend(bearer(&headers).ok().flatten());
        } else {
            tokens.extend(cookies::read(&headers, cookies.access)?);
            tokens.extend(cookies::read(&headers, cookies.refresh)?);
        }
        Ok::<_, ApiError>(app.logout(&tokens, &origin).await?)
    };
    let answer = outcome.await.map(|()| StatusCode::NO_CONTENT);
    // Also when something failed: whoever logs out wants the cookies gone.
    (cookies.forget(), answer).into_response()
}
