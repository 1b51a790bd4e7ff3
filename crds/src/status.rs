//! What the operator says of a stack.

#![expect(
    unreachable_pub,
    reason = "the derive copies each struct into a function of its own"
)]

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// What the operator has seen of the stack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthStackStatus {
    /// The generation of the manifest that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The state of the stack. `Ready` is the one to wait on: this generation,
    /// fully rolled out. `Available`: serving now, also in the middle of a
    /// rollout. `Reconciling`: work is in progress. `Stalled`: nothing moves
    /// until somebody acts; the message says how.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,

    /// A digest of the manifest, `paused` apart, whose objects were last applied
    /// whole: it tells whether a paused stack has changes waiting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_spec: Option<String>,

    /// Where clients reach the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,

    /// The version that is fully rolled out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,

    /// How many pods of the API exist; the scale subresource reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,

    /// How many of them are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,

    /// Ready and wanted pods of the API in one word, such as `3/3`, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_replicas: Option<String>,

    /// The label selector of the API's pods; the scale subresource reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,

    /// The Secret that client workloads can mount to find the stack, as the
    /// Service Binding specification wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<BindingStatus>,

    /// The certificates of the stack and when they expire.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::certificates")]
    pub certificates: Vec<CertificateStatus>,
}

/// Where client workloads find the stack (servicebinding.io, "Provisioned
/// Service").
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BindingStatus {
    /// Name of a Secret in the AuthStack's namespace.
    pub name: String,
}

/// A certificate in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// Name of the Secret that holds it.
    pub secret_name: String,
    /// When it expires.
    pub not_after: Time,
}

/// The types of the conditions in a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionType {
    /// This generation is fully rolled out.
    Ready,
    /// Generated credentials exist and are whole.
    CredentialsReady,
    /// The database accepts connections.
    DatabaseReady,
    /// All wanted pods of the API are ready, at this generation.
    ApiReady,
    /// All wanted pods of nginx are ready, at this generation.
    NginxReady,
    /// The Ingress is applied and what it refers to exists.
    IngressReady,
    /// Every Gateway has accepted the HTTPRoute; only where there is one.
    HTTPRouteReady,
    /// Monitoring is told of the stack; only where it is to be.
    MonitoringReady,
    /// Clients are served now.
    Available,
    /// kstatus: work is in progress.
    Reconciling,
    /// kstatus: a human must act.
    Stalled,
}

impl ConditionType {
    /// Every type, in the order in which a status lists them.
    pub const ALL: [Self; 11] = [
        Self::Ready,
        Self::CredentialsReady,
        Self::DatabaseReady,
        Self::ApiReady,
        Self::NginxReady,
        Self::IngressReady,
        Self::HTTPRouteReady,
        Self::MonitoringReady,
        Self::Available,
        Self::Reconciling,
        Self::Stalled,
    ];
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl AuthStackStatus {
    /// The condition of a type, if it has been set.
    #[must_use]
    pub fn condition(&self, of: ConditionType) -> Option<&Condition> {
        let name = of.to_string();
        self.conditions
            .iter()
            .find(|condition| condition.type_ == name)
    }
}
