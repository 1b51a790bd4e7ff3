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
/// end, which is no error. Of a request that is malformed in one place, the
/// tokens in the others count all the same.
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
    let (mut tokens, wrong) = in_headers(&headers, cookies);
    let request = request.map(|OptionalJson(request)| request);
    let given = request.as_ref().ok().and_then(Option::as_ref);
    tokens.extend(given.and_then(|given| given.refresh_token.as_deref()));
    // Whatever else is wrong: whoever logs out believes that it is over, and
    // wants the cookies gone.
    let ended = app.logout(&tokens, &origin).await;
    let answer = ended.map_err(ApiError::from);
    let answer = answer.and(request.map(|_| ())).and(wrong);
    (cookies.forget(), answer.map(|()| StatusCode::NO_CONTENT)).into_response()
}

/// The tokens in the headers, and whether anything is wrong beside them.
fn in_headers(headers: &HeaderMap, cookies: Cookies) -> (Vec<&str>, Result<(), ApiError>) {
    if headers.contains_key(header::AUTHORIZATION) {
        let token = bearer(headers).ok().flatten();
        return (token.into_iter().collect(), Ok(()));
    }
    let (mut tokens, mut wrong) = (Vec::new(), Ok(()));
    for name in [cookies.access, cookies.refresh] {
        match cookies::read(headers, name) {
            Ok(token) => tokens.extend(token),
            Err(error) => wrong = Err(error),
        }
    }
    (tokens, wrong)
}
