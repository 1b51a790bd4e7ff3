//! The port for operators: probes and metrics, never exposed to clients.

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};

use super::{ApiError, edge, problem, request_id};
use crate::app::App;

/// The routes of the port for operators.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .fallback(|| async { ApiError::NotFound })
        .layer(middleware::map_response_with_state(app.clone(), finish))
        .with_state(app)
}

/// Whether this server should get requests: the schema has been seen, and it
/// is not about to stop. The database is not asked: where it is away, clients
/// get a 503 that says so, which beats a proxy's that does not.
async fn readyz(State(app): State<App>) -> Response {
    if app.readiness.is_ready() {
        return "ok\n".into_response();
    }
    let reason = if app.readiness.is_draining() {
        "draining\n"
    } else {
        "waiting for the database's schema\n"
    };
    (
        StatusCode::SERVICE_UNAVAILABLE,
        axum::Extension(problem::KeepBody),
        reason,
    )
        .into_response()
}

async fn metrics(State(app): State<App>) -> Response {
    let text = app.metrics.render(app.hasher.load(), app.store.pool_use());
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}

/// Errors are problems here too, and answers have the same headers.
async fn finish(State(app): State<App>, response: Response) -> Response {
    let id = request_id::take_or_make(&axum::http::HeaderMap::new());
    let mut response = problem::render(response, app.public_url.origin(), &id);
    edge::add_headers(response.headers_mut(), &id, false);
    response
}
