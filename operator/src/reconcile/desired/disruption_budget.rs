//! How many pods may be taken away at a time, as when nodes are drained.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::owned;
use crate::reconcile::labels;
use crate::reconcile::names::Component;
use crate::reconcile::validate::Stack;

/// One pod at a time of a part that has several. The managed database has none:
/// its single pod would block every drain.
pub(super) fn build(stack: &Stack, component: Component, name: String) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: owned(stack, component, name),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(labels::label_selector(&stack.names.stack, component)),
            // A pod that serves nobody must not keep a node from being drained.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}
