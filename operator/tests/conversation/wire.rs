//! What a request asks for: its path, its query, its patch.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// What a path names.
pub(crate) struct Target {
    pub(crate) collection: String,
    pub(crate) name: Option<String>,
    pub(crate) part: Option<String>,
}

impl Target {
    pub(crate) fn parse(path: &str) -> Self {
        let pieces: Vec<&str> = path.trim_matches('/').split('/').collect();
        let root = if pieces[0] == "api" { 2 } else { 3 };
        let kind = if pieces.get(root) == Some(&"namespaces") && pieces.len() > root + 2 {
            root + 2
        } else {
            root
        };
        let end = pieces.len().min(kind + 1);
        let piece = |at: usize| pieces.get(at).map(|piece| (*piece).to_owned());
        Self {
            collection: format!("/{}", pieces[..end].join("/")),
            name: piece(kind + 1),
            part: piece(kind + 2),
        }
    }

    pub(crate) fn path(&self) -> String {
        let name = self.name.as_deref().unwrap_or_default();
        format!("{}/{name}", self.collection)
    }
}

/// The parameters of a query.
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    pub(crate) fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        Self(
            pairs
                .map(|(key, value)| (key.to_owned(), decode(value)))
                .collect(),
        )
    }

    pub(crate) fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    /// Whether an object is among those that are asked for.
    pub(crate) fn selects(&self, object: &Value) -> bool {
        let wanted = |selector: &str, get: &dyn Fn(&str) -> String| {
            let terms = selector.split(',').filter_map(|term| term.split_once('='));
            terms.into_iter().all(|(key, value)| get(key) == value)
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let label = |key: &str| text(&object["metadata"]["labels"][key]);
        let field = |key: &str| {
            let pointer = format!("/{}", key.replace('.', "/"));
            object.pointer(&pointer).map(text).unwrap_or_default()
        };
        wanted(self.get("labelSelector"), &label) && wanted(self.get("fieldSelector"), &field)
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex: String = match byte {
            b'%' => rest.by_ref().take(2).map(char::from).collect(),
            _ => String::new(),
        };
        bytes.push(u8::from_str_radix(&hex, 16).unwrap_or(if byte == b'+' { b' ' } else { byte }));
    }
    String::from_utf8(bytes).unwrap()
}

/// A merge patch (RFC 7396).
pub(crate) fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            into.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut into[key], value);
        }
    }
}
