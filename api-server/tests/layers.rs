//! The invariants of the source tree, by what its files import.
//!
//! Each rule names the files that it is about and the words that must not
//! stand in them. Tests inside the modules are no part of what is shipped and
//! are left out; so are comments.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A rule about some files.
struct Rule {
    name: &'static str,
    /// Whether the rule is about this file, by its path below `src`.
    about: fn(&str) -> bool,
    /// What must not stand there.
    forbidden: &'static [&'static str],
}

const RULES: [Rule; 5] = [
    Rule {
        name: "domain/ is pure: no I/O, no runtime, no clock, no randomness",
        about: |file| file.starts_with("domain"),
        forbidden: &[
            "axum",
            "sqlx",
            "tokio",
            "hyper",
            "rand::",
            "tracing",
            "std::fs",
            "std::env",
            "std::net",
            "std::thread",
            "std::time::Instant",
            "SystemTime",
            "now_utc",
            "now_v7",
            "new_v4",
            "crate::store",
            "crate::http",
            "crate::crypto",
            "crate::app",
            "crate::config",
        ],
    },
    Rule {
        name: "SQL lives in store/ only (config/ and main/ pass connection options through)",
        about: |file| !file.starts_with("store") && file != "config.rs",
        forbidden: &["sqlx"],
    },
    Rule {
        name: "settings know how to connect, and no statement",
        about: |file| file == "config.rs",
        forbidden: &["sqlx::query", "query!", "PgPool"],
    },
    Rule {
        name: "status codes live in http/ only",
        about: |file| !file.starts_with("http"),
        forbidden: &["StatusCode", "http::Response", "IntoResponse", "axum::http"],
    },
    Rule {
        name: "crypto/ and store/ know nothing of HTTP or of the use cases",
        about: |file| file.starts_with("crypto") || file.starts_with("store"),
        forbidden: &[
            "axum",
            "crate::http",
            "crate::app",
            "crate::config",
            "crate::args",
        ],
    },
];

/// The lines that are shipped: without comments, and without test modules,
/// which stand last in their files.
fn shipped(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .map(|(number, line)| (number + 1, line.split("//").next().unwrap_or_default()))
}

fn breaches(file: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rule in RULES.iter().filter(|rule| (rule.about)(file)) {
        for (number, line) in shipped(text) {
            for word in rule.forbidden.iter().filter(|word| line.contains(**word)) {
                found.push(format!("src/{file}:{number}: `{word}`; {}", rule.name));
            }
        }
    }
    found
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let file = path
            .strip_prefix(&root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        (file, text)
    };
    files.into_iter().map(read).collect()
}

#[test]
fn the_layers_import_what_they_may() {
    let found: Vec<_> = all_sources()
        .iter()
        .filter(|(file, _)| !file.ends_with("tests.rs"))
        .flat_map(|(file, text)| breaches(file, text))
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn files_hold_one_idea() {
    for (file, text) in all_sources() {
        let lines = text.lines().count();
        assert!(lines <= 420, "src/{file} has {lines} lines");
    }
}

#[test]
fn handlers_are_short() {
    let handlers = all_sources()
        .into_iter()
        .filter(|(file, _)| file.starts_with("http/"));
    for (file, text) in handlers {
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if !line.starts_with("pub(super) async fn") {
                continue;
            }
            let length = 1 + lines.by_ref().take_while(|line| *line != "}").count();
            assert!(length <= 26, "src/{file}: {line} has {length} lines");
        }
    }
}

/// The rules themselves can fail.
#[test]
fn a_breach_is_noticed() {
    for (file, line) in [
        ("domain/session.rs", "use tokio::time::Instant;"),
        ("domain.rs", "let now = OffsetDateTime::now_utc();"),
        ("http/login.rs", "use sqlx::query;"),
        ("app/login.rs", "use axum::http::StatusCode;"),
        ("crypto/jwt.rs", "use crate::app::App;"),
        ("config.rs", "sqlx::query!(\"SELECT 1\")"),
    ] {
        assert!(!breaches(file, line).is_empty(), "{file}: {line}");
        assert!(breaches(file, &format!("// {line}")).is_empty(), "{file}");
        let in_test = format!("#[cfg(test)]\nmod tests {{\n{line}\n}}");
        assert!(breaches(file, &in_test).is_empty(), "{file}");
    }
}
