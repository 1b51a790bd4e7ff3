//! Whose field is whose, as `metadata.managedFields` says. Simpler than the real
//! thing: who writes a field has it alone.

use serde_json::{Map, Value, json};

use super::wire::merge;

pub(crate) const APPLY: &str = "Apply";
pub(crate) const UPDATE: &str = "Update";

/// Who writes, and how.
#[derive(Clone, Copy)]
pub(crate) struct Manager<'a> {
    pub(crate) name: &'a str,
    pub(crate) operation: &'static str,
}

/// A person with an editor.
pub(crate) const SOMEBODY: Manager<'static> = Manager {
    name: "somebody",
    operation: UPDATE,
};

/// Notes who has written these fields of an object.
pub(crate) fn note(object: &mut Value, by: Manager<'_>, written: &Value) {
    let written = fields(written);
    let entries = object["metadata"]["managedFields"].as_array().cloned();
    let mut entries = entries.unwrap_or_default();
    let is_own = |entry: &Value| entry["manager"] == by.name && entry["operation"] == by.operation;
    for entry in entries.iter_mut().filter(|entry| !is_own(entry)) {
        subtract(&mut entry["fieldsV1"], &written);
    }
    match entries.iter_mut().find(|entry| is_own(entry)) {
        // An apply says all that it wants.
        Some(own) if by.operation == APPLY => own["fieldsV1"] = written,
        Some(own) => merge(&mut own["fieldsV1"], &written),
        None => entries.push(json!({
            "manager": by.name, "operation": by.operation, "fieldsV1": written,
        })),
    }
    entries.retain(|entry| entry["fieldsV1"] != json!({}));
    object["metadata"]["managedFields"] = json!(entries);
}

/// The names of an object's fields, as `fieldsV1` has them.
fn fields(object: &Value) -> Value {
    let members = object.as_object().into_iter().flatten();
    let named = members.map(|(name, value)| (format!("f:{name}"), fields(value)));
    Value::Object(named.collect::<Map<_, _>>())
}

fn subtract(from: &mut Value, what: &Value) {
    let (Some(from), Some(what)) = (from.as_object_mut(), what.as_object()) else {
        return;
    };
    for (name, inner) in what {
        let Some(left) = from.get_mut(name) else {
            continue;
        };
        subtract(left, inner);
        if *left == json!({}) {
            from.remove(name);
        }
    }
}
