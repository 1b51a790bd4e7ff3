//! The PodMonitor by which Prometheus finds the pods of the API and of nginx.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use super::owned;
use crate::foreign::prometheus::{PodMetricsEndpoint, PodMonitor, PodMonitorSpec};
use crate::reconcile::labels;
use crate::reconcile::names::Component;
use crate::reconcile::validate::Stack;

pub(super) fn build(stack: &Stack) -> PodMonitor {
    let mut metadata = owned(stack, Component::Monitoring, stack.names.pod_monitor());
    let ours = metadata.labels.take().unwrap_or_default();
    let mut labels = stack.monitoring.labels.clone();
    // The watches and the owner's check depend on these.
    labels.extend(ours);
    metadata.labels = Some(labels);
    // The parts differ in one label.
    let parts = [Component::Api, Component::Nginx];
    let mut common = labels::selector(&stack.names.stack, Component::Api);
    common.remove(labels::COMPONENT);
    let selector = LabelSelector {
        match_labels: Some(common),
        match_expressions: Some(vec![LabelSelectorRequirement {
            key: labels::COMPONENT.to_owned(),
            operator: "In".to_owned(),
            values: Some(parts.map(|part| part.as_str().to_owned()).to_vec()),
        }]),
    };
    PodMonitor {
        metadata,
        spec: PodMonitorSpec {
            selector,
            pod_metrics_endpoints: vec![PodMetricsEndpoint {
                port: Some("metrics".to_owned()),
                path: Some("/metrics".to_owned()),
            }],
        },
    }
}
