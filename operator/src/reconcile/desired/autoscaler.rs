//! What owns the number of the API's pods, where the manifest asks for it.

use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, MetricSpec,
    MetricTarget, ResourceMetricSource,
};

use super::owned;
use crate::reconcile::names::Component;
use crate::reconcile::validate::Stack;

/// An autoscaler of the API; none for a stack that is stopped, whose zero is
/// ours to say.
pub(super) fn build(stack: &Stack) -> Option<HorizontalPodAutoscaler> {
    let wanted = stack.api.autoscaling.as_ref();
    let wanted = wanted.filter(|_| !stack.stopped)?;
    let cpu = MetricSpec {
        type_: "Resource".to_owned(),
        resource: Some(ResourceMetricSource {
            name: "cpu".to_owned(),
            target: MetricTarget {
                type_: "Utilization".to_owned(),
                average_utilization: Some(wanted.target_cpu_utilization_percentage),
                ..MetricTarget::default()
            },
        }),
        ..MetricSpec::default()
    };
    Some(HorizontalPodAutoscaler {
        metadata: owned(stack, Component::Api, stack.names.api()),
        spec: Some(HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: "Deployment".to_owned(),
                name: stack.names.api(),
            },
            min_replicas: Some(wanted.min_replicas),
            max_replicas: wanted.max_replicas,
            metrics: Some(vec![cpu]),
            ..HorizontalPodAutoscalerSpec::default()
        }),
        ..HorizontalPodAutoscaler::default()
    })
}
