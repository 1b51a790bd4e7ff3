//! The OpenAPI document.

use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::problem::ProblemBody;

mod problems;

/// Everything of the document that is not about one route.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "AuthStack API",
        description = "Accounts, sessions and tokens. Every error is an application/problem+json \
                       (RFC 9457) whose `instance` is the request's id.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        contact(),
    ),
    tags(
        (name = "status", description = "Whether the service works"),
        (name = "account", description = "Making and seeing an account"),
        (name = "services", description = "For other services and for proxies"),
        (name = "tokens", description = "Logging in, staying so, logging out"),
        (name = "administration", description = "Other people's accounts, and the audit log: for users with the role admin"),
    ),
    components(schemas(ProblemBody<'static>)),
    modifiers(&Schemes),
)]
struct Base;

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("The access token from login"))
            .build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let client = HttpBuilder::new()
            .scheme(HttpAuthScheme::Basic)
            .description(Some("The id and the secret of a service in OAUTH_CLIENTS"))
            .build();
        components.add_security_scheme("client", SecurityScheme::Http(client));
        let cookie = ApiKeyValue::with_description(
            "access_token",
            "The cookie from login; where PUBLIC_URL is https, its name is __Host-access_token. \
             No script can set or read it: on the documentation pages, leave this empty and send \
             POST /auth/login by \"Try it out\"; the browser then sends the cookie by itself.",
        );
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

/// The document without its routes.
pub(super) fn base() -> utoipa::openapi::OpenApi {
    Base::openapi()
}

/// The whole document.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = super::api().into_openapi();
    for (path, item) in &mut document.paths.paths {
        problems::complete(path, item);
    }
    problems::describe(document.components.get_or_insert_default());
    document
}
