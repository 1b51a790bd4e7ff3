//! What the definition owes its readers and the API server's cost budget.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Map, Value};

/// Calls `visit` with the path and schema of every field, arrays' items and
/// maps' values included.
fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Map<String, Value>)) {
    let schema = schema.as_object().unwrap();
    visit(path, schema);
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, visit);
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(inner) = schema.get(key).filter(|inner| inner.is_object()) {
            walk(&format!("{path}{suffix}"), inner, visit);
        }
    }
}

/// The paths at which a check fails.
fn failures(failing: impl Fn(&Map<String, Value>) -> bool) -> Vec<String> {
    let definition = serde_json::to_value(authstack_crds::crd()).unwrap();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut found = Vec::new();
    for part in ["spec", "status"] {
        walk(part, &schema["properties"][part], &mut |path, schema| {
            if failing(schema) {
                found.push(path.to_owned());
            }
        });
    }
    found
}

#[test]
fn every_field_says_what_it_is() {
    let undocumented: Vec<_> = failures(|schema| {
        let text = schema.get("description").and_then(Value::as_str);
        text.is_none_or(|text| !text.ends_with('.'))
    })
    .into_iter()
    .filter(|path| !path.ends_with("[]") && !path.ends_with("{}"))
    .collect();
    assert!(undocumented.is_empty(), "no description: {undocumented:?}");
}

#[test]
fn everything_in_the_spec_has_a_bound() {
    let unbounded: Vec<_> = failures(|schema| {
        let kind = schema.get("type").and_then(Value::as_str);
        let bound = match kind {
            Some("string") => schema.contains_key("maxLength") || schema.contains_key("enum"),
            Some("array") => schema.contains_key("maxItems"),
            Some("integer") => schema.contains_key("maximum"),
            Some("object") if schema.contains_key("additionalProperties") => {
                schema.contains_key("maxProperties")
            }
            _ => true,
        };
        !bound
    })
    .into_iter()
    .filter(|path| path.starts_with("spec"))
    .collect();
    assert!(unbounded.is_empty(), "no bound: {unbounded:?}");
}

#[test]
fn no_format_is_unsigned() {
    // The API server knows none and warns of each.
    let unsigned = failures(|schema| {
        let format = schema.get("format").and_then(Value::as_str);
        format.is_some_and(|format| format.starts_with("uint"))
    });
    assert!(unsigned.is_empty(), "{unsigned:?}");
}
