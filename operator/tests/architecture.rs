//! The invariants of ARCHITECTURE.md, by what the source files mention.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

/// Steps of the pipeline that decide and never act.
const PURE: &[&str] = &[
    "reconcile/finding.rs",
    "reconcile/pod_template.rs",
    "reconcile/stack.rs",
    "reconcile/validate.rs",
    "reconcile/versions.rs",
    "reconcile/names.rs",
    "reconcile/labels.rs",
    "reconcile/digest.rs",
    "reconcile/certificates.rs",
    "reconcile/certificates/read.rs",
    "reconcile/certificates/judge.rs",
    "reconcile/desired.rs",
    "reconcile/desired/",
    "reconcile/observe.rs",
    "reconcile/observe/",
    "reconcile/stopping.rs",
    "reconcile/refusal.rs",
    "reconcile/immutable.rs",
    "reconcile/quantity.rs",
    "reconcile/resources.rs",
    "reconcile/optional.rs",
    "foreign.rs",
    "foreign/",
    "reconcile/diagnose.rs",
    "reconcile/status.rs",
    "reconcile/events.rs",
    "reconcile/render.rs",
    "reconcile/children.rs",
    "reconcile/children/",
];
/// What such a step may not mention: a client, a runtime, a clock, randomness,
/// files. Time, secrets and randomness are handed to it.
const IMPURE: &[&str] = &[
    "kube::Client",
    "Client,",
    "Api::",
    "async fn",
    ".await",
    "tokio",
    "rand::",
    "Timestamp::now",
    "Instant::now",
    "SystemTime",
    "std::fs",
    "std::env",
];
/// Who may write to the cluster, and with which calls.
const WRITERS: &[&str] = &[
    "reconcile/apply.rs",
    "reconcile/apply/",
    "reconcile.rs",
    "leader.rs",
];
const WRITES: &[&str] = &[
    ".create(",
    ".patch(",
    ".patch_metadata(",
    ".patch_status(",
    ".replace(&",
    ".delete(",
    ".delete_collection(",
];

fn sources() -> Vec<(String, String)> {
    fn walk(root: &Path, directory: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    found
}

/// The lines that are shipped: no comments, and no tests, which stand last.
fn shipped(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .map(|line| line.split("//").next().unwrap_or_default())
}

fn breaches(name: &str, text: &str) -> Vec<String> {
    let is_in = |list: &[&str]| {
        list.iter()
            .any(|of| *of == name || of.ends_with('/') && name.starts_with(of))
    };
    let mut forbidden: Vec<&str> = Vec::new();
    if is_in(PURE) {
        forbidden.extend(IMPURE);
    }
    if !is_in(WRITERS) {
        forbidden.extend(WRITES);
    }
    shipped(text)
        .flat_map(|line| forbidden.iter().filter(|word| line.contains(**word)))
        .map(|word| format!("src/{name} mentions {word}"))
        .collect()
}

fn is_shipped(name: &str) -> bool {
    !name.ends_with("tests.rs")
}

#[test]
fn pure_steps_are_pure_and_few_files_write() {
    let sources = sources();
    for of in PURE.iter().chain(WRITERS) {
        let is_there = |(name, _): &(String, String)| name == of || name.starts_with(of);
        assert!(
            sources.iter().any(is_there),
            "{of} is not there: mend this test"
        );
    }
    let found: Vec<_> = sources
        .iter()
        .filter(|(name, _)| is_shipped(name))
        .flat_map(|(name, text)| breaches(name, text))
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn children_are_taken_apart_whole() {
    // `..` in a pattern of these would let a new child be forgotten.
    for (name, text) in sources() {
        // `Error::Api` is another thing of the same name.
        if !name.starts_with("reconcile") || !is_shipped(&name) || name.ends_with("error.rs") {
            continue;
        }
        let text: String = shipped(&text).collect::<Vec<_>>().join(" ");
        for of in ["Desired {", "Postgres {", "Api {", "Nginx {", "Observed {"] {
            for (at, _) in text.match_indices(of) {
                let body = text[at + of.len()..].split('}').next().unwrap_or_default();
                assert!(
                    !body.trim_end().ends_with(".."),
                    "src/{name}: {of} {body}}}"
                );
            }
        }
    }
}

#[test]
fn files_hold_one_idea() {
    for (name, text) in sources() {
        let lines = shipped(&text).count();
        assert!(lines <= 420, "src/{name} has {lines} lines");
    }
}

#[test]
fn a_breach_is_noticed() {
    for (name, line) in [
        ("reconcile/observe.rs", "use kube::Client;"),
        ("reconcile/desired/api.rs", "let now = Timestamp::now();"),
        ("reconcile/inspect.rs", "pods.delete(name).await"),
        ("watch.rs", "api.patch(name, &params, &patch)"),
    ] {
        assert!(!breaches(name, line).is_empty(), "{name}: {line}");
        assert!(breaches(name, &format!("// {line}")).is_empty(), "{name}");
    }
}
