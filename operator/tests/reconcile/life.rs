//! Paused, stopped, deleted in the middle, and many at once.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use authstack_crds::{AuthStack, ConditionType};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Api, DeleteParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;

use super::picture::Picture;
use super::site::{SOON, Site, eventually, in_namespace, names};
use super::support::define;

#[tokio::test]
async fn a_paused_stack_is_left_alone_and_its_status_is_true() {
    in_namespace("paused", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({})).await;
        site.built("shop").await;
        site.apply("shop", json!({"paused": true, "nginx": {"replicas": 5}}))
            .await;
        let message = site
            .condition("shop", ConditionType::Ready, ("False", "Paused"))
            .await;
        assert!(message.contains("spec.paused"), "{message}");
        site.condition("shop", ConditionType::Reconciling, ("True", "Paused"))
            .await;
        site.delete::<Service>("shop-api").await;
        site.merge::<Deployment>("shop-api", json!({"spec": {"replicas": 1}}))
            .await;
        eventually("the status tells of it", SOON, async || {
            let status = site.get::<AuthStack>("shop").await.unwrap().status.unwrap();
            status.api_replicas.as_deref() == Some("0/1")
        })
        .await;
        site.quiet().await;
        assert!(site.get::<Service>("shop-api").await.is_none());
        let replicas = async |name| {
            let deployment = site.get::<Deployment>(name).await.unwrap();
            deployment.spec.unwrap().replicas.unwrap()
        };
        assert_eq!(
            (replicas("shop-api").await, replicas("shop-nginx").await),
            (1, 2)
        );

        site.apply("shop", json!({"nginx": {"replicas": 5}})).await;
        eventually("everything is as it is to be", SOON, async || {
            site.get::<Service>("shop-api").await.is_some()
                && (replicas("shop-api").await, replicas("shop-nginx").await) == (3, 5)
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_stopped_stack_has_no_pod_and_keeps_its_data() {
    in_namespace("stopped", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({})).await;
        let pods = async || names::<Pod>(&site).await.len();
        eventually("there are six pods", SOON, async || pods().await == 6).await;
        let claim = async || {
            let claim = site
                .get::<PersistentVolumeClaim>("data-shop-postgres-0")
                .await;
            claim.unwrap().uid()
        };
        let volume = claim().await;
        site.apply("shop", json!({"stopped": true})).await;
        site.condition("shop", ConditionType::Ready, ("True", "Stopped"))
            .await;
        site.condition("shop", ConditionType::Available, ("False", "Stopped"))
            .await;
        site.condition("shop", ConditionType::DatabaseReady, ("True", "Stopped"))
            .await;
        assert_eq!(pods().await, 0);
        site.apply("shop", json!({"stopped": false})).await;
        site.condition("shop", ConditionType::Ready, ("False", "Progressing"))
            .await;
        eventually("the pods are back", SOON, async || pods().await == 6).await;
        assert_eq!(claim().await, volume);
    })
    .await;
}

#[tokio::test]
async fn a_stack_that_no_operator_has_seen_is_behind_its_manifest() {
    in_namespace("unseen", async |config, namespace| {
        define(&config).await;
        let site = Site::without_operator(&config, &namespace);
        site.apply("shop", json!({})).await;
        let stack = site.get::<AuthStack>("shop").await.unwrap();
        // By this kstatus tells it from one that is done.
        assert_eq!(stack.status.unwrap().observed_generation, Some(-1));
        assert_eq!(stack.metadata.generation, Some(1));
    })
    .await;
}

#[tokio::test]
async fn a_namespace_that_is_deleted_in_the_middle_is_let_go() {
    in_namespace("terminating", async |config, namespace| {
        // As the administrator: the rights that lie in a namespace go with it.
        let site = Site::acting_as(&config, &namespace, config.clone()).await;
        site.apply("shop", json!({})).await;
        eventually("it has begun", SOON, async || {
            site.writes.load(Ordering::SeqCst) > 3
        })
        .await;
        let namespaces = Api::<Namespace>::all(Client::try_from(config.clone()).unwrap());
        namespaces
            .delete(&namespace, &DeleteParams::default())
            .await
            .unwrap();
        let before = site.writes.load(Ordering::SeqCst);
        eventually("the namespace is gone", SOON, async || {
            namespaces.get_opt(&namespace).await.unwrap().is_none()
        })
        .await;
        site.quiet().await;
        // Each of its objects that goes is a reason to look, at most.
        let writes = site.writes.load(Ordering::SeqCst) - before;
        assert!(writes < 60, "{writes} writes into a namespace that goes");
    })
    .await;
}

#[tokio::test]
async fn fifty_stacks_at_once_do_not_wait_for_each_other() {
    in_namespace("many", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("bad", json!({"version": "9.0.0"})).await;
        let begin = Instant::now();
        let stacks = (0..50).map(|index| format!("shop-{index}"));
        let stacks: Vec<_> = stacks.collect();
        let applied = stacks.iter().map(|name| site.apply(name, json!({})));
        futures::future::join_all(applied).await;
        eventually(
            "all Ingresses are there",
            Duration::from_mins(10),
            async || names::<Ingress>(&site).await.len() == 50,
        )
        .await;
        println!(
            "figure: 50 stacks in {:.1} s",
            begin.elapsed().as_secs_f32()
        );
        site.condition(
            "bad",
            ConditionType::Stalled,
            ("True", "UnsupportedVersion"),
        )
        .await;
        for name in &stacks {
            site.condition(name, ConditionType::Ready, ("False", "Progressing"))
                .await;
        }
        assert_eq!(names::<Service>(&site).await.len(), 50 * 4);
    })
    .await;
}

#[tokio::test]
async fn everything_goes_with_the_stack_but_what_is_to_stay() {
    in_namespace("owners", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        for (name, policy) in [("shop", "Retain"), ("till", "Delete")] {
            site.apply(name, json!({"deletionPolicy": policy})).await;
            site.built(name).await;
        }
        let mut unowned = Vec::new();
        for object in Picture::take(&site).await.objects() {
            let kind = object.types.clone().unwrap().kind;
            let stack = object.labels()["app.kubernetes.io/instance"].clone();
            let owner = site.get::<AuthStack>(&stack).await.unwrap();
            let owners = object.owner_references();
            let what = format!("{kind} {}", object.name_any());
            if owners.is_empty() {
                unowned.push(what);
                continue;
            }
            assert_eq!(owners.len(), 1, "{what}");
            assert_eq!(owners[0].kind, "AuthStack", "{what}");
            assert_eq!(Some(&owners[0].uid), owner.metadata.uid.as_ref(), "{what}");
            assert_eq!(owners[0].controller, Some(true), "{what}");
            assert_eq!(owners[0].block_owner_deletion, Some(true), "{what}");
        }
        assert_eq!(unowned, RETAINED);
    })
    .await;
}

/// What outlives the stack `shop`, beside its volume.
const RETAINED: [&str; 3] = [
    "Secret shop-ca",
    "Secret shop-credentials",
    "Secret shop-signing-keys",
];
