//! A stack as builders get it: typed, with every default, image and URL decided.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use authstack_crds::{
    AutoscalingSpec, CloudNativePgSpec, DeletionPolicy, EnvFromRef, HttpRouteSpec, IssuerRef,
    LogLevel, MonitoringSpec, NetworkPolicySpec, Registration, SecretKeyRef,
};

use super::labels::Map;
use super::names::Names;
use super::pod_template::PodTemplate;

/// A stack as it is to be.
#[derive(Clone, Debug)]
pub struct Stack {
    /// The names of its objects.
    pub names: Names,
    /// The AuthStack's uid, which owner references carry.
    pub uid: String,
    /// The version in force.
    pub version: String,
    /// Whether everything is scaled to zero.
    pub stopped: bool,
    /// What becomes of the data when the stack is deleted.
    pub deletion_policy: DeletionPolicy,
    /// Where clients reach it, without a trailing slash. From the manifest
    /// alone: an address that may change must not end up in tokens.
    pub public_url: String,
    /// The API's pods.
    pub api: Api,
    /// What goes into tokens.
    pub tokens: Tokens,
    /// Who may register.
    pub registration: Registration,
    /// The fewest characters of a new password.
    pub password_min_length: i32,
    /// The database.
    pub database: Database,
    /// nginx's pods.
    pub nginx: Nginx,
    /// The Ingress, if there is one.
    pub ingress: Option<Ingress>,
    /// The HTTPRoute, if there is one.
    pub http_route: Option<HttpRouteSpec>,
    /// Who may talk to whom, if that is limited.
    pub network_policy: Option<NetworkPolicySpec>,
    /// What tells monitoring about the stack.
    pub monitoring: MonitoringSpec,
    /// Digest of the secrets that the API's pods read at start.
    pub secrets_checksum: String,
}

/// The API's pods.
#[derive(Clone, Debug)]
pub struct Api {
    /// How many.
    pub replicas: i32,
    /// Their image.
    pub image: String,
    /// Their resources.
    pub resources: ResourceRequirements,
    /// How much they log.
    pub log_level: LogLevel,
    /// What owns their number instead of `replicas`, if something does.
    pub autoscaling: Option<AutoscalingSpec>,
    /// Where further settings come from.
    pub env_from: Vec<EnvFromRef>,
    /// What is added to them.
    pub pod_template: PodTemplate,
}

/// What goes into tokens.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// How long access tokens are valid.
    pub access_ttl: String,
    /// How long sessions last.
    pub refresh_ttl: String,
    /// The `iss` claim.
    pub issuer: String,
    /// The `aud` claim.
    pub audience: String,
    /// What signs them.
    pub signing: Signing,
}

/// What signs tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signing {
    /// A file of Ed25519 keys that the operator makes.
    EdDsa,
    /// A shared secret: the manifest's, or else the one in the credentials.
    Hs256(Option<SecretKeyRef>),
}

/// The database.
#[derive(Clone, Debug)]
pub enum Database {
    /// The operator runs it.
    Managed(Box<Postgres>),
    /// CloudNativePG runs it for the operator.
    CloudNativePg(CloudNativePgSpec),
    /// Somebody else does.
    External {
        /// Where the API's URL stands.
        url: SecretKeyRef,
        /// Where the URL for migrations stands.
        owner_url: SecretKeyRef,
        /// The role that the API connects as, where migrations must grant it
        /// something because they run as another.
        runtime_role: Option<String>,
        /// The ports on which it listens, as the URLs say.
        ports: BTreeSet<i32>,
    },
}

/// A database that the operator runs.
#[derive(Clone, Debug)]
pub struct Postgres {
    /// Major version.
    pub major: i32,
    /// Its image.
    pub image: String,
    /// Its resources.
    pub resources: ResourceRequirements,
    /// How large the data volume is.
    pub storage_size: Quantity,
    /// What makes the volume; the cluster's default if not set.
    pub storage_class: Option<String>,
    /// Settings, as in `postgresql.conf`.
    pub parameters: BTreeMap<String, String>,
    /// What is added to its pod.
    pub pod_template: PodTemplate,
}

/// nginx's pods.
#[derive(Clone, Debug)]
pub struct Nginx {
    /// How many.
    pub replicas: i32,
    /// Their image.
    pub image: String,
    /// Their resources.
    pub resources: ResourceRequirements,
    /// Networks whose forwarded headers are believed.
    pub trusted_proxies: Vec<String>,
    /// What is added to them.
    pub pod_template: PodTemplate,
}

/// The Ingress.
#[derive(Clone, Debug)]
pub struct Ingress {
    /// Its class; the cluster's default if not set.
    pub class: Option<String>,
    /// Its host; any if not set.
    pub host: Option<String>,
    /// What its controller is told.
    pub annotations: Map,
    /// Where its certificate comes from, if it ends TLS.
    pub tls: Option<Tls>,
}

/// Where an Ingress's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// A Secret that somebody else fills.
    Secret(String),
    /// cert-manager.
    Issuer(IssuerRef),
    /// The stack's own authority.
    SelfSigned,
}
