//! The labels of a stack's objects.
//!
//! Selectors cannot change once a workload exists, so they hold what names the
//! stack and the component and nothing that may move.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::names::Component;

/// Labels or annotations.
pub type Map = BTreeMap<String, String>;

/// The label that says whose object this is.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// The label that says which part of the stack it is.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// The label that the operator's watches select by.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY`], and the operator's field manager.
pub const OPERATOR: &str = "authstack-operator";
const NAME: &str = "app.kubernetes.io/name";
const PART_OF: &str = "app.kubernetes.io/part-of";
const VERSION: &str = "app.kubernetes.io/version";

/// What a workload selects its pods by, and a Service its backends.
#[must_use]
pub fn selector(stack: &str, component: Component) -> Map {
    to_map(&[
        (NAME, "authstack"),
        (INSTANCE, stack),
        (COMPONENT, component.as_str()),
    ])
}

/// The same as a workload's selector field.
#[must_use]
pub fn label_selector(stack: &str, component: Component) -> LabelSelector {
    LabelSelector {
        match_labels: Some(selector(stack, component)),
        ..LabelSelector::default()
    }
}

/// The same as `kubectl -l` and the scale subresource write it.
#[must_use]
pub fn selector_string(stack: &str, component: Component) -> String {
    let pairs: Vec<_> = selector(stack, component)
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join(",")
}

/// Labels of pods and claims: none that changes with an upgrade, because a
/// changed template restarts its pods.
#[must_use]
pub fn pod(stack: &str, component: Component) -> Map {
    let mut labels = selector(stack, component);
    labels.extend(to_map(&[(PART_OF, "authstack"), (MANAGED_BY, OPERATOR)]));
    labels
}

/// Labels of the objects that the operator writes.
#[must_use]
pub fn object(stack: &str, component: Component, version: &str) -> Map {
    let mut labels = pod(stack, component);
    labels.extend(to_map(&[(VERSION, version)]));
    labels
}

/// What the operator's watches select by.
#[must_use]
pub fn managed_selector() -> String {
    format!("{MANAGED_BY}={OPERATOR}")
}

/// What selects everything of one stack.
#[must_use]
pub fn instance_selector(stack: &str) -> String {
    format!("{MANAGED_BY}={OPERATOR},{INSTANCE}={stack}")
}

fn to_map(pairs: &[(&str, &str)]) -> Map {
    pairs
        .iter()
        .map(|&(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
