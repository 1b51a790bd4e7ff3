//! The service as HTTP: routes, what they take and give, and the layer around
//! them. Status codes are nowhere else.

use axum::{Router, middleware};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

mod admin;
mod body;
mod client;
mod client_auth;
mod cookies;
mod cors;
mod cross_site;
mod delete_account;
mod docs;
mod edge;
mod error;
mod export;
mod form;
mod identity;
mod jwks;
mod kind;
mod login;
mod logout;
mod oauth;
mod openapi;
mod operations;
mod page;
mod password;
mod path;
mod problem;
mod problem_pages;
mod profile;
mod query;
mod refresh;
mod register;
mod request_id;
mod root;
mod sessions;
mod token_response;
mod user;
mod verify;

pub use error::ApiError;
pub use openapi::document;
pub use operations::router as operations_router;

/// The API for clients.
pub fn router(app: App) -> Router {
    let (routes, _) = api().split_for_parts();
    with_edge(
        app,
        routes.merge(docs::router()).merge(problem_pages::router()),
    )
}

/// Puts the edge around routes, whatever they are.
pub fn with_edge(app: App, routes: Router<App>) -> Router {
    routes
        .fallback(|| async { ApiError::NotFound })
        .layer(middleware::from_fn_with_state(app.clone(), edge::edge))
        .with_state(app)
}

/// The routes for other services, with what all their answers have.
fn services() -> OpenApiRouter<App> {
    let oauth = OpenApiRouter::new()
        .routes(routes!(oauth::introspect))
        .routes(routes!(oauth::revoke))
        .layer(middleware::map_response(oauth::with_code));
    OpenApiRouter::new()
        .routes(routes!(verify::verify))
        .layer(middleware::map_response(verify::with_all_headers))
        .merge(oauth)
}

/// Every route that the OpenAPI document describes.
fn api() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(root::welcome))
        .routes(routes!(root::status))
        .routes(routes!(root::status_without_slash))
        .routes(routes!(register::register))
        .routes(routes!(login::login))
        .routes(routes!(refresh::refresh))
        .routes(routes!(logout::logout))
        .routes(routes!(sessions::logout_all))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::end))
        .merge(services())
        .routes(routes!(user::me))
        .routes(routes!(profile::change))
        .routes(routes!(delete_account::delete))
        .routes(routes!(password::change))
        .routes(routes!(export::export))
        .routes(routes!(jwks::jwks))
        .merge(admin::routes())
}
