//! What a manifest says of the way in: nginx and the Ingress.

#![expect(
    unreachable_pub,
    reason = "the derive copies each struct into a function of its own"
)]

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{PodTemplate, Resources, schema};

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

    /// What is added to nginx's pods.
    #[serde(default)]
    pub pod_template: PodTemplate,
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
            pod_template: PodTemplate::default(),
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

/// TLS at the Ingress; exactly one of the fields is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.secretName), has(self.issuerRef), has(self.selfSigned) && self.selfSigned].filter(set, set).size() == 1").message("spec.ingress.tls takes exactly one of secretName, issuerRef and selfSigned: true"))]
pub struct IngressTls {
    /// A Secret of type `kubernetes.io/tls` in the AuthStack's namespace, with
    /// the certificate and key for `host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub secret_name: Option<String>,

    /// The issuer of cert-manager that makes and renews the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_ref: Option<IssuerRef>,

    /// Whether the operator makes and renews the certificate, signed by the
    /// stack's own authority. Clients must be told to trust it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub self_signed: bool,
}

/// An issuer of cert-manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuerRef {
    /// Name of the issuer.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,

    /// `Issuer`, in the AuthStack's namespace, or `ClusterIssuer`; with `group`,
    /// another kind.
    #[serde(default = "default_issuer_kind")]
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,

    /// The API group of the kind.
    #[serde(default = "default_issuer_group")]
    #[schemars(schema_with = "schema::object_name")]
    pub group: String,
}

fn default_issuer_kind() -> String {
    "Issuer".to_owned()
}

fn default_issuer_group() -> String {
    "cert-manager.io".to_owned()
}

/// An HTTPRoute of the Gateway API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpRouteSpec {
    /// The Gateways, or their listeners, that the route is for.
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub parent_refs: Vec<ParentRef>,

    /// The host names that clients use, of which the first is the stack's URL;
    /// those of the listeners when it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::host_names")]
    pub hostnames: Vec<String>,
}

/// What an HTTPRoute is attached to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParentRef {
    /// Name of the Gateway.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,

    /// Namespace of the Gateway; the AuthStack's own when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub namespace: Option<String>,

    /// Name of the listener; every one when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub section_name: Option<String>,

    /// Port of the listener; every one when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
}
