//! The rights in `config/rbac` are enough for a stack's whole life, and each of
//! them is used in it. A rule that is added there needs no line here, unless its
//! use takes something that these tests do not do ([`ELSEWHERE`]).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{collections::BTreeSet, time::Duration};

use authstack_crds::{AuthStack, ConditionType};
use authstack_operator::{
    args::{Images, WatchNamespaces},
    client::bounded,
    controller::{self, Settings},
    health::Health,
};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Secret},
    rbac::v1::{ClusterRole, PolicyRule},
};
use kube::{
    Client, Config, Resource, ResourceExt,
    api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    discovery::{ApiResource, pinned_group},
};
use serde_json::{Value, json};
use support::{
    account::{manifest, operator_account},
    default_storage_class, define, eventually, in_namespace,
    requests::{Requests, Right, recording},
};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

const SOON: Duration = Duration::from_mins(3);

/// Rights that no request of these tests needs: group, resource (or the group's
/// all), and where they are needed.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    (
        "auth.dataviv.com",
        "authstacks/finalizers",
        "by an admission plugin of OpenShift",
    ),
    (
        "gateway.networking.k8s.io",
        "",
        "where the Gateway API is installed",
    ),
    ("cert-manager.io", "", "where cert-manager is installed"),
    ("postgresql.cnpg.io", "", "where CloudNativePG is installed"),
    (
        "monitoring.coreos.com",
        "",
        "where the Prometheus operator is installed",
    ),
    (
        "batch",
        "jobs",
        "when a certificate of a running database changes",
    ),
];

/// Objects that do not come back when they are deleted: beside the data volume
/// new credentials are refused, and a finished Job has done its work.
const NOT_MADE_AGAIN: &[&str] = &["secrets", "jobs"];

/// A stack with all that can be switched on where no optional API is.
fn everything() -> Value {
    json!({
        "ingress": {"host": "a.example.com", "tls": {"selfSigned": true}},
        "api": {
            "autoscaling": {"minReplicas": 2, "maxReplicas": 5},
            "envFrom": [{"secretRef": {"name": "settings"}}],
        },
    })
}

/// The same with all of it switched off.
fn nothing() -> Value {
    json!({
        "ingress": {"enabled": false, "host": null, "tls": null},
        "api": {"autoscaling": null},
        "networkPolicy": {"enabled": false},
    })
}

fn rules() -> Vec<PolicyRule> {
    let role: ClusterRole = manifest("rbac/cluster_role.yaml", "ClusterRole");
    role.rules.unwrap()
}

/// Every right that the rules grant.
fn granted() -> BTreeSet<Right> {
    let mut granted = BTreeSet::new();
    for rule in rules() {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                let rights = rule.verbs.iter().map(|verb| Right {
                    group: group.clone(),
                    resource: resource.clone(),
                    verb: verb.clone(),
                });
                granted.extend(rights);
            }
        }
    }
    granted
}

fn is_elsewhere(right: &Right) -> bool {
    let is = |(group, resource, _): &&(&str, &str, &str)| {
        *group == right.group && (resource.is_empty() || *resource == right.resource)
    };
    ELSEWHERE.iter().any(|elsewhere| is(&elsewhere))
}

/// An operator with an account of its own, and what it asks for.
struct Operator {
    requests: Requests,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Operator {
    fn start(account: Config, namespace: &str) -> Self {
        let (client, requests) = recording(bounded(account));
        let settings = Settings {
            namespaces: WatchNamespaces::Only([namespace.to_owned()].into()),
            images: Images::default(),
            instance: "test".to_owned(),
        };
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            controller::run(client, settings, &Health::default(), &stopped).await;
        });
        let task = AbortOnDropHandle::new(task);
        Self {
            requests,
            stop,
            task,
        }
    }

    async fn stop(self) -> Requests {
        self.stop.cancel();
        tokio::time::timeout(SOON, self.task)
            .await
            .unwrap()
            .unwrap();
        self.requests
    }
}

/// What the cluster's administrator sees and does in one namespace.
struct Admin {
    client: Client,
    namespace: String,
}

impl Admin {
    fn new(config: &Config, namespace: &str) -> Self {
        Self {
            client: Client::try_from(config.clone()).unwrap(),
            namespace: namespace.to_owned(),
        }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The objects of a resource that the operator made.
    async fn ours(&self, right: &Right) -> (Api<DynamicObject>, Vec<DynamicObject>) {
        let resource = self.resource(right).await;
        let api = Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let ours = ListParams::default().labels("app.kubernetes.io/managed-by=authstack-operator");
        let list = api.list(&ours).await.unwrap();
        (api, list.items)
    }

    async fn resource(&self, right: &Right) -> ApiResource {
        let groups = self.client.list_api_groups().await.unwrap();
        let group = groups
            .groups
            .into_iter()
            .find(|group| group.name == right.group);
        let version = group.map_or("v1".to_owned(), |group| {
            group.preferred_version.unwrap().version
        });
        let version = kube::core::GroupVersion::gv(&right.group, &version);
        let group = pinned_group(&self.client, &version).await.unwrap();
        let resources = group.versioned_resources(&version.version);
        let mut resources = resources.into_iter().map(|(resource, _)| resource);
        resources.find(|one| one.plural == right.resource).unwrap()
    }

    /// Edits each of the operator's objects, and sees the edit undone.
    async fn edits_are_undone(&self, right: &Right) {
        const LABEL: &str = "app.kubernetes.io/part-of";
        let (api, objects) = self.ours(right).await;
        assert!(!objects.is_empty(), "there are no {}", right.resource);
        for object in objects {
            let name = object.name_any();
            let what = format!("the edit of {} {name} is undone", right.resource);
            let edit = json!({"metadata": {"labels": {LABEL: "edited"}}});
            api.patch(&name, &PatchParams::default(), &Patch::Merge(edit))
                .await
                .unwrap();
            eventually(&what, SOON, async || {
                api.get(&name).await.unwrap().labels()[LABEL] != "edited"
            })
            .await;
        }
    }

    /// Deletes each of the operator's objects, and sees it come back.
    async fn deletions_are_undone(&self, right: &Right) {
        let (api, objects) = self.ours(right).await;
        for object in objects {
            let name = object.name_any();
            let what = format!("{} {name} is back", right.resource);
            api.delete(&name, &DeleteParams::default()).await.unwrap();
            eventually(&what, SOON, async || {
                let found = api.get_opt(&name).await.unwrap();
                found.is_some_and(|found| found.uid() != object.uid())
            })
            .await;
        }
    }

    async fn create_stack(&self, spec: Value) {
        let stack = json!({
            "apiVersion": "auth.dataviv.com/v1alpha1", "kind": "AuthStack",
            "metadata": {"name": "demo"}, "spec": spec,
        });
        let stack = serde_json::from_value(stack).unwrap();
        let stacks = self.api::<AuthStack>();
        stacks.create(&PostParams::default(), &stack).await.unwrap();
    }

    async fn change_stack(&self, spec: Value) {
        let patch = json!({"spec": spec});
        let stacks = self.api::<AuthStack>();
        stacks
            .patch("demo", &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    }

    /// Waits until the operator has seen the manifest as it is.
    async fn seen(&self) {
        let stacks = self.api::<AuthStack>();
        eventually("the manifest is seen", SOON, async || {
            let stack = stacks.get("demo").await.unwrap();
            let status = stack.status.unwrap_or_default();
            status.observed_generation == stack.metadata.generation
        })
        .await;
    }

    /// Waits for a condition of this generation; returns its message.
    async fn condition(&self, of: ConditionType, wanted: (&str, &str)) -> String {
        let stacks = self.api::<AuthStack>();
        let found = std::sync::Mutex::new(String::new());
        eventually(&format!("{of} is {wanted:?}"), SOON, async || {
            let stack = stacks.get("demo").await.unwrap();
            let status = stack.status.unwrap_or_default();
            status.condition(of).is_some_and(|is| {
                found.lock().unwrap().clone_from(&is.message);
                is.observed_generation == stack.metadata.generation
                    && (is.status.as_str(), is.reason.as_str()) == wanted
            })
        })
        .await;
        found.into_inner().unwrap()
    }

    async fn create_secret(&self, name: &str) {
        let data = json!({"tls.crt": "certificate", "tls.key": "key", "CORS_ORIGINS": "*"});
        let secret = json!({"metadata": {"name": name}, "stringData": data});
        let secret = serde_json::from_value(secret).unwrap();
        let secrets = self.api::<Secret>();
        secrets
            .create(&PostParams::default(), &secret)
            .await
            .unwrap();
    }

    /// A stall that comes twice is one event that is told twice.
    async fn stall_twice(&self) {
        let of = ConditionType::Stalled;
        self.condition(of, ("True", "ReferenceNotFound")).await;
        self.create_secret("settings").await;
        self.condition(of, ("False", "NoProblem")).await;
        let secrets = self.api::<Secret>();
        secrets
            .delete("settings", &DeleteParams::default())
            .await
            .unwrap();
        self.condition(of, ("True", "ReferenceNotFound")).await;
    }

    /// Puts a StatefulSet there that must be made anew, and that owns the claim: of
    /// one without a pod, its controller leaves that as it is.
    async fn age_the_database(&self) {
        let claims = self.api::<PersistentVolumeClaim>();
        let claim = "data-demo-postgres-0";
        let before = claims.get(claim).await.unwrap().uid();
        self.change_stack(json!({"stopped": true})).await;
        let sets = self.api::<StatefulSet>();
        eventually("the database is stopped", SOON, async || {
            let set = sets.get("demo-postgres").await.unwrap();
            set.spec.unwrap().replicas == Some(0) && set.status.unwrap().replicas == 0
        })
        .await;
        self.change_stack(json!({"paused": true})).await;
        self.seen().await;
        let mut set = sets.get("demo-postgres").await.unwrap();
        sets.delete("demo-postgres", &DeleteParams::orphan())
            .await
            .unwrap();
        let gone = async || sets.get_opt("demo-postgres").await.unwrap().is_none();
        eventually("the StatefulSet is gone", SOON, gone).await;
        set.metadata.resource_version = None;
        set.metadata.uid = None;
        set.spec.as_mut().unwrap().pod_management_policy = Some("OrderedReady".to_owned());
        let aged = sets.create(&PostParams::default(), &set).await.unwrap();
        let owner = json!([{
            "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "demo-postgres",
            "uid": aged.uid(),
        }]);
        let patch = json!({"metadata": {"ownerReferences": owner}});
        claims
            .patch(claim, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
        self.change_stack(json!({"paused": false})).await;
        eventually("it is made anew", SOON, async || {
            let set = sets.get_opt("demo-postgres").await.unwrap();
            set.is_some_and(|set| set.uid() != aged.uid())
        })
        .await;
        let claim = claims.get(claim).await.unwrap();
        assert_eq!(claim.uid(), before);
        assert_eq!(claim.metadata.deletion_timestamp, None);
        assert!(claim.owner_references().is_empty(), "{claim:?}");
    }
}

#[tokio::test]
async fn the_operators_own_account_suffices_and_each_of_its_rights_is_used() {
    in_namespace("rights", |config, namespace| async move {
        define(&config).await;
        default_storage_class(&config).await;
        let account = operator_account(&config, &namespace).await;
        let operator = Operator::start(account, &namespace);
        let admin = Admin::new(&config, &namespace);
        admin.create_stack(everything()).await;
        admin.stall_twice().await;
        let granted = granted();
        let on_children = |right: &&Right| !is_elsewhere(right) && right.group != "events.k8s.io";
        let children = || granted.iter().filter(on_children);
        for right in children().filter(|right| right.verb == "create") {
            admin.edits_are_undone(right).await;
        }
        for right in children().filter(|right| right.verb == "create") {
            if !NOT_MADE_AGAIN.contains(&right.resource.as_str()) {
                admin.deletions_are_undone(right).await;
            }
        }
        admin.age_the_database().await;
        admin.change_stack(nothing()).await;
        let of = ConditionType::IngressReady;
        admin.condition(of, ("True", "Disabled")).await;

        let requests = operator.stop().await;
        let forbidden = requests.forbidden();
        assert!(forbidden.is_empty(), "forbidden: {forbidden:#?}");
        let used = requests.used();
        let unused: Vec<_> = granted
            .iter()
            .filter(|right| !used.contains(right) && !is_elsewhere(right))
            .collect();
        assert!(
            unused.is_empty(),
            "granted, and used by nobody: {unused:#?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_stack_cannot_reach_another_namespaces_secrets() {
    in_namespace("victim", |config, victim| async move {
        Admin::new(&config, &victim).create_secret("tls").await;
        in_namespace("tenant", |config, tenant| async move {
            define(&config).await;
            let account = operator_account(&config, &tenant).await;
            let operator = Operator::start(account.clone(), &tenant);
            let admin = Admin::new(&config, &tenant);
            let mut spec = everything();
            spec["ingress"]["tls"] = json!({"secretName": "tls"});
            spec["api"]["envFrom"] = json!([{"secretRef": {"name": "tls"}}]);
            admin.create_stack(spec).await;
            // It is there, in the other namespace, under just this name.
            for (of, reason) in [
                (ConditionType::IngressReady, "SecretNotFound"),
                (ConditionType::ApiReady, "ReferenceNotFound"),
            ] {
                let message = admin.condition(of, ("False", reason)).await;
                assert!(message.contains("Secret tls does not exist"), "{message}");
            }
            let requests = operator.stop().await;
            assert_eq!(requests.namespaces(), [tenant].into());

            // Nor could the operator, if it tried.
            let client = Client::try_from(account).unwrap();
            let secrets = Api::<Secret>::namespaced(client, &victim);
            let error = secrets.get("tls").await.unwrap_err();
            let refused = matches!(&error, kube::Error::Api(status) if status.code == 403);
            assert!(refused, "{error}");
        })
        .await;
    })
    .await;
}

#[test]
fn no_reference_of_a_manifest_names_a_namespace() {
    fn walk(path: &str, schema: &Value, found: &mut Vec<String>) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            if name == "namespace" {
                found.push(path.clone());
            }
            walk(&path, property, found);
        }
        for inner in ["items", "additionalProperties"] {
            if schema[inner].is_object() {
                walk(path, &schema[inner], found);
            }
        }
    }
    let definition = serde_json::to_value(authstack_crds::crd()).unwrap();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut found = Vec::new();
    walk("spec", &schema["properties"]["spec"], &mut found);
    // A Gateway says itself whose routes it takes (`allowedRoutes`).
    assert_eq!(found, ["spec.httpRoute.parentRefs.namespace"]);
}
