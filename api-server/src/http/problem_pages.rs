//! What the `type` of a problem leads to: a page about it, without a script.

use std::{fmt::Write, sync::LazyLock};

use axum::{
    Router,
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use super::{
    ApiError,
    kind::{self, Kind},
    problem::{Problem, ProblemBody},
};
use crate::app::App;

/// Inline, and named by its hash in the policy: nothing else may style a page.
const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;margin:2rem auto;max-width:44rem;padding:0 1rem}\
                     pre{background:#f3f3f3;color:#111;overflow:auto;padding:1rem}\
                     th{text-align:left;font-weight:normal;padding-right:1.5rem}";

const CACHE: &str = "public, max-age=300";

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
});

/// The pages.
pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/problems", get(index))
        .route("/problems/{name}", get(about))
}

async fn index() -> Response {
    let mut rows = String::new();
    for kind in kind::ALL {
        // Writing to a string does not fail.
        let _ = writeln!(
            rows,
            "<tr><th>{status}</th><td><a href=\"/problems/{name}\">{title}</a></td></tr>",
            status = kind.status.as_u16(),
            name = kind.name,
            title = escape(kind.title),
        );
    }
    page(
        "Problems",
        &format!(
            "<p>Every error of this service is problem details (RFC 9457); its <code>type</code> \
             is the address of one of these pages.</p>\n<table>\n{rows}</table>"
        ),
    )
}

async fn about(State(app): State<App>, Path(name): Path<String>) -> Result<Response, ApiError> {
    let kind = kind::named(&name).ok_or(ApiError::NotFound)?;
    Ok(page(kind.title, &describe(kind, app.public_url.origin())))
}

fn describe(kind: &Kind, origin: &str) -> String {
    let problem = Problem::example(*kind);
    let body = ProblemBody::new(&problem, origin, ProblemBody::EXAMPLE_INSTANCE);
    // A struct of strings always serialises.
    let example = serde_json::to_string_pretty(&body).unwrap_or_default();
    format!(
        "<p>Status {status}, <code>{name}</code></p>\n\
         <h2>What it means</h2>\n<p>{meaning}</p>\n\
         <h2>What to do</h2>\n<p>{remedy}</p>\n\
         <h2>Example</h2>\n<pre>{example}</pre>\n\
         <p><a href=\"/problems\">All problems</a></p>",
        status = kind.status,
        name = kind.name,
        meaning = escape(kind.meaning),
        remedy = escape(kind.remedy),
        example = escape(&example),
    )
}

fn page(title: &str, content: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>{title}</h1>\n{content}\n</body>\n</html>\n",
        title = escape(title),
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, CACHE),
        (header::CONTENT_SECURITY_POLICY, &POLICY),
    ];
    (headers, html).into_response()
}

/// Text as HTML that shows it.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(
            escape(r#"<a href="x">&</a>"#),
            "&lt;a href=&quot;x&quot;&gt;&amp;&lt;/a&gt;"
        );
    }
}
