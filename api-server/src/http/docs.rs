//! The documentation pages, from the binary alone: no other host is asked, and
//! no script is inline, so that they work offline and under their policy.

use std::sync::{Arc, LazyLock};

use axum::{
    Router,
    extract::Path,
    http::{HeaderName, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use utoipa_swagger_ui::Config;

use super::{ApiError, openapi};
use crate::app::App;

/// Swagger UI and Redoc style their elements directly and show `data:` images;
/// Redoc's search is a worker made from a `blob:`.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'none'";

/// Short, because the names of these files do not change with their contents.
const CACHE: &str = "public, max-age=300";

static DOCUMENT: LazyLock<String> =
    // A document of strings and maps always serialises.
    LazyLock::new(|| openapi::document().to_json().unwrap_or_default());

/// The pages and the document that they show.
pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/openapi.json", get(document))
        .route("/docs", get(|| async { Redirect::permanent("/docs/") }))
        .route("/docs/", get(|| swagger(Path(String::new()))))
        .route("/docs/{*file}", get(swagger))
        .route("/redoc", get(redoc_page))
        .route("/redoc/start.js", get(redoc_start))
        .route("/redoc/redoc.standalone.js", get(redoc_bundle))
}

async fn document() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, CACHE),
    ];
    (headers, DOCUMENT.as_str()).into_response()
}

async fn swagger(Path(file): Path<String>) -> Result<Response, ApiError> {
    let config = Config::from("/openapi.json")
        .try_it_out_enabled(true)
        .validator_url("none");
    let found = utoipa_swagger_ui::serve(&file, Arc::new(config));
    let file = found.ok().flatten().ok_or(ApiError::NotFound)?;
    let mut response = page(&file.content_type, file.bytes.into_owned());
    if file.gzpipped {
        let gzip = header::HeaderValue::from_static("gzip");
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, gzip);
    }
    Ok(response)
}

async fn redoc_page() -> Response {
    page(
        "text/html; charset=utf-8",
        include_str!("../../assets/redoc/index.html"),
    )
}

async fn redoc_start() -> Response {
    page(
        "text/javascript",
        include_str!("../../assets/redoc/start.js"),
    )
}

async fn redoc_bundle() -> Response {
    page(
        "text/javascript",
        include_str!("../../assets/redoc/redoc.standalone.js"),
    )
}

fn page(content_type: &str, body: impl IntoResponse) -> Response {
    const HEADERS: [(HeaderName, &str); 2] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, CACHE),
    ];
    let content_type = [(header::CONTENT_TYPE, content_type)];
    // The later headers replace those that `body` brings.
    (HEADERS, content_type, body).into_response()
}
