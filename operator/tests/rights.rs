//! The rights in `config/rbac` are enough: a stack's whole life under the
//! operator's own account.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use authstack_crds::AuthStack;
use authstack_operator::{
    args::{Images, WatchNamespaces},
    client::fenced,
    controller::{self, Settings},
    health::Health,
    leader::LeadershipSource,
};
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ConfigMap, Secret, Service, ServiceAccount},
    events::v1::Event,
    networking::v1::Ingress,
};
use k8s_openapi::{NamespaceResourceScope, serde::de::DeserializeOwned};
use kube::{
    Client, Resource, ResourceExt as _,
    api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use support::{account::operator_account, define, eventually, in_namespace};
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(10);

/// The names of all objects of a kind that the operator made.
async fn names<K>(client: &Client, namespace: &str) -> Vec<String>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    let ours = ListParams::default().labels("app.kubernetes.io/managed-by=authstack-operator");
    let objects = Api::<K>::namespaced(client.clone(), namespace);
    let list = objects.list(&ours).await.unwrap();
    list.iter().map(|one| one.name_any()).collect()
}

#[tokio::test]
async fn the_operators_own_account_suffices_for_a_stacks_life() {
    in_namespace("rights", |config, namespace| async move {
        define(&config).await;
        let leadership = LeadershipSource::new();
        leadership.lead_until(tokio::time::Instant::now() + Duration::from_mins(10));
        let account = operator_account(&config, &namespace).await;
        let operator = fenced(account, leadership.leadership()).unwrap();
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

        let admin = Client::try_from(config).unwrap();
        let stacks = Api::<AuthStack>::namespaced(admin.clone(), &namespace);
        let stack = json!({
            "apiVersion": "auth.dataviv.com/v1alpha1", "kind": "AuthStack",
            "metadata": {"name": "demo"}, "spec": {},
        });
        let stack = serde_json::from_value(stack).unwrap();
        stacks.create(&PostParams::default(), &stack).await.unwrap();

        // Created: something of every kind, and a status.
        eventually("a status is written", SOON, async || {
            let status = stacks.get("demo").await.unwrap().status;
            status.is_some_and(|status| status.observed_generation == Some(1))
        })
        .await;
        let ingresses = async || names::<Ingress>(&admin, &namespace).await;
        assert!(!names::<Secret>(&admin, &namespace).await.is_empty());
        assert!(!names::<ConfigMap>(&admin, &namespace).await.is_empty());
        assert!(!names::<Service>(&admin, &namespace).await.is_empty());
        assert!(!names::<ServiceAccount>(&admin, &namespace).await.is_empty());
        assert_eq!(
            names::<StatefulSet>(&admin, &namespace).await,
            ["demo-postgres"]
        );
        assert_eq!(
            names::<Deployment>(&admin, &namespace).await,
            ["demo-api", "demo-nginx"]
        );
        assert_eq!(ingresses().await, ["demo"]);

        // Told: events reach the stack's owner.
        let events = Api::<Event>::namespaced(admin.clone(), &namespace);
        eventually("an event is there", SOON, async || {
            let events = events.list(&ListParams::default()).await.unwrap();
            let about = |event: &Event| event.regarding.as_ref()?.kind.clone();
            events
                .iter()
                .any(|event| about(event).as_deref() == Some("AuthStack"))
        })
        .await;

        // Changed and mended.
        let params = PatchParams::default();
        let deployments = Api::<Deployment>::namespaced(admin.clone(), &namespace);
        let replicas = async || {
            deployments
                .get("demo-api")
                .await
                .unwrap()
                .spec
                .unwrap()
                .replicas
        };
        let change = json!({"spec": {"api": {"replicas": 5}, "ingress": {"enabled": false}}});
        stacks
            .patch("demo", &params, &Patch::Merge(change))
            .await
            .unwrap();
        eventually("the API has 5 replicas", SOON, async || {
            replicas().await == Some(5)
        })
        .await;
        eventually("the Ingress is gone", SOON, async || {
            ingresses().await.is_empty()
        })
        .await;
        let tamper = json!({"spec": {"replicas": 1}});
        deployments
            .patch("demo-api", &params, &Patch::Merge(tamper))
            .await
            .unwrap();
        eventually("the edit is undone", SOON, async || {
            replicas().await == Some(5)
        })
        .await;
        let services = Api::<Service>::namespaced(admin.clone(), &namespace);
        services
            .delete("demo-api", &DeleteParams::default())
            .await
            .unwrap();
        eventually("the Service is back", SOON, async || {
            services.get_opt("demo-api").await.unwrap().is_some()
        })
        .await;

        stop.cancel();
        tokio::time::timeout(SOON, task).await.unwrap().unwrap();
    })
    .await;
}
