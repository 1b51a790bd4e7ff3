//! The OpenAPI document.

use utoipa::{
    Modify, OpenApi,
    openapi::{
        ContentBuilder, Ref, ResponseBuilder,
        path::Operation,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

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
        (name = "tokens", description = "Logging in, staying so, logging out"),
    ),
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
        let cookie = ApiKeyValue::with_description(
            "access_token",
            "The cookie from login; where PUBLIC_URL is https, its name is __Host-access_token",
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
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            add_common_problems(path, operation);
        }
    }
    document
}

/// What can go wrong with any request, or with any that has a body, unless the
/// route has said it in words of its own.
fn add_common_problems(path: &str, operation: &mut Operation) {
    const OF_BODIES: [(&str, &str); 5] = [
        ("400", "The body is not JSON"),
        ("408", "The body did not arrive within 30 seconds"),
        ("413", "The body has more than 64 KiB"),
        ("415", "The body is not said to be JSON"),
        (
            "422",
            "A field is missing, of the wrong type, or breaks a rule",
        ),
    ];
    const OF_ALL: [(&str, &str); 1] = [("500", "The server made a mistake")];
    const OF_DATABASE: [(&str, &str); 1] = [("503", "The database is away; see Retry-After")];
    let of_bodies = operation.request_body.is_some().then_some(OF_BODIES);
    let of_database = (path != "/").then_some(OF_DATABASE);
    let common = of_bodies.into_iter().flatten().chain(OF_ALL);
    for (status, description) in common.chain(of_database.into_iter().flatten()) {
        let responses = &mut operation.responses.responses;
        responses.entry(status.to_owned()).or_insert_with(|| {
            let schema = Ref::from_schema_name("Problem");
            let content = ContentBuilder::new().schema(Some(schema)).build();
            ResponseBuilder::new()
                .description(description)
                .content("application/problem+json", content)
                .build()
                .into()
        });
    }
}
