//! The rights in `config/rbac` are enough: a stack's whole life under the
//! operator's own account.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use authstack_crds::AuthStack;
use authstack_operator::{
    args::{Images, WatchNamespaces},
    client::bounded,
    controller::{self, Settings},
    health::Health,
};
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{ConfigMap, Secret, Service, ServiceAccount},
    events::v1::Event,
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
};
use k8s_openapi::{NamespaceResourceScope, serde::de::DeserializeOwned};
use kube::{
    Client, Resource, ResourceExt,
    api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use support::{account::operator_account, define, eventually, in_namespace, refusals::recording};
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(10);

/// What the cluster's administrator sees and does in one namespace.
struct Admin {
    client: Client,
    namespace: String,
}

impl Admin {
    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The names of all objects of a kind that the operator made.
    async fn names<K: Kind>(&self) -> Vec<String> {
        let ours = ListParams::default().labels("app.kubernetes.io/managed-by=authstack-operator");
        let list = self.api::<K>().list(&ours).await.unwrap();
        list.iter().map(ResourceExt::name_any).collect()
    }

    /// Edits each object of a kind, and sees the edit undone.
    async fn edits_are_undone<K: Kind>(&self) {
        const LABEL: &str = "app.kubernetes.io/part-of";
        let objects = self.api::<K>();
        let names = self.names::<K>().await;
        assert!(!names.is_empty(), "there is no {}", K::kind(&()));
        for name in names {
            let what = format!("the edit of {} {name} is undone", K::kind(&()));
            let edit = json!({"metadata": {"labels": {LABEL: "edited"}}});
            let params = PatchParams::default();
            objects
                .patch(&name, &params, &Patch::Merge(edit))
                .await
                .unwrap();
            eventually(&what, SOON, async || {
                objects.get(&name).await.unwrap().labels()[LABEL] != "edited"
            })
            .await;
        }
    }

    /// Deletes each object of a kind, and sees it come back.
    async fn deletions_are_undone<K: Kind>(&self) {
        let objects = self.api::<K>();
        for name in self.names::<K>().await {
            let what = format!("{} {name} is back", K::kind(&()));
            let uid = objects.get(&name).await.unwrap().uid();
            objects
                .delete(&name, &DeleteParams::default())
                .await
                .unwrap();
            eventually(&what, SOON, async || {
                let found = objects.get_opt(&name).await.unwrap();
                found.is_some_and(|found| found.uid() != uid)
            })
            .await;
        }
    }

    async fn create_stack(&self) {
        let stack = json!({
            "apiVersion": "auth.dataviv.com/v1alpha1", "kind": "AuthStack",
            "metadata": {"name": "demo"},
            // The certificate is missing, which is worth an event.
            "spec": {
                "ingress": {"host": "a.example.com", "tls": {"secretName": "tls"}},
                "api": {"autoscaling": {"maxReplicas": 9}},
            },
        });
        let stack = serde_json::from_value(stack).unwrap();
        let stacks = self.api::<AuthStack>();
        stacks.create(&PostParams::default(), &stack).await.unwrap();
        eventually("a status is written", SOON, async || {
            let status = stacks.get("demo").await.unwrap().status;
            status.is_some_and(|status| status.observed_generation == Some(1))
        })
        .await;
    }

    async fn is_told(&self) {
        let events = self.api::<Event>();
        eventually("an event about the stack is there", SOON, async || {
            let events = events.list(&ListParams::default()).await.unwrap();
            let about = |event: &Event| event.regarding.as_ref()?.kind.clone();
            events
                .iter()
                .any(|event| about(event).as_deref() == Some("AuthStack"))
        })
        .await;
    }

    async fn turn_off_what_can_be(&self) {
        let off = json!({"spec": {
            "ingress": {"enabled": false},
            "networkPolicy": {"enabled": false},
            "api": {"autoscaling": null},
        }});
        let params = PatchParams::default();
        let stacks = self.api::<AuthStack>();
        stacks
            .patch("demo", &params, &Patch::Merge(off))
            .await
            .unwrap();
        eventually(
            "Ingress, policies and autoscaler are gone",
            SOON,
            async || {
                self.names::<Ingress>().await.is_empty()
                    && self.names::<NetworkPolicy>().await.is_empty()
                    && self.names::<HorizontalPodAutoscaler>().await.is_empty()
            },
        )
        .await;
    }
}

/// A kind of child.
trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + std::fmt::Debug
    + DeserializeOwned
{
}

impl<K> Kind for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
{
}

#[tokio::test]
async fn the_operators_own_account_suffices_for_a_stacks_life() {
    in_namespace("rights", |config, namespace| async move {
        define(&config).await;
        let account = operator_account(&config, &namespace).await;
        let (operator, refusals) = recording(bounded(account));
        let settings = Settings {
            namespaces: WatchNamespaces::Only([namespace.clone()].into()),
            images: Images::default(),
            instance: "test".to_owned(),
        };
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            controller::run(operator, settings, &Health::default(), &stopped).await;
        });

        let client = Client::try_from(config).unwrap();
        let admin = Admin { client, namespace };
        admin.create_stack().await;
        admin.is_told().await;
        admin.edits_are_undone::<Secret>().await;
        admin.edits_are_undone::<ConfigMap>().await;
        admin.edits_are_undone::<Service>().await;
        admin.edits_are_undone::<ServiceAccount>().await;
        admin.edits_are_undone::<StatefulSet>().await;
        admin.edits_are_undone::<Deployment>().await;
        admin.edits_are_undone::<Ingress>().await;
        admin.edits_are_undone::<NetworkPolicy>().await;
        admin.edits_are_undone::<PodDisruptionBudget>().await;
        admin.edits_are_undone::<HorizontalPodAutoscaler>().await;
        // Not Secrets: while the data volume exists, new credentials are refused.
        admin.deletions_are_undone::<ConfigMap>().await;
        admin.deletions_are_undone::<Service>().await;
        admin.deletions_are_undone::<ServiceAccount>().await;
        admin.deletions_are_undone::<StatefulSet>().await;
        admin.deletions_are_undone::<Deployment>().await;
        admin.deletions_are_undone::<Ingress>().await;
        admin.deletions_are_undone::<NetworkPolicy>().await;
        admin.deletions_are_undone::<PodDisruptionBudget>().await;
        admin
            .deletions_are_undone::<HorizontalPodAutoscaler>()
            .await;
        admin.turn_off_what_can_be().await;

        stop.cancel();
        tokio::time::timeout(SOON, task).await.unwrap().unwrap();
        let refusals = refusals.lock().unwrap();
        assert!(refusals.is_empty(), "forbidden: {refusals:#?}");
    })
    .await;
}
