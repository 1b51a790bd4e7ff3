//! What the documents call proof exists: every `file::test` that they name is a
//! function of that file.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

const DOCUMENTS: [&str; 2] = ["docs/security.md", "docs/contract.md"];
const SOURCES: [&str; 5] = [
    "api-server/src",
    "api-server/tests",
    "e2e/tests",
    "operator/src",
    "operator/tests",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The `file::test` of a text: what stands in backticks and looks like it.
fn named(text: &str) -> Vec<(&str, &str)> {
    let is_name = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|quoted| quoted.split_once("::"))
        .filter(|(file, test)| is_name(file) && is_name(test))
        .collect()
}

fn sources(directory: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            // `jwt/tests.rs` is about `jwt`.
            let stem = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
            let mut name = stem(&path);
            if name == "tests" {
                name = stem(path.parent().unwrap());
            }
            let text = fs::read_to_string(&path).unwrap();
            found.entry(name).or_default().push_str(&text);
        }
    }
}

#[test]
fn every_test_that_is_named_exists() {
    let mut all = BTreeMap::new();
    for source in SOURCES {
        sources(&root().join(source), &mut all);
    }
    let mut missing = Vec::new();
    for document in DOCUMENTS {
        let text = fs::read_to_string(root().join(document)).unwrap();
        let tests = named(&text);
        assert!(tests.len() > 20, "{document} names {} tests", tests.len());
        for (file, test) in tests {
            let function = format!("fn {test}(");
            if !all.get(file).is_some_and(|text| text.contains(&function)) {
                missing.push(format!("{document}: {file}::{test}"));
            }
        }
    }
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

#[test]
fn names_are_found_in_backticks_only() {
    let text = "`a::b_1` and `Type::method`, x::y, `one::two::three`, `plain`";
    assert_eq!(named(text), [("a", "b_1")]);
}
