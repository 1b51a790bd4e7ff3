//! Manifests for tests.

use serde_json::{Value, json};

/// An image that no node can have: nobody listens where it would come from, so
/// the pull fails at once, on every network.
pub const MISSING_IMAGE: &str = "localhost:1/authstack/missing:0";

/// The spec of a stack with one pod of each kind that asks for little, for
/// tests in which numbers and sizes do not matter; `changes` are merged into it.
pub fn small(changes: Value) -> Value {
    let resources = |cpu: &str, memory: &str, limit: &str| json!({"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": limit}});
    let spec = json!({
        "api": {"replicas": 1, "resources": resources("20m", "32Mi", "128Mi")},
        "nginx": {"replicas": 1, "resources": resources("10m", "16Mi", "64Mi")},
        "postgres": {"managed": {"resources": resources("50m", "64Mi", "512Mi")}},
    });
    merged(spec, changes)
}

/// `changes` over `base`: objects key by key, everything else as a whole.
pub fn merged(base: Value, changes: Value) -> Value {
    match (base, changes) {
        (Value::Object(mut base), Value::Object(changes)) => {
            for (key, change) in changes {
                let merged = match base.remove(&key) {
                    Some(old) => merged(old, change),
                    None => change,
                };
                base.insert(key, merged);
            }
            Value::Object(base)
        }
        (_, changes) => changes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_merged_key_by_key() {
        let base = json!({"a": {"x": 1, "y": [1, 2]}, "b": 1});
        let changes = json!({"a": {"y": [3]}, "c": 2});
        let all = json!({"a": {"x": 1, "y": [3]}, "b": 1, "c": 2});
        assert_eq!(merged(base, changes), all);
    }
}
