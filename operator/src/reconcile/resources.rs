//! Compute resources of a container: what the manifest says, made whole.

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use authstack_crds::Resources;

use super::quantity::amount;

/// What the manifest says, and the default of each resource that it leaves out:
/// who asks for more CPU does not thereby lose the limit on memory. A default
/// gives way to what the manifest says: no request is above its limit.
pub(super) fn complete(spec: &Resources, default: &Resources) -> ResourceRequirements {
    let mut requests = default.requests.clone();
    for (resource, request) in &mut requests {
        let limit = spec.limits.get(resource);
        if let Some(limit) = limit.filter(|limit| exceeds(request, limit)) {
            request.clone_from(limit);
        }
    }
    requests.extend(spec.requests.clone());
    let mut limits = default.limits.clone();
    for (resource, limit) in &mut limits {
        let request = spec.requests.get(resource);
        if let Some(request) = request.filter(|request| exceeds(request, limit)) {
            limit.clone_from(request);
        }
    }
    limits.extend(spec.limits.clone());
    ResourceRequirements {
        requests: Some(requests),
        limits: Some(limits),
        ..ResourceRequirements::default()
    }
}

fn exceeds(one: &Quantity, other: &Quantity) -> bool {
    matches!((amount(one), amount(other)), (Some(one), Some(other)) if one > other)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What becomes of a manifest's words, beside the defaults
    /// `{requests: {cpu: 250m, memory: 256Mi}, limits: {memory: 1Gi}}`.
    fn of(spec: Value) -> Value {
        let resources = |value| serde_json::from_value::<Resources>(value).unwrap();
        let default = json!({
            "requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "1Gi"},
        });
        let complete = complete(&resources(spec), &resources(default));
        serde_json::to_value(complete).unwrap()
    }

    #[test]
    fn what_is_left_out_keeps_its_default() {
        let whole = json!({
            "requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "1Gi"},
        });
        assert_eq!(of(json!({})), whole);
        assert_eq!(
            of(json!({"requests": {"cpu": "2"}})),
            json!({"requests": {"cpu": "2", "memory": "256Mi"}, "limits": {"memory": "1Gi"}})
        );
        assert_eq!(
            of(json!({"limits": {"cpu": "2", "example.com/gpu": "1"}})),
            json!({
                "requests": {"cpu": "250m", "memory": "256Mi"},
                "limits": {"cpu": "2", "example.com/gpu": "1", "memory": "1Gi"},
            })
        );
    }

    #[test]
    fn a_default_gives_way_to_the_manifest() {
        assert_eq!(
            of(json!({"requests": {"memory": "4Gi"}})),
            json!({"requests": {"cpu": "250m", "memory": "4Gi"}, "limits": {"memory": "4Gi"}}),
            "a limit below the request would be refused"
        );
        assert_eq!(
            of(json!({"limits": {"memory": "128Mi", "cpu": "0.1"}})),
            json!({
                "requests": {"cpu": "0.1", "memory": "128Mi"},
                "limits": {"cpu": "0.1", "memory": "128Mi"},
            })
        );
    }

    #[test]
    fn what_the_manifest_says_twice_is_the_api_servers_to_judge() {
        let both = json!({"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}});
        let whole = json!({
            "requests": {"cpu": "250m", "memory": "2Gi"}, "limits": {"memory": "1Gi"},
        });
        assert_eq!(of(both), whole);
    }
}
