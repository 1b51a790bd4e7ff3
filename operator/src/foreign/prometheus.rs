//! The Prometheus operator's PodMonitor (monitoring.coreos.com/v1).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use serde::{Deserialize, Serialize};

/// Pods that Prometheus is to scrape.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "monitoring.coreos.com",
    version = "v1",
    kind = "PodMonitor",
    plural = "podmonitors",
    namespaced,
    schema = "disabled"
)]
#[serde(default, rename_all = "camelCase")]
pub struct PodMonitorSpec {
    /// Which pods of its own namespace.
    pub selector: LabelSelector,
    /// Where each serves metrics.
    pub pod_metrics_endpoints: Vec<PodMetricsEndpoint>,
}

/// Where a pod serves metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodMetricsEndpoint {
    /// Name of the container's port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Path of the metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}
