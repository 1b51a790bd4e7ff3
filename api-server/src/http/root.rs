//! What answers without an account: the greeting and the status.

use axum::{
    Extension, Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::KeepBody;
use crate::app::App;

/// A greeting.
#[derive(Serialize, ToSchema)]
pub(super) struct Welcome {
    /// Always the same.
    #[schema(example = "Welcome to DataViv API")]
    message: &'static str,
}

/// Whether the service and its database work.
#[derive(Serialize, ToSchema)]
pub(super) struct Status {
    /// Always the same.
    #[schema(example = "server running successfully")]
    message: &'static str,
    /// `connected` or `disconnected`.
    #[schema(example = "connected")]
    database: &'static str,
}

/// Greets.
#[utoipa::path(get, path = "/", tag = "status", responses((status = 200, description = "A greeting", body = Welcome)))]
pub(super) async fn welcome() -> Json<Welcome> {
    Json(Welcome {
        message: "Welcome to DataViv API",
    })
}

/// Says whether the service and its database work.
#[utoipa::path(get, path = "/auth/", tag = "status", responses(
    (status = 200, description = "The database answers", body = Status),
    (status = 503, description = "The database does not answer", body = Status),
))]
pub(super) async fn status(State(app): State<App>) -> Response {
    let (code, database) = match app.store.ping().await {
        Ok(()) => (StatusCode::OK, "connected"),
        Err(error) => {
            tracing::debug!(%error, "the database does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, "disconnected")
        }
    };
    let body = Status {
        message: "server running successfully",
        database,
    };
    (code, Extension(KeepBody), Json(body)).into_response()
}

/// The same without the slash.
#[utoipa::path(get, path = "/auth", tag = "status", responses(
    (status = 200, description = "The database answers", body = Status),
    (status = 503, description = "The database does not answer", body = Status),
))]
pub(super) async fn status_without_slash(state: State<App>) -> Response {
    status(state).await
}
