//! What a manifest adds to pods, checked.

use authstack_crds::PodTemplate as Spec;
use k8s_openapi::api::core::v1::{Affinity, Toleration};
use serde_json::Value;

use super::error::Error;
use super::labels::Map;

/// What is added to pods.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodTemplate {
    /// Labels, beside the operator's own.
    pub labels: Map,
    /// Annotations, beside the operator's own.
    pub annotations: Map,
    /// Labels of the nodes that the pods may run on.
    pub node_selector: Map,
    /// Taints that the pods put up with.
    pub tolerations: Vec<Toleration>,
    /// Where they run relative to nodes and other pods.
    pub affinity: Option<Affinity>,
    /// Their PriorityClass.
    pub priority_class: Option<String>,
    /// Secrets with credentials for the registry of their images.
    pub image_pull_secrets: Vec<String>,
}

/// Checks what the schema lets through: the affinity, which is too large to
/// stand in it. `field` is where that stands in the manifest.
///
/// # Errors
/// When the affinity is not one, or has a field that no affinity has.
pub(super) fn check(field: &'static str, spec: &Spec) -> Result<PodTemplate, Error> {
    let affinity = spec.affinity.clone().map(Value::Object);
    let affinity = affinity.map(|value| strict(field, value)).transpose()?;
    Ok(PodTemplate {
        labels: spec.labels.clone(),
        annotations: spec.annotations.clone(),
        node_selector: spec.node_selector.clone(),
        tolerations: spec.tolerations.clone(),
        affinity,
        priority_class: spec.priority_class_name.clone(),
        image_pull_secrets: spec
            .image_pull_secrets
            .iter()
            .map(|secret| secret.name.clone())
            .collect(),
    })
}

/// An affinity of which every field was understood.
fn strict(field: &'static str, value: Value) -> Result<Affinity, Error> {
    let invalid = |problem: String| Error::InvalidSpec { field, problem };
    let mut unknown = None;
    let affinity = serde_ignored::deserialize(value, |path| {
        unknown.get_or_insert_with(|| path.to_string());
    })
    .map_err(|error| invalid(format!("is no affinity of a pod: {error}")))?;
    match unknown {
        None => Ok(affinity),
        Some(path) => Err(invalid(format!("has an unknown field {path}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(affinity: &Value) -> Result<PodTemplate, String> {
        let spec = Spec {
            affinity: affinity.as_object().cloned(),
            ..Spec::default()
        };
        check("spec.api.podTemplate.affinity", &spec).map_err(|error| error.to_string())
    }

    #[test]
    fn an_affinity_is_one_or_is_refused_with_its_field() {
        let term = json!({"topologyKey": "zone"});
        let good = json!({"podAntiAffinity":
            {"requiredDuringSchedulingIgnoredDuringExecution": [term]}});
        assert!(
            of(&good)
                .unwrap()
                .affinity
                .unwrap()
                .pod_anti_affinity
                .is_some()
        );
        let refused = of(&json!({"podAntiAfinity": {}})).unwrap_err();
        assert!(
            refused.starts_with("spec.api.podTemplate.affinity: has an unknown field"),
            "{refused}"
        );
        assert!(refused.contains("podAntiAfinity"), "{refused}");
        let refused = of(&json!({"podAntiAffinity": 3})).unwrap_err();
        assert!(refused.contains("is no affinity of a pod"), "{refused}");
    }
}
