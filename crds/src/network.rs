//! What a manifest says of the network and of who watches the stack.

#![expect(
    unreachable_pub,
    reason = "the derive copies each struct into a function of its own"
)]

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Who may talk to whom: one NetworkPolicy for each kind of pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicySpec {
    /// Whether there are NetworkPolicies. They need a network plugin that
    /// enforces them.
    #[serde(default = "default_true")]
    pub enabled: bool,

    /// Who may reach nginx, as peers of a NetworkPolicy: the ingress controller
    /// or the Gateway, and whoever else. Anybody when it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::peers")]
    pub ingress_from: Vec<NetworkPolicyPeer>,

    /// Who may read the metrics of the API, of nginx and of CloudNativePG's pods:
    /// Prometheus. Any pod of the cluster when it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::peers")]
    pub metrics_from: Vec<NetworkPolicyPeer>,

    /// Whom the API may reach besides the stack's own database and DNS: an
    /// external database, a receiver of traces. With `postgres.external` and
    /// none here it may reach any address on PostgreSQL's port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::peers")]
    pub egress_to: Vec<NetworkPolicyPeer>,
}

fn default_true() -> bool {
    true
}

impl Default for NetworkPolicySpec {
    fn default() -> Self {
        Self {
            enabled: true,
            ingress_from: Vec::new(),
            metrics_from: Vec::new(),
            egress_to: Vec::new(),
        }
    }
}

/// What tells monitoring about the stack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitoringSpec {
    /// Whether there is a PodMonitor of the Prometheus operator
    /// (monitoring.coreos.com) for the pods of the API and of nginx.
    #[serde(default)]
    pub pod_monitor: bool,

    /// Labels that the PodMonitor gets, for a Prometheus that selects by them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub labels: BTreeMap<String, String>,
}
