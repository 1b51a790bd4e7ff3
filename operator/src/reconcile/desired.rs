//! The objects that a stack consists of, as they are to be.
//!
//! [`Desired`] has one field for each child. Whoever handles children takes it
//! apart without `..`, so a child that is added here and forgotten there does
//! not compile.

mod api;
mod autoscaler;
mod binding;
mod certificate;
mod certificates;
mod cluster;
mod credentials;
mod disruption_budget;
mod http_route;
mod ingress;
mod network_policy;
mod nginx;
mod nginx_conf;
mod pod;
mod pod_monitor;
mod postgres;
mod postgres_reload;
mod signing_keys;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource as _;

use authstack_crds::{AuthStack, DeletionPolicy};

use super::dereference::Inputs;
use super::labels;
use super::names::Component;
use super::validate::{Database, Signing, Stack, Tls};
use crate::foreign::cert_manager::Certificate;
use crate::foreign::cloud_native_pg::{self, Pooler};
use crate::foreign::gateway::HTTPRoute;
use crate::foreign::prometheus::PodMonitor;

/// How far the children have come.
pub trait Stage {
    /// What a child of kind `K` is at this stage.
    type Child<K>;
}

/// Built, and not sent anywhere.
#[derive(Debug)]
pub struct Prepared;

impl Stage for Prepared {
    type Child<K> = K;
}

/// The children of one stack.
pub struct Desired<S: Stage> {
    /// Generated passwords and keys.
    pub credentials: S::Child<Secret>,
    /// The keys that sign tokens, if they are the stack's own.
    pub signing_keys: Option<S::Child<Secret>>,
    /// What client workloads need to know.
    pub binding: S::Child<Secret>,
    /// The authority that signs the stack's certificates.
    pub authority: S::Child<Secret>,
    /// The database, if the operator runs it.
    pub postgres: Option<Postgres<S>>,
    /// The database, if CloudNativePG runs it.
    pub cluster: Option<Cluster<S>>,
    /// The API.
    pub api: Api<S>,
    /// The reverse proxy.
    pub nginx: Nginx<S>,
    /// The Ingress's certificate, if the stack's own authority signs it.
    pub ingress_tls: Option<S::Child<Secret>>,
    /// The Ingress's certificate, if cert-manager is to get it.
    pub certificate: Option<S::Child<Certificate>>,
    /// The way in, if there is one.
    pub ingress: Option<S::Child<Ingress>>,
    /// The way in from Gateways, if there is one.
    pub http_route: Option<S::Child<HTTPRoute>>,
    /// What tells Prometheus about the stack's pods, if it is to be told.
    pub pod_monitor: Option<S::Child<PodMonitor>>,
}

/// The objects of a database that CloudNativePG runs.
pub struct Cluster<S: Stage> {
    /// The password of the role that owns the database.
    pub owner_secret: S::Child<Secret>,
    /// The password of the role that the API connects as.
    pub runtime_secret: S::Child<Secret>,
    /// Who may connect to its pods.
    pub network_policy: Option<S::Child<NetworkPolicy>>,
    /// Its pods and volumes.
    pub cluster: S::Child<cloud_native_pg::Cluster>,
    /// PgBouncer in front of it, if it is to be there.
    pub pooler: Option<S::Child<Pooler>>,
}

/// The objects of a managed database.
pub struct Postgres<S: Stage> {
    /// What its pod runs as.
    pub service_account: S::Child<ServiceAccount>,
    /// What it proves itself with.
    pub tls: S::Child<Secret>,
    /// What its first boot does.
    pub config_map: S::Child<ConfigMap>,
    /// Where clients find it.
    pub service: S::Child<Service>,
    /// What governs its pod's name.
    pub headless_service: S::Child<Service>,
    /// Who may connect to its pod.
    pub network_policy: Option<S::Child<NetworkPolicy>>,
    /// Whom its Jobs may connect to.
    pub job_network_policy: Option<S::Child<NetworkPolicy>>,
    /// Its pod and volume.
    pub stateful_set: S::Child<StatefulSet>,
    /// What has it read its certificate again, if that is due.
    pub reload: Option<S::Child<Job>>,
}

/// The objects of the API.
pub struct Api<S: Stage> {
    /// What its pods run as.
    pub service_account: S::Child<ServiceAccount>,
    /// What it proves itself with.
    pub tls: S::Child<Secret>,
    /// Where nginx finds it.
    pub service: S::Child<Service>,
    /// Who may connect to its pods, and whom they may connect to.
    pub network_policy: Option<S::Child<NetworkPolicy>>,
    /// How many of its pods may be taken away at a time.
    pub disruption_budget: S::Child<PodDisruptionBudget>,
    /// Its pods. Where there is an autoscaler, their number is only what they
    /// start from.
    pub deployment: S::Child<Deployment>,
    /// What owns their number, if something does.
    pub autoscaler: Option<S::Child<HorizontalPodAutoscaler>>,
}

/// The objects of nginx.
pub struct Nginx<S: Stage> {
    /// What its pods run as.
    pub service_account: S::Child<ServiceAccount>,
    /// Its configuration.
    pub config_map: S::Child<ConfigMap>,
    /// Where the Ingress finds it.
    pub service: S::Child<Service>,
    /// Who may connect to its pods, and whom they may connect to.
    pub network_policy: Option<S::Child<NetworkPolicy>>,
    /// How many of its pods may be taken away at a time.
    pub disruption_budget: S::Child<PodDisruptionBudget>,
    /// Its pods.
    pub deployment: S::Child<Deployment>,
}

impl Desired<Prepared> {
    /// The NetworkPolicies of all parts.
    pub(super) fn network_policies(&self) -> impl Iterator<Item = &NetworkPolicy> {
        let postgres = self.postgres.iter();
        let postgres =
            postgres.flat_map(|it| it.network_policy.iter().chain(&it.job_network_policy));
        let cluster = self.cluster.iter();
        let cluster = cluster.flat_map(|it| &it.network_policy);
        let (api, nginx) = (&self.api.network_policy, &self.nginx.network_policy);
        postgres.chain(cluster).chain(api).chain(nginx)
    }
}

/// Builds every child of a stack.
#[must_use]
pub fn build(stack: &Stack, inputs: &Inputs) -> Desired<Prepared> {
    let own = &inputs.certificates;
    let postgres = match (&stack.database, &own.postgres) {
        (Database::Managed(postgres), Some(leaf)) => Some(postgres::build(stack, postgres, leaf)),
        (Database::Managed(_) | Database::CloudNativePg(_) | Database::External { .. }, _) => None,
    };
    let is_self_signed = |ingress: &super::validate::Ingress| ingress.tls == Some(Tls::SelfSigned);
    let ingress_leaf = own.ingress.as_ref();
    let ingress_leaf = ingress_leaf.filter(|_| stack.ingress.as_ref().is_some_and(is_self_signed));
    let cluster = match &stack.database {
        Database::CloudNativePg(spec) => Some(cluster::build(stack, spec, &inputs.credentials)),
        Database::Managed(_) | Database::External { .. } => None,
    };
    let certificate = stack
        .ingress
        .as_ref()
        .and_then(|ingress| match &ingress.tls {
            Some(Tls::Issuer(issuer)) => Some(certificate::build(stack, ingress, issuer)),
            Some(Tls::Secret(_) | Tls::SelfSigned) | None => None,
        });
    Desired {
        credentials: credentials::build(stack, &inputs.credentials),
        signing_keys: inputs
            .signing_keys
            .as_ref()
            .filter(|_| stack.tokens.signing == Signing::EdDsa)
            .map(|keys| signing_keys::build(stack, keys)),
        binding: binding::build(stack),
        authority: certificates::authority(stack, &own.authority),
        postgres,
        cluster,
        api: api::build(stack, &own.api),
        nginx: nginx::build(stack, &own.authority),
        certificate,
        ingress_tls: ingress_leaf.map(|leaf| {
            certificates::leaf(stack, Component::Ingress, stack.names.ingress_tls(), leaf)
        }),
        ingress: stack
            .ingress
            .as_ref()
            .map(|ingress| ingress::build(stack, ingress)),
        http_route: stack
            .http_route
            .as_ref()
            .map(|route| http_route::build(stack, route)),
        pod_monitor: stack
            .monitoring
            .pod_monitor
            .then(|| pod_monitor::build(stack)),
    }
}

/// Metadata of a child that lives and dies with the stack.
fn owned(stack: &Stack, component: Component, name: String) -> ObjectMeta {
    ObjectMeta {
        owner_references: Some(vec![owner(stack)]),
        ..unowned(stack, component, name)
    }
}

/// Metadata of a child that the garbage collector must not take with a stack
/// whose data stays: the keys to a volume, and what users' sessions hang on.
fn kept(stack: &Stack, component: Component, name: String) -> ObjectMeta {
    match stack.deletion_policy {
        DeletionPolicy::Retain => unowned(stack, component, name),
        DeletionPolicy::Delete => owned(stack, component, name),
    }
}

/// Metadata of a child that may outlive the stack.
fn unowned(stack: &Stack, component: Component, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(stack.names.namespace.clone()),
        labels: Some(labels::object(
            &stack.names.stack,
            component,
            &stack.version,
        )),
        ..ObjectMeta::default()
    }
}

/// The reference that makes the stack a child's controller.
fn owner(stack: &Stack) -> OwnerReference {
    OwnerReference {
        api_version: AuthStack::api_version(&()).into_owned(),
        kind: AuthStack::kind(&()).into_owned(),
        name: stack.names.stack.clone(),
        uid: stack.uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}
