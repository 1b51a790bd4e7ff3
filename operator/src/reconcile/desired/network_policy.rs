//! Who may talk to whom: one NetworkPolicy for each kind of pod, which denies
//! every connection that it does not name, in and out. Probes need no rule: a
//! node may always reach its own pods.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use authstack_crds::NetworkPolicySpec as Spec;

use super::owned;
use crate::reconcile::labels::{self, Map};
use crate::reconcile::names::{
    API_METRICS_PORT, API_PORT, Component, NGINX_METRICS_PORT, NGINX_PORT, POSTGRES_PORT,
};
use crate::reconcile::validate::{Database, Stack};

/// Where pods ask for names. 5353 is where OpenShift's resolvers listen behind
/// their Service, and some plugins look at a connection after its destination
/// was translated.
const DNS_PORTS: [i32; 2] = [53, 5353];
/// Where API servers listen, behind the `kubernetes` Service and by themselves, on
/// the usual distributions: nothing tells a pod's policy that address.
const API_SERVER_PORTS: [i32; 4] = [443, 6443, 8443, 16443];
/// The label by which CloudNativePG's pods, PgBouncer's among them, name their
/// cluster.
const CNPG_CLUSTER: &str = "cnpg.io/cluster";
/// What CloudNativePG's own pods are called, in whichever namespace they are.
const CNPG_OPERATOR: (&str, &str) = ("app.kubernetes.io/name", "cloudnative-pg");
/// Where CloudNativePG's pods tell their operator, and each other, how they are.
const CNPG_STATUS_PORT: i32 = 8000;
/// Where PostgreSQL and PgBouncer have their metrics under CloudNativePG.
const CNPG_METRICS_PORTS: [i32; 2] = [9187, 9127];

/// nginx: from whoever may use the stack, to the API.
pub(super) fn nginx(stack: &Stack) -> Option<NetworkPolicy> {
    let spec = stack.network_policy.as_ref()?;
    let ingress = vec![
        from(some(&spec.ingress_from), &[NGINX_PORT]),
        from(Some(metrics_peers(spec)), &[NGINX_METRICS_PORT]),
    ];
    let egress = vec![to(vec![pods(stack, Component::Api)], &[API_PORT]), dns()];
    let name = stack.names.nginx();
    Some(policy(stack, Component::Nginx, name, ingress, egress))
}

/// The API: from nginx, to the database and to whom the manifest names.
pub(super) fn api(stack: &Stack) -> Option<NetworkPolicy> {
    let spec = stack.network_policy.as_ref()?;
    let ingress = vec![
        from(Some(vec![pods(stack, Component::Nginx)]), &[API_PORT]),
        from(Some(metrics_peers(spec)), &[API_METRICS_PORT]),
    ];
    let mut egress: Vec<_> = database(stack, spec).into_iter().collect();
    egress.push(dns());
    if let Some(peers) = some(&spec.egress_to) {
        egress.push(NetworkPolicyEgressRule {
            to: Some(peers),
            ports: None,
        });
    }
    let name = stack.names.api();
    Some(policy(stack, Component::Api, name, ingress, egress))
}

/// The managed database: from the API and its own Jobs, to nobody.
pub(super) fn postgres(stack: &Stack) -> Option<NetworkPolicy> {
    stack.network_policy.as_ref()?;
    let clients = [Component::Api, Component::PostgresJob];
    let clients = clients.map(|component| pods(stack, component)).to_vec();
    let ingress = vec![from(Some(clients), &[POSTGRES_PORT])];
    let name = stack.names.postgres();
    Some(policy(stack, Component::Postgres, name, ingress, vec![]))
}

/// The Jobs that do something to the managed database: to it, from nobody.
pub(super) fn postgres_job(stack: &Stack) -> Option<NetworkPolicy> {
    stack.network_policy.as_ref()?;
    let database = vec![pods(stack, Component::Postgres)];
    let egress = vec![to(database, &[POSTGRES_PORT]), dns()];
    let name = stack.names.postgres_job();
    Some(policy(stack, Component::PostgresJob, name, vec![], egress))
}

/// The pods of a database that CloudNativePG runs: from the API, their operator
/// and each other; to each other and to the API server, without which they stop.
pub(super) fn cluster(stack: &Stack) -> Option<NetworkPolicy> {
    let spec = stack.network_policy.as_ref()?;
    let peers = [POSTGRES_PORT, CNPG_STATUS_PORT];
    let (name, value) = CNPG_OPERATOR;
    let operator = NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector::default()),
        ..labelled(Map::from([(name.to_owned(), value.to_owned())]))
    };
    let ingress = vec![
        from(Some(vec![pods(stack, Component::Api)]), &[POSTGRES_PORT]),
        from(Some(vec![labelled(members(stack)), operator]), &peers),
        from(Some(metrics_peers(spec)), &CNPG_METRICS_PORTS),
    ];
    let egress = vec![
        to(vec![labelled(members(stack))], &peers),
        anywhere(API_SERVER_PORTS.map(tcp).to_vec()),
        dns(),
    ];
    let name = stack.names.postgres();
    let mut policy = policy(stack, Component::Postgres, name, ingress, egress);
    if let Some(spec) = &mut policy.spec {
        spec.pod_selector = labelled(members(stack)).pod_selector;
    }
    Some(policy)
}

/// The label of every pod that belongs to CloudNativePG's cluster.
fn members(stack: &Stack) -> Map {
    Map::from([(CNPG_CLUSTER.to_owned(), stack.names.postgres())])
}

/// The way from the API to its database. Where that is an address that nobody
/// has narrowed down, any on PostgreSQL's port.
fn database(stack: &Stack, spec: &Spec) -> Option<NetworkPolicyEgressRule> {
    match &stack.database {
        Database::Managed(_) => Some(to(vec![pods(stack, Component::Postgres)], &[POSTGRES_PORT])),
        Database::CloudNativePg(_) => Some(to(vec![labelled(members(stack))], &[POSTGRES_PORT])),
        Database::External { ports, .. } => spec
            .egress_to
            .is_empty()
            .then(|| anywhere(ports.iter().map(|port| tcp(*port)).collect())),
    }
}

/// The way to the resolver, at any address: it may be a pod of any label, a
/// cache on the node's own network that no selector of pods matches, or a
/// machine outside. A rule that misses it takes the whole stack down; a wider
/// one lets out little more than the resolver itself would forward.
fn dns() -> NetworkPolicyEgressRule {
    let ports = DNS_PORTS.iter().flat_map(|port| {
        let port = *port;
        [transport("UDP", port), transport("TCP", port)]
    });
    anywhere(ports.collect())
}

fn policy(
    stack: &Stack,
    component: Component,
    name: String,
    ingress: Vec<NetworkPolicyIngressRule>,
    egress: Vec<NetworkPolicyEgressRule>,
) -> NetworkPolicy {
    NetworkPolicy {
        metadata: owned(stack, component, name),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(labels::label_selector(&stack.names.stack, component)),
            // Both, so that a direction without rules is closed.
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(ingress).filter(|rules| !rules.is_empty()),
            egress: Some(egress).filter(|rules| !rules.is_empty()),
        }),
    }
}

/// Peers, of which none means all.
fn some(peers: &[NetworkPolicyPeer]) -> Option<Vec<NetworkPolicyPeer>> {
    (!peers.is_empty()).then(|| peers.to_vec())
}

/// Who may read metrics: any pod of the cluster, unless the manifest says who.
fn metrics_peers(spec: &Spec) -> Vec<NetworkPolicyPeer> {
    some(&spec.metrics_from).unwrap_or_else(|| {
        vec![NetworkPolicyPeer {
            namespace_selector: Some(LabelSelector::default()),
            ..NetworkPolicyPeer::default()
        }]
    })
}

fn from(peers: Option<Vec<NetworkPolicyPeer>>, ports: &[i32]) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule {
        from: peers,
        ports: Some(ports.iter().map(|port| tcp(*port)).collect()),
    }
}

fn to(peers: Vec<NetworkPolicyPeer>, ports: &[i32]) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule {
        to: Some(peers),
        ports: Some(ports.iter().map(|port| tcp(*port)).collect()),
    }
}

/// To any address, on these ports.
fn anywhere(ports: Vec<NetworkPolicyPort>) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule {
        to: None,
        ports: Some(ports),
    }
}

/// The pods of a part of the stack.
fn pods(stack: &Stack, component: Component) -> NetworkPolicyPeer {
    labelled(labels::selector(&stack.names.stack, component))
}

/// Pods of the stack's own namespace.
fn labelled(labels: Map) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        pod_selector: Some(LabelSelector {
            match_labels: Some(labels),
            ..LabelSelector::default()
        }),
        ..NetworkPolicyPeer::default()
    }
}

fn tcp(port: i32) -> NetworkPolicyPort {
    transport("TCP", port)
}

fn transport(protocol: &str, port: i32) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(protocol.to_owned()),
        port: Some(IntOrString::Int(port)),
        end_port: None,
    }
}

#[cfg(test)]
mod tests;
