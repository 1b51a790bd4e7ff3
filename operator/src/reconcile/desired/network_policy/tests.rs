//! Whole objects, and what a set of policies allows between pods.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::*;
use crate::args::Images;
use crate::reconcile::dereference::Inputs;
use crate::reconcile::desired::{Desired, Prepared, build};
use crate::reconcile::validate::validate;

fn desired(spec: &Value) -> Desired<Prepared> {
    build(&stack(spec), &Inputs::placeholders())
}

fn stack(spec: &Value) -> Stack {
    let object = json!({
        "apiVersion": "auth.dataviv.com/v1alpha1", "kind": "AuthStack",
        "metadata": {"name": "shop", "namespace": "store", "uid": "u"},
        "spec": spec,
    });
    let inputs = Inputs::placeholders();
    let stack = serde_json::from_value(object).unwrap();
    validate(&stack, &inputs, &Images::default()).unwrap()
}

/// A pod, by what policies know of it.
#[derive(Clone)]
struct Pod {
    namespace: &'static str,
    labels: Map,
}

fn pod(namespace: &'static str, labels: &[(&str, &str)]) -> Pod {
    let owned = |&(key, value): &(&str, &str)| (key.to_owned(), value.to_owned());
    Pod {
        namespace,
        labels: labels.iter().map(owned).collect(),
    }
}

/// A pod of a stack in the namespace `store`.
fn of(stack: &str, component: Component) -> Pod {
    Pod {
        namespace: "store",
        labels: labels::pod(stack, component),
    }
}

fn matches(selector: &LabelSelector, labels: &Map) -> bool {
    assert_eq!(selector.match_expressions, None, "not evaluated here");
    let mut wanted = selector.match_labels.iter().flatten();
    wanted.all(|(key, is)| labels.get(key) == Some(is))
}

/// Namespaces have their own name as a label, as on every cluster.
fn is_peer(peer: &NetworkPolicyPeer, of: &ObjectMeta, pod: &Pod) -> bool {
    const NAME: &str = "kubernetes.io/metadata.name";
    let namespace = Map::from([(NAME.to_owned(), pod.namespace.to_owned())]);
    let in_namespace = match &peer.namespace_selector {
        Some(selector) => matches(selector, &namespace),
        None => of.namespace.as_deref() == Some(pod.namespace),
    };
    let selected = peer.pod_selector.as_ref();
    peer.ip_block.is_none()
        && in_namespace
        && selected.is_none_or(|selector| matches(selector, &pod.labels))
}

fn is_port(ports: Option<&Vec<NetworkPolicyPort>>, port: (&str, i32)) -> bool {
    ports.is_none_or(|ports| {
        let wanted = (Some(port.0), Some(IntOrString::Int(port.1)));
        ports
            .iter()
            .any(|is| (is.protocol.as_deref(), is.port.clone()) == wanted)
    })
}

/// Whether the policies allow a connection, as networking/v1 defines it: a pod
/// that no policy selects is open; any rule of any policy that does suffices.
fn allows(desired: &Desired<Prepared>, from: &Pod, to: &Pod, port: (&str, i32)) -> bool {
    let selects = |policy: &&NetworkPolicy, pod: &Pod| {
        let spec = policy.spec.as_ref().unwrap();
        policy.metadata.namespace.as_deref() == Some(pod.namespace)
            && matches(spec.pod_selector.as_ref().unwrap(), &pod.labels)
    };
    let outgoing: Vec<_> = desired
        .network_policies()
        .filter(|policy| selects(policy, from))
        .collect();
    let incoming: Vec<_> = desired
        .network_policies()
        .filter(|policy| selects(policy, to))
        .collect();
    let goes = outgoing.iter().any(|policy| {
        let mut rules = policy.spec.as_ref().unwrap().egress.iter().flatten();
        rules.any(|rule| {
            is_port(rule.ports.as_ref(), port)
                && rule.to.as_ref().is_none_or(|peers| {
                    peers.iter().any(|peer| is_peer(peer, &policy.metadata, to))
                })
        })
    });
    let comes = incoming.iter().any(|policy| {
        let mut rules = policy.spec.as_ref().unwrap().ingress.iter().flatten();
        rules.any(|rule| {
            is_port(rule.ports.as_ref(), port)
                && rule.from.as_ref().is_none_or(|peers| {
                    peers
                        .iter()
                        .any(|peer| is_peer(peer, &policy.metadata, from))
                })
        })
    });
    (outgoing.is_empty() || goes) && (incoming.is_empty() || comes)
}

const PORTS: [(&str, i32); 12] = [
    ("TCP", 53),
    ("UDP", 53),
    ("TCP", 80),
    ("TCP", 443),
    ("TCP", 8000),
    ("TCP", 9187),
    ("TCP", API_PORT),
    ("TCP", API_METRICS_PORT),
    ("TCP", NGINX_PORT),
    ("TCP", NGINX_METRICS_PORT),
    ("TCP", POSTGRES_PORT),
    ("TCP", 6432),
];

/// Every allowed connection among these pods as `from to protocol/port`.
fn matrix(desired: &Desired<Prepared>, pods: &[(&str, Pod)]) -> Vec<String> {
    let mut allowed = Vec::new();
    for (from_name, from) in pods {
        for (to_name, to) in pods {
            // Two strangers are no matter of ours, nor is a pod's own self.
            let open = ["stranger", "gateway", "prometheus", "dns", "other-api"];
            if from_name == to_name || open.contains(from_name) && open.contains(to_name) {
                continue;
            }
            let ports = PORTS
                .iter()
                .filter(|port| allows(desired, from, to, **port));
            allowed
                .extend(ports.map(|(kind, port)| format!("{from_name} {to_name} {kind}/{port}")));
        }
    }
    allowed
}

fn cluster() -> Vec<(&'static str, Pod)> {
    vec![
        ("stranger", pod("elsewhere", &[("app", "x")])),
        ("gateway", pod("ingress", &[("app", "gateway")])),
        ("prometheus", pod("monitoring", &[("app", "prometheus")])),
        ("dns", pod("kube-system", &[("k8s-app", "kube-dns")])),
        ("other-api", of("other", Component::Api)),
        ("nginx", of("shop", Component::Nginx)),
        ("api", of("shop", Component::Api)),
        ("postgres", of("shop", Component::Postgres)),
        ("job", of("shop", Component::PostgresJob)),
    ]
}

/// What the stack's pods may all do: ask for names, wherever the resolver is.
fn is_dns(connection: &str) -> bool {
    connection.ends_with("/53")
}

#[test]
fn each_pod_reaches_what_it_needs_and_nothing_else() {
    let spec = json!({"networkPolicy": {
        "ingressFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}],
        "metricsFrom": [{
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}},
            "podSelector": {"matchLabels": {"app": "prometheus"}},
        }],
    }});
    let allowed = matrix(&desired(&spec), &cluster());
    let (names, others): (Vec<_>, Vec<_>) = allowed.into_iter().partition(|it| is_dns(it));
    assert_eq!(
        others,
        [
            "gateway nginx TCP/8080",
            "prometheus nginx TCP/8081",
            "prometheus api TCP/9090",
            "nginx api TCP/8001",
            "api postgres TCP/5432",
            "job postgres TCP/5432",
        ]
    );
    // Asking is free; of all these pods only the resolver would answer, and the
    // stack's own admit no question.
    let to: Vec<_> = names
        .iter()
        .filter(|it| {
            !["nginx ", "api ", "job "]
                .iter()
                .any(|from| it.starts_with(from))
        })
        .collect();
    assert!(to.is_empty(), "{to:?}");
    for from in ["nginx", "api", "job"] {
        assert!(
            names.contains(&format!("{from} dns UDP/53")),
            "{from}: {names:?}"
        );
        assert!(
            names.contains(&format!("{from} dns TCP/53")),
            "{from}: {names:?}"
        );
    }
    assert!(
        !names.iter().any(|it| it.contains(" postgres ")),
        "{names:?}"
    );
}

#[test]
fn by_default_anybody_reaches_nginx_and_any_pod_its_metrics() {
    let allowed = matrix(&desired(&json!({})), &cluster());
    let into: Vec<_> = allowed
        .iter()
        .filter(|it| it.starts_with("stranger "))
        .collect();
    assert_eq!(
        into,
        [
            "stranger nginx TCP/8080",
            "stranger nginx TCP/8081",
            "stranger api TCP/9090"
        ]
    );
}

#[test]
fn an_external_database_is_any_address_on_its_port_until_peers_are_named() {
    let external = |policy: Value| {
        desired(&json!({
            "postgres": {"external": {"urlSecretRef": {"name": "db", "key": "url"}}},
            "networkPolicy": policy,
        }))
    };
    let pods = cluster();
    let reached = |desired: &Desired<Prepared>| {
        let allowed = matrix(desired, &pods);
        let from_api = allowed.into_iter().filter(|it| it.starts_with("api "));
        let others: Vec<_> = from_api.filter(|it| !is_dns(it)).collect();
        others
    };
    let open = reached(&external(json!({})));
    // No policy of this stack's is about a database here: its labels are free.
    let anywhere = [
        "stranger",
        "gateway",
        "prometheus",
        "dns",
        "other-api",
        "postgres",
        "job",
    ];
    let anywhere = anywhere.map(|to| format!("api {to} TCP/5432"));
    assert_eq!(open, anywhere);

    let peer = json!({"podSelector": {}, "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "elsewhere"}}});
    let narrow = reached(&external(json!({"egressTo": [peer]})));
    let everything = PORTS.iter().filter(|(_, port)| *port != 53);
    let everything: Vec<_> = everything
        .map(|(kind, port)| format!("api stranger {kind}/{port}"))
        .collect();
    assert_eq!(narrow, everything);
}

#[test]
fn pods_of_cloud_native_pg_are_for_the_api_for_its_operator_and_for_each_other() {
    let desired = desired(&json!({
        "postgres": {"cloudNativePG": {}},
        "networkPolicy": {"metricsFrom": [
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}},
        ]},
    }));
    let member = |cluster| pod("store", &[("cnpg.io/cluster", cluster)]);
    let operator = [("app.kubernetes.io/name", "cloudnative-pg")];
    let mut pods = cluster();
    pods.extend([
        ("primary", member("shop-postgres")),
        ("standby", member("shop-postgres")),
        ("another", member("other-postgres")),
        ("manager", pod("cnpg-system", &operator)),
    ]);
    let allowed = matrix(&desired, &pods);
    let into: Vec<_> = allowed
        .iter()
        .filter(|it| it.contains(" primary "))
        .collect();
    assert_eq!(
        into,
        [
            "prometheus primary TCP/9187",
            "api primary TCP/5432",
            "standby primary TCP/8000",
            "standby primary TCP/5432",
            "manager primary TCP/8000",
            "manager primary TCP/5432",
        ]
    );
    let from: Vec<_> = allowed
        .iter()
        .filter(|it| it.starts_with("primary ") && !is_dns(it))
        .filter(|it| !it.ends_with("/443"))
        .collect();
    assert_eq!(
        from,
        ["primary standby TCP/8000", "primary standby TCP/5432"]
    );
    // The API server may be anywhere.
    for wanted in ["primary stranger TCP/443", "primary dns UDP/53"] {
        assert!(allowed.iter().any(|it| it == wanted), "{wanted}");
    }
    let to_databases: Vec<_> = allowed
        .iter()
        .filter(|it| it.ends_with("/5432"))
        .filter(|it| it.starts_with("api ") || it.starts_with("nginx "))
        .collect();
    assert_eq!(
        to_databases,
        ["api primary TCP/5432", "api standby TCP/5432"]
    );
}

#[test]
fn without_limits_there_is_no_policy() {
    let off = json!({"networkPolicy": {"enabled": false}});
    assert_eq!(desired(&off).network_policies().count(), 0);
    assert_eq!(desired(&json!({})).network_policies().count(), 4);
}

#[test]
fn the_managed_databases_policy_whole() {
    let desired = desired(&json!({}));
    let policy = desired.postgres.unwrap().network_policy.unwrap();
    let labels = |component: &str| {
        json!({
            "app.kubernetes.io/name": "authstack",
            "app.kubernetes.io/instance": "shop",
            "app.kubernetes.io/component": component,
        })
    };
    assert_eq!(
        serde_json::to_value(policy).unwrap(),
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {
                "name": "shop-postgres",
                "namespace": "store",
                "labels": {
                    "app.kubernetes.io/name": "authstack",
                    "app.kubernetes.io/instance": "shop",
                    "app.kubernetes.io/component": "postgres",
                    "app.kubernetes.io/part-of": "authstack",
                    "app.kubernetes.io/managed-by": "authstack-operator",
                    "app.kubernetes.io/version": "0.1.0",
                },
                "ownerReferences": [{
                    "apiVersion": "auth.dataviv.com/v1alpha1", "kind": "AuthStack",
                    "name": "shop", "uid": "u", "controller": true, "blockOwnerDeletion": true,
                }],
            },
            "spec": {
                "podSelector": {"matchLabels": labels("postgres")},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{
                    "from": [
                        {"podSelector": {"matchLabels": labels("api")}},
                        {"podSelector": {"matchLabels": labels("postgres-job")}},
                    ],
                    "ports": [{"protocol": "TCP", "port": 5432}],
                }],
            },
        })
    );
}
