//! What a manifest says of the way in: nginx and the Ingress.

#![expect(
    unreachable_pub,
    reason = "the derive copies each struct into a function of its own"
)]

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{Resources, schema};

/// nginx's pods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NginxSpec {
    /// How many pods run nginx.
    #[serde(default = "default_nginx_replicas")]
    #[schemars(range(min = 1, max = 100))]
    pub replicas: i32,

    /// The networks, in CIDR notation, whose `X-Forwarded-For` and
    /// `X-Forwarded-Proto` nginx believes: those of the ingress controller. From
    /// anybody else both are overwritten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::cidrs")]
    pub trusted_proxies: Vec<String>,

    /// Image of nginx; the one that `version` pins when it is not set. It runs
    /// as an unprivileged user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::image")]
    pub image: Option<String>,

    /// Compute resources of each pod.
    #[serde(default = "default_nginx_resources")]
    pub resources: Resources,
}

fn default_nginx_replicas() -> i32 {
    2
}

fn default_nginx_resources() -> Resources {
    Resources::new("50m", "32Mi", "128Mi")
}

impl Default for NginxSpec {
    fn default() -> Self {
        Self {
            replicas: default_nginx_replicas(),
            trusted_proxies: Vec::new(),
            image: None,
            resources: default_nginx_resources(),
        }
    }
}

/// The Ingress that leads to nginx.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.tls) || has(self.host)").message("spec.ingress.tls needs spec.ingress.host: set it to the name that the certificate is for"))]
pub struct IngressSpec {
    /// Whether there is an Ingress.
    #[serde(default = "default_true")]
    pub enabled: bool,

    /// The IngressClass; the cluster's default when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub class_name: Option<String>,

    /// The host name that clients use; any when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::host_name")]
    pub host: Option<String>,

    /// Annotations for the Ingress, as its controller understands them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::annotations")]
    pub annotations: BTreeMap<String, String>,

    /// TLS at the Ingress; plain HTTP when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<IngressTls>,
}

fn default_true() -> bool {
    true
}

impl Default for IngressSpec {
    fn default() -> Self {
        Self {
            enabled: true,
            class_name: None,
            host: None,
            annotations: BTreeMap::new(),
            tls: None,
        }
    }
}

/// TLS at the Ingress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngressTls {
    /// A Secret of type `kubernetes.io/tls` in the AuthStack's namespace, with
    /// the certificate and key for `host`.
    #[schemars(schema_with = "schema::object_name")]
    pub secret_name: String,
}
