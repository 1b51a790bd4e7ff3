//! What `config/` installs: taken by a real API server under strict checks, and
//! sufficient for what the operator does.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{collections::BTreeSet, path::Path, process::Command, time::Duration};

use authstack_operator::{
    args::Args,
    client::unfenced,
    health::Health,
    leader::{Config as Election, Elector},
};
use clap::CommandFactory as _;
use k8s_openapi::api::{
    apps::v1::Deployment,
    coordination::v1::Lease,
    core::v1::{Namespace, Pod},
    rbac::v1::{ClusterRole, PolicyRule, Role},
};
use kube::{
    Client,
    api::{Api, DynamicObject, Patch, PatchParams, PostParams},
    discovery::{Scope, oneshot},
};
use serde::Deserialize as _;
use serde_json::{Value, json};
use support::{
    account::{manifest, operator_account},
    in_namespace,
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// What `kubectl kustomize` makes of a directory of `config/`.
fn kustomize(directory: &str) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    let output = Command::new("kubectl")
        .arg("kustomize")
        .arg(root.join(directory))
        .output()
        .expect("these tests need kubectl in PATH: `eval \"$(testbed/testbed env)\"`");
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{problem}");
    serde_yaml::Deserializer::from_slice(&output.stdout)
        .map(|document| Value::deserialize(document).unwrap())
        .collect()
}

#[tokio::test]
async fn the_whole_installation_is_taken_under_strict_checks() {
    in_namespace("install", |config, namespace| async move {
        let client = Client::try_from(config).unwrap();
        let mut kinds = BTreeSet::new();
        for mut object in kustomize("default") {
            if object["metadata"]["namespace"].is_string() {
                assert_eq!(object["metadata"]["namespace"], "authstack-system");
                // That namespace may not be there, or be somebody's.
                object["metadata"]["namespace"] = json!(namespace);
            }
            let kind = object["kind"].as_str().unwrap().to_owned();
            dry_run(&client, object).await;
            kinds.insert(kind);
        }
        let expected = [
            "ClusterRole",
            "ClusterRoleBinding",
            "CustomResourceDefinition",
            "Deployment",
            "Namespace",
            "PodDisruptionBudget",
            "Role",
            "RoleBinding",
            "ServiceAccount",
        ];
        assert_eq!(kinds, expected.map(ToOwned::to_owned).into());
    })
    .await;
}

#[tokio::test]
async fn an_operator_of_some_namespaces_has_no_right_beyond_them() {
    in_namespace("install", |config, namespace| async move {
        let client = Client::try_from(config).unwrap();
        let mut rights = Vec::new();
        let mut watched = None;
        for mut object in kustomize("namespaced") {
            let kind = object["kind"].as_str().unwrap().to_owned();
            let home = object["metadata"]["namespace"].take();
            let home = home.as_str().unwrap_or_default().to_owned();
            if kind == "Role" {
                rights.push((home.clone(), object["rules"].clone()));
            }
            if kind == "RoleBinding" {
                assert_eq!(object["roleRef"]["kind"], "Role");
                assert_eq!(object["subjects"][0]["namespace"], "authstack-system");
            }
            assert!(!kind.starts_with("Cluster"), "{object}");
            let variables = "/spec/template/spec/containers/0/env";
            for variable in object
                .pointer(variables)
                .into_iter()
                .filter_map(Value::as_array)
                .flatten()
            {
                if variable["name"] == "WATCH_NAMESPACES" {
                    watched = variable["value"].as_str().map(ToOwned::to_owned);
                }
            }
            if !home.is_empty() {
                object["metadata"]["namespace"] = json!(namespace);
            }
            dry_run(&client, object).await;
        }
        let cluster: ClusterRole = manifest("rbac/cluster_role.yaml", "ClusterRole");
        let everything = serde_json::to_value(cluster.rules.unwrap()).unwrap();
        let (home, rules) = &rights[0];
        assert_eq!(Some(home), watched.as_ref(), "rights where it watches");
        assert_eq!(rules, &everything, "the same as for a whole cluster");
        let (home, rules) = &rights[1];
        assert_eq!(home, "authstack-system");
        assert!(!rules.to_string().contains("secrets"), "{rules}");
        assert_eq!(rights.len(), 2);
    })
    .await;
}

/// Applies an object as `kubectl apply --server-side --dry-run=server` does.
async fn dry_run(client: &Client, object: Value) {
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    let types = object.types.clone().unwrap();
    let (group, version) = match types.api_version.split_once('/') {
        Some((group, version)) => (group, version),
        None => ("", types.api_version.as_str()),
    };
    let kind = kube::core::GroupVersionKind::gvk(group, version, &types.kind);
    let (resource, capabilities) = oneshot::pinned_kind(client, &kind).await.unwrap();
    let api = match capabilities.scope {
        Scope::Cluster => Api::<DynamicObject>::all_with(client.clone(), &resource),
        Scope::Namespaced => {
            let namespace = object.metadata.namespace.as_deref().unwrap();
            Api::namespaced_with(client.clone(), namespace, &resource)
        }
    };
    let name = object.metadata.name.clone().unwrap();
    let params = PatchParams::apply("authstack-tests")
        .force()
        .dry_run()
        .validation_strict();
    let applied = api.patch(&name, &params, &Patch::Apply(&object)).await;
    assert!(
        applied.is_ok(),
        "{} {name}: {:?}",
        types.kind,
        applied.err()
    );
}

#[tokio::test]
async fn the_operators_pod_passes_pod_security_restricted() {
    in_namespace("install", |config, namespace| async move {
        let client = Client::try_from(config).unwrap();
        let enforce = json!({"metadata": {"labels": {
            "pod-security.kubernetes.io/enforce": "restricted",
        }}});
        Api::<Namespace>::all(client.clone())
            .patch(&namespace, &PatchParams::default(), &Patch::Merge(enforce))
            .await
            .unwrap();
        let deployment: Deployment = manifest("operator/deployment.yaml", "Deployment");
        let mut pod = Pod::default();
        pod.metadata.name = Some("operator".into());
        pod.spec = deployment.spec.unwrap().template.spec;
        // Its own account is not there; who it is does not matter here.
        pod.spec.as_mut().unwrap().service_account_name = None;
        let pods = Api::<Pod>::namespaced(client, &namespace);
        let params = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        support::eventually(
            "the account of pods is there",
            Duration::from_secs(10),
            || async {
                let missing = |text: String| text.contains("serviceaccount");
                let created = pods.create(&params, &pod).await;
                !created
                    .as_ref()
                    .is_err_and(|error| missing(error.to_string()))
            },
        )
        .await;
        pods.create(&params, &pod).await.unwrap();

        let container = &mut pod.spec.as_mut().unwrap().containers[0];
        container.security_context = None;
        let error = pods.create(&params, &pod).await.unwrap_err().to_string();
        assert!(error.contains("violates PodSecurity"), "{error}");
    })
    .await;
}

#[test]
fn the_deployment_sets_only_what_the_operator_reads() {
    let deployment: Deployment = manifest("operator/deployment.yaml", "Deployment");
    let pod = deployment.spec.unwrap().template.spec.unwrap();
    let container = &pod.containers[0];
    assert_eq!(container.args.as_deref(), Some(&["run".to_owned()][..]));
    let command = Args::command();
    let run = command.find_subcommand("run").unwrap();
    let known: BTreeSet<_> = run
        .get_arguments()
        .filter_map(|flag| flag.get_env()?.to_str())
        .collect();
    for variable in container.env.iter().flatten() {
        let name = variable.name.as_str();
        assert!(known.contains(name), "{name} is none of {known:?}");
    }
}

#[test]
fn no_rule_has_a_wildcard_or_grants_more_than_it_should() {
    let cluster: ClusterRole = manifest("rbac/cluster_role.yaml", "ClusterRole");
    let election: Role = manifest("rbac/leader_election_role.yaml", "Role");
    let cluster = cluster.rules.unwrap();
    for rule in cluster.iter().chain(election.rules.iter().flatten()) {
        let PolicyRule {
            api_groups,
            non_resource_urls,
            resource_names: _,
            resources,
            verbs,
        } = rule;
        let mut words = verbs.clone();
        words.extend(api_groups.iter().flatten().cloned());
        words.extend(resources.iter().flatten().cloned());
        for word in ["*", "escalate", "bind", "impersonate", "deletecollection"] {
            assert!(!words.iter().any(|one| one == word), "{word}: {rule:?}");
        }
        assert_eq!(*non_resource_urls, None);
    }
    let deletes = |rule: &&PolicyRule| rule.verbs.iter().any(|verb| verb == "delete");
    let deletable: Vec<_> = cluster
        .iter()
        .filter(deletes)
        .flat_map(|rule| rule.resources.clone().unwrap_or_default())
        .collect();
    // A StatefulSet is only ever deleted alone, which `reconcile/replaced.rs` shows.
    let expected = [
        "statefulsets",
        "ingresses",
        "networkpolicies",
        "horizontalpodautoscalers",
        "poolers",
        "certificates",
        "httproutes",
        "podmonitors",
    ];
    assert_eq!(deletable, expected, "nothing that holds data");
    let everywhere = |resource: &str| {
        let mut all = cluster
            .iter()
            .flat_map(|rule| rule.resources.iter().flatten());
        all.any(|one| one.starts_with(resource))
    };
    for resource in ["leases", "nodes", "roles", "namespaces", "pods/"] {
        assert!(!everywhere(resource), "{resource} in every namespace");
    }
}

#[tokio::test]
async fn the_account_may_lead_and_may_touch_no_other_lease() {
    in_namespace("install", |config, namespace| async move {
        let account = operator_account(&config, &namespace).await;
        let client = unfenced(account).unwrap();
        let election = Election {
            renew_period: Duration::from_millis(200),
            ..Election::new(namespace.clone(), "authstack-operator".into(), "a".into())
        };
        let elector = Elector::new(client.clone(), election, Health::default());
        let leadership = elector.leadership();
        let stop = CancellationToken::new();
        let task = tokio::spawn(elector.run(stop.clone().cancelled_owned()));
        timeout(Duration::from_secs(5), leadership.acquired())
            .await
            .unwrap();
        let leases = Api::<Lease>::namespaced(client, &namespace);
        let renewed = || async {
            let spec = leases
                .get("authstack-operator")
                .await
                .unwrap()
                .spec
                .unwrap();
            spec.renew_time > spec.acquire_time
        };
        support::eventually("it renews", Duration::from_secs(5), renewed).await;
        stop.cancel();
        task.await.unwrap();
        let spec = leases
            .get("authstack-operator")
            .await
            .unwrap()
            .spec
            .unwrap();
        assert_eq!(spec.holder_identity, None, "given up");

        let forbidden = leases.get("another").await.unwrap_err();
        let kube::Error::Api(status) = forbidden else {
            panic!("{forbidden}")
        };
        assert_eq!(status.code, 403);
    })
    .await;
}
