//! Which problems each route may answer with, each with an example.
//!
//! What follows from the route's shape (a body, a token, a query, a path
//! with an identifier) is added here. What only the route knows it names itself, by
//! `extensions(("x-problems" = json!(["taken"])))`; a status that it describes
//! in words of its own keeps them.

use std::collections::BTreeMap;

use serde_json::json;
use utoipa::openapi::{
    Components, Content, Header, HttpMethod, Ref, RefOr, Response, ResponseBuilder,
    example::ExampleBuilder,
    path::{Operation, ParameterIn, PathItem},
    security::SecurityRequirement,
};

use crate::http::{
    kind::{self, Kind},
    problem::{Problem, ProblemBody},
};

/// The origin in examples: the default of PUBLIC_URL.
const ORIGIN: &str = "http://localhost:8001";
/// Where a route names its problems; not part of the document.
const OWN: &str = "x-problems";

/// What a body that is JSON adds to what any body may end with.
const OF_JSON: [Kind; 2] = [kind::JSON, kind::VALIDATION];
const OF_BODIES: [Kind; 4] = [
    kind::BAD_REQUEST,
    kind::TIMEOUT,
    kind::TOO_LARGE,
    kind::MEDIA_TYPE,
];
const OF_TOKENS: [Kind; 3] = [kind::BAD_REQUEST, kind::NO_TOKEN, kind::INVALID_TOKEN];

/// Completes every operation of a path.
pub(super) fn complete(path: &str, item: &mut PathItem) {
    let operations = [
        (HttpMethod::Get, &mut item.get),
        (HttpMethod::Post, &mut item.post),
        (HttpMethod::Put, &mut item.put),
        (HttpMethod::Patch, &mut item.patch),
        (HttpMethod::Delete, &mut item.delete),
    ];
    for (method, operation) in operations {
        if let Some(operation) = operation {
            operation.operation_id = Some(operation_id(path, &method));
            complete_operation(path, &method, operation);
        }
    }
}

/// A name that is unique because the route is: handlers in several files may
/// have the same.
fn operation_id(path: &str, method: &HttpMethod) -> String {
    let method = match method {
        HttpMethod::Post => "post",
        HttpMethod::Put => "put",
        HttpMethod::Patch => "patch",
        HttpMethod::Delete => "delete",
        _ => "get",
    };
    // `/auth` and `/auth/` are two routes.
    let path = match path.strip_suffix('/') {
        Some(path) => format!("{path}/index"),
        None => path.to_owned(),
    };
    let words = path.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .fold(method.to_owned(), |id, word| id + "_" + word)
}

fn complete_operation(path: &str, method: &HttpMethod, operation: &mut Operation) {
    let mut kinds = from_shape(path, method, operation);
    kinds.extend(take_own(operation));
    let mut by_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in kinds {
        let of_status = by_status.entry(kind.status.as_u16()).or_default();
        if !of_status.contains(&kind) {
            of_status.push(kind);
        }
    }
    for (status, kinds) in by_status {
        let responses = &mut operation.responses.responses;
        let response = responses.entry(status.to_string()).or_insert_with(|| {
            let titles: Vec<_> = kinds.iter().map(|kind| kind.title).collect();
            let response = ResponseBuilder::new().description(titles.join(", or: "));
            RefOr::T(response.build())
        });
        if let RefOr::T(response) = response {
            give_examples(response, status, &kinds);
        }
    }
}

/// The problems that follow from what an operation takes.
fn from_shape(path: &str, method: &HttpMethod, operation: &Operation) -> Vec<Kind> {
    let mut kinds = vec![kind::INTERNAL];
    // Neither asks the database.
    if !matches!(path, "/" | "/.well-known/jwks.json") {
        kinds.push(kind::UNAVAILABLE);
    }
    if path.contains('{') {
        kinds.push(kind::NOT_FOUND);
    }
    if let Some(RefOr::T(body)) = &operation.request_body {
        kinds.extend(OF_BODIES);
        if body.content.contains_key("application/json") {
            kinds.extend(OF_JSON);
        }
    }
    let mut parameters = operation.parameters.iter().flatten();
    if parameters
        .any(|parameter| matches!(parameter, RefOr::T(p) if p.parameter_in == ParameterIn::Query))
    {
        kinds.push(kind::VALIDATION);
    }
    let needs = |scheme: &str| {
        let scheme = SecurityRequirement::new::<_, [&str; 0], &str>(scheme, []);
        let mut schemes = operation.security.iter().flatten();
        schemes.any(|required| *required == scheme)
    };
    if needs("bearer") {
        kinds.extend(OF_TOKENS);
    }
    if needs("cookie") && !matches!(method, HttpMethod::Get) {
        kinds.push(kind::CROSS_SITE);
    }
    if needs("client") {
        kinds.push(kind::INVALID_CLIENT);
    }
    kinds
}

/// The problems that the route names itself. A test holds the names to those
/// that there are.
fn take_own(operation: &mut Operation) -> Vec<Kind> {
    let Some(extensions) = operation.extensions.as_mut() else {
        return Vec::new();
    };
    let own = extensions.remove(OWN);
    if extensions.is_empty() {
        operation.extensions = None;
    }
    let names = own.as_ref().and_then(|own| own.as_array());
    let names = names.into_iter().flatten();
    let kinds = names.filter_map(|name| kind::named(name.as_str()?).copied());
    kinds.collect()
}

/// Adds the body, with an example of each kind, and the headers. A response
/// whose body is no problem on purpose stays as it is.
fn give_examples(response: &mut Response, status: u16, kinds: &[Kind]) {
    const PROBLEM: &str = "application/problem+json";
    if response.content.keys().any(|content| content != PROBLEM) {
        return;
    }
    let mut content = Content::new(Some(Ref::from_schema_name("Problem")));
    for Kind { name, .. } in kinds {
        let example = Ref::new(format!("#/components/examples/{name}"));
        content
            .examples
            .insert((*name).to_owned(), RefOr::Ref(example));
    }
    response.content.insert(PROBLEM.to_owned(), content.into());
    let header = match status {
        401 => "www-authenticate",
        429 | 503 => "retry-after",
        _ => return,
    };
    let reference = Ref::new(format!("#/components/headers/{header}"));
    response
        .headers
        .insert(header.to_owned(), RefOr::Ref(reference));
}

/// An example of every kind, and the headers that some come with.
pub(super) fn describe(components: &mut Components) {
    for kind in kind::ALL {
        let problem = Problem::example(*kind);
        let body = ProblemBody::new(&problem, ORIGIN, ProblemBody::EXAMPLE_INSTANCE);
        let example = ExampleBuilder::new()
            .summary(kind.title)
            .value(Some(json!(body)))
            .build();
        let examples = &mut components.examples;
        examples.insert(kind.name.to_owned(), example.into());
    }
    for (name, description) in [
        (
            "www-authenticate",
            "How to authenticate (RFC 9110, section 11.6.1)",
        ),
        (
            "retry-after",
            "After how many seconds to try again (RFC 9110, section 10.2.3)",
        ),
    ] {
        let mut header = Header::default();
        header.description = Some(description.to_owned());
        components.headers.insert(name.to_owned(), header.into());
    }
}
