//! The pages that the `type` of a problem leads to.

use std::{collections::BTreeSet, fs, path::Path};

use axum::http::StatusCode;
use sqlx::PgPool;

use crate::support::Server;

/// The names that a text links to or sends, as `/problems/<name>`.
fn names_in(text: &str) -> BTreeSet<String> {
    let parts = text.split("/problems/").skip(1);
    parts
        .map(|part| {
            let end = part.find(|c: char| !c.is_ascii_lowercase() && c != '-');
            part[..end.unwrap_or(part.len())].to_owned()
        })
        .filter(|name| !name.is_empty())
        .collect()
}

#[sqlx::test(migrations = false)]
async fn every_kind_has_a_page_that_the_index_links_to(pool: PgPool) {
    let server = Server::new(pool).await;
    let index = server.get("/problems").send().await;
    assert_eq!(index.status, StatusCode::OK);
    let names = names_in(&index.text);
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        let page = server.get(&format!("/problems/{name}")).send().await;
        assert_eq!(page.status, StatusCode::OK, "{name}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(page.header("cache-control"), "public, max-age=300");
        for part in ["What it means", "What to do", "Example"] {
            assert!(page.text.contains(part), "{name}: {part}");
        }
        let uri = format!("http://localhost:8001/problems/{name}&quot;");
        assert!(page.text.contains(&uri), "{name}: {}", page.text);
    }
}

#[sqlx::test(migrations = false)]
async fn a_page_runs_no_script_and_loads_nothing(pool: PgPool) {
    let server = Server::new(pool).await;
    for path in ["/problems", "/problems/validation"] {
        let page = server.get(path).send().await;
        let policy = page.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(
            !policy.contains("script-src") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(
            !page.text.contains("<script") && !page.text.contains("src="),
            "{path}"
        );
        assert!(!page.text.contains(" style="), "{path}");
    }
}

#[sqlx::test(migrations = false)]
async fn a_problem_that_is_none_has_no_page(pool: PgPool) {
    let server = Server::new(pool).await;
    for path in [
        "/problems/nothing",
        "/problems/Validation",
        "/problems/..",
        "/problems/%3Cscript%3E",
    ] {
        let answer = server.get(path).send().await;
        answer.assert_problem(404, "not-found");
        assert!(!answer.text.contains("script"));
    }
}

#[sqlx::test(migrations = false)]
async fn the_type_of_a_problem_that_was_met_leads_to_its_page(pool: PgPool) {
    let server = Server::new(pool).await;
    let met = server.get("/auth/user/me").send().await;
    let uri = met.json["type"].as_str().unwrap().to_owned();
    let path = uri.strip_prefix("http://localhost:8001").unwrap();
    let page = server.get(path).send().await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("A token is required"));
}

/// nginx answers some errors itself, with the same names.
#[sqlx::test(migrations = false)]
async fn the_problems_of_our_proxies_have_pages_too(pool: PgPool) {
    let server = Server::new(pool).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut names = BTreeSet::new();
    for file in [
        "config/compose/nginx.conf",
        "operator/tests/snapshots/render__everything_set.snap",
    ] {
        let found = names_in(&fs::read_to_string(root.join(file)).unwrap());
        assert!(found.len() > 3, "{file}");
        names.extend(found);
    }
    names.retain(|name| !name.is_empty());
    for name in names {
        let page = server.get(&format!("/problems/{name}")).send().await;
        assert_eq!(page.status, StatusCode::OK, "{name}");
    }
}
