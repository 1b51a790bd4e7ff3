//! A database that CloudNativePG runs; the test says what CloudNativePG would.

use std::sync::atomic::Ordering;

use authstack_crds::{AuthStack, ConditionType};
use authstack_operator::foreign::cloud_native_pg::{Cluster, Pooler};
use authstack_operator::reconcile::optional::Optional;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::definition::Definition;
use super::optional::report;
use super::site::{SOON, Site, eventually, in_namespace, names};

/// What CloudNativePG says in a phase.
fn said(phase: &str, ready: i32, primary: (&str, &str), is_ready: &str) -> Value {
    json!({
        "phase": phase,
        "phaseReason": "as the test has it",
        "readyInstances": ready,
        "currentPrimary": primary.0,
        "targetPrimary": primary.1,
        "instancesStatus": {"healthy": if ready > 0 { vec![primary.0] } else { vec![] }},
        "managedRolesStatus": {"cannotReconcile": null},
        "conditions": [{"type": "Ready", "status": is_ready, "reason": "x", "message": "x",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    })
}

#[tokio::test]
async fn the_database_follows_what_cloud_native_pg_says() {
    in_namespace("cluster", async |config, namespace| {
        let clusters = Definition::absent(&config, Optional::Cluster, "Cluster").await;
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({"postgres": {"cloudNativePG": {}}}))
            .await;
        let of = ConditionType::DatabaseReady;
        let message = site.condition("shop", of, ("False", "ApiMissing")).await;
        assert!(message.contains("install CloudNativePG"), "{message}");
        site.built("shop").await;
        assert!(names::<StatefulSet>(&site).await.is_empty());

        clusters.install().await;
        let name = "shop-postgres";
        let message = site
            .condition("shop", of, ("False", "ClusterPending"))
            .await;
        assert!(message.contains("is its controller running"), "{message}");
        let cluster = site.get::<Cluster>(name).await.unwrap();
        assert_eq!(cluster.spec.instances, 3);
        let policy = site.get::<NetworkPolicy>(name).await.unwrap();
        let selector = policy.spec.unwrap().pod_selector.unwrap();
        assert_eq!(selector.match_labels.unwrap()["cnpg.io/cluster"], name);
        let secret = site.get::<Secret>("shop-postgres-runtime").await.unwrap();
        let own = site.get::<Secret>("shop-credentials").await.unwrap();
        assert_eq!(
            secret.data.as_ref().unwrap()["username"].0,
            b"authstack_runtime"
        );
        assert_eq!(
            secret.data.unwrap()["password"],
            own.data.unwrap()["runtime-password"]
        );

        let one = ("shop-postgres-1", "shop-postgres-1");
        report::<Cluster>(&site, name, said("Setting up primary", 0, one, "False")).await;
        let message = site.condition("shop", of, ("False", "Progressing")).await;
        assert!(
            message.contains("0 of 3") && message.contains("Setting up primary"),
            "{message}"
        );
        let healthy = said("Cluster in healthy state", 3, one, "True");
        report::<Cluster>(&site, name, healthy.clone()).await;
        site.condition("shop", of, ("True", "Ready")).await;
        let moving = ("shop-postgres-1", "pending");
        report::<Cluster>(&site, name, said("Failing over", 2, moving, "False")).await;
        let message = site.condition("shop", of, ("False", "Progressing")).await;
        assert!(message.contains("Failing over"), "{message}");
        let hopeless = "Cluster is unrecoverable and needs manual intervention";
        report::<Cluster>(&site, name, said(hopeless, 0, one, "False")).await;
        let message = site
            .condition("shop", of, ("False", "ClusterStalled"))
            .await;
        assert!(message.contains("as the test has it"), "{message}");
        let mut refused = said("Cluster in healthy state", 3, one, "True");
        refused["managedRolesStatus"] =
            json!({"cannotReconcile": {"authstack_runtime": ["the Secret is gone"]}});
        report::<Cluster>(&site, name, refused).await;
        let message = site.condition("shop", of, ("False", "RoleRefused")).await;
        assert!(message.contains("the Secret is gone"), "{message}");
        report::<Cluster>(&site, name, healthy).await;
        site.condition("shop", of, ("True", "Ready")).await;
        clusters.remove().await;
    })
    .await;
}

#[tokio::test]
async fn the_database_of_a_stopped_stack_hibernates() {
    in_namespace("hibernation", async |config, namespace| {
        let clusters = Definition::absent(&config, Optional::Cluster, "Cluster").await;
        clusters.install().await;
        let site = Site::new(&config, &namespace).await;
        let name = "shop-postgres";
        let of = ConditionType::DatabaseReady;
        let one = ("shop-postgres-1", "shop-postgres-1");
        site.apply("shop", json!({"postgres": {"cloudNativePG": {}}}))
            .await;
        site.condition("shop", of, ("False", "ClusterPending"))
            .await;
        let healthy = said("Cluster in healthy state", 3, one, "True");
        report::<Cluster>(&site, name, healthy).await;
        site.condition("shop", of, ("True", "Ready")).await;

        let cluster = json!({"cloudNativePG": {}});
        let stopped = json!({"stopped": true, "postgres": cluster});
        site.apply("shop", stopped).await;
        let message = site.condition("shop", of, ("False", "Stopping")).await;
        assert!(message.contains("3 instances"), "{message}");
        let hibernation = async || {
            let cluster = site.get::<Cluster>(name).await.unwrap();
            cluster.annotations().get("cnpg.io/hibernation").cloned()
        };
        assert_eq!(hibernation().await.as_deref(), Some("on"));
        let mut asleep = said("Cluster in healthy state", 0, one, "True");
        asleep["conditions"][0]["type"] = json!("cnpg.io/hibernation");
        report::<Cluster>(&site, name, asleep).await;
        site.condition("shop", of, ("True", "Stopped")).await;
        site.apply("shop", json!({"postgres": cluster})).await;
        eventually("the database is woken", SOON, async || {
            hibernation().await.is_none()
        })
        .await;
        clusters.remove().await;
    })
    .await;
}

#[tokio::test]
async fn a_pooler_stays_for_as_long_as_a_pod_of_the_api_may_go_through_it() {
    in_namespace("pooler", async |config, namespace| {
        let clusters = Definition::absent(&config, Optional::Cluster, "Cluster").await;
        let poolers = Definition::absent(&config, Optional::Pooler, "Pooler").await;
        clusters.install().await;
        poolers.install().await;
        let site = Site::new(&config, &namespace).await;
        let with = json!({"postgres": {"cloudNativePG": {"pooler": {}}}});
        site.apply("shop", with).await;
        eventually("the pooler is there", SOON, async || {
            names::<Pooler>(&site).await == ["shop-postgres-pooler"]
        })
        .await;
        let goes_by = async |service: &str| {
            let api = site.get::<Deployment>("shop-api").await;
            let Some(pod) = api.and_then(|api| api.spec?.template.spec) else {
                return false;
            };
            let env = pod.containers[0].env.iter().flatten();
            let mut urls = env.filter(|env| env.name == "DATABASE_URL");
            let host = format!("@{service}.");
            urls.any(|url| url.value.as_ref().is_some_and(|url| url.contains(&host)))
        };
        eventually("the API goes through the pooler", SOON, async || {
            goes_by("shop-postgres-pooler").await
        })
        .await;
        site.apply("shop", json!({"postgres": {"cloudNativePG": {}}}))
            .await;
        eventually("the API goes past the pooler", SOON, async || {
            goes_by("shop-postgres-rw").await
        })
        .await;
        // Without nodes the API's pods are never replaced.
        site.quiet().await;
        assert_eq!(names::<Pooler>(&site).await, ["shop-postgres-pooler"]);
        clusters.remove().await;
        poolers.remove().await;
    })
    .await;
}

#[tokio::test]
async fn an_operator_that_starts_anew_does_not_doubt_a_database_that_runs() {
    in_namespace("cluster-restart", async |config, namespace| {
        let clusters = Definition::absent(&config, Optional::Cluster, "Cluster").await;
        clusters.install().await;
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({"postgres": {"cloudNativePG": {}}}))
            .await;
        let of = ConditionType::DatabaseReady;
        site.condition("shop", of, ("False", "ClusterPending"))
            .await;
        let one = ("shop-postgres-1", "shop-postgres-1");
        let healthy = said("Cluster in healthy state", 3, one, "True");
        report::<Cluster>(&site, "shop-postgres", healthy).await;
        site.condition("shop", of, ("True", "Ready")).await;
        site.quiet().await;
        let stack = site.get::<AuthStack>("shop").await.unwrap();

        let site = site.restarted(&config);
        // It applies every child once, to know what is true.
        eventually("it has looked at the stack", SOON * 2, async || {
            site.writes.load(Ordering::SeqCst) > 0
        })
        .await;
        site.quiet().await;
        let after = site.get::<AuthStack>("shop").await.unwrap();
        assert_eq!(after.status, stack.status);
        assert_eq!(after.resource_version(), stack.resource_version());
        clusters.remove().await;
    })
    .await;
}

#[tokio::test]
async fn a_cluster_that_is_retained_outlives_the_stack_and_is_taken_up_again() {
    in_namespace("retained-cluster", async |config, namespace| {
        let clusters = Definition::absent(&config, Optional::Cluster, "Cluster").await;
        clusters.install().await;
        let site = Site::new(&config, &namespace).await;
        let spec = || json!({"postgres": {"cloudNativePG": {}}});
        site.apply("shop", spec()).await;
        let of = ConditionType::DatabaseReady;
        site.condition("shop", of, ("False", "ClusterPending"))
            .await;
        let name = "shop-postgres";
        let before = site.get::<Cluster>(name).await.unwrap();
        assert!(before.owner_references().is_empty());

        site.delete::<AuthStack>("shop").await;
        eventually(
            "the stack's own objects are collected",
            SOON * 2,
            async || site.get::<Deployment>("shop-api").await.is_none(),
        )
        .await;
        site.apply("shop", spec()).await;
        site.condition("shop", of, ("False", "ClusterPending"))
            .await;
        let after = site.get::<Cluster>(name).await.unwrap();
        assert_eq!(after.uid(), before.uid());
        assert!(site.get::<Secret>("shop-postgres-owner").await.is_some());

        // With `Delete` it has an owner, which takes it along.
        let delete = json!({"deletionPolicy": "Delete", "postgres": {"cloudNativePG": {}}});
        site.apply("shop", delete).await;
        eventually("the cluster has an owner", SOON, async || {
            let cluster = site.get::<Cluster>(name).await.unwrap();
            cluster.owner_references().len() == 1
        })
        .await;
        site.apply("shop", spec()).await;
        eventually("the cluster has none any more", SOON, async || {
            let cluster = site.get::<Cluster>(name).await.unwrap();
            cluster.owner_references().is_empty()
        })
        .await;
        clusters.remove().await;
    })
    .await;
}

#[tokio::test]
async fn somebody_elses_cluster_is_not_seized() {
    in_namespace("foreign-cluster", async |config, namespace| {
        let clusters = Definition::absent(&config, Optional::Cluster, "Cluster").await;
        clusters.install().await;
        let site = Site::new(&config, &namespace).await;
        let foreign: Cluster = serde_json::from_value(json!({
            "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster",
            "metadata": {"name": "shop-postgres"}, "spec": {"instances": 1},
        }))
        .unwrap();
        eventually("the cluster is theirs", SOON, async || {
            let created = site
                .api::<Cluster>()
                .create(&kube::api::PostParams::default(), &foreign)
                .await;
            created.is_ok()
        })
        .await;
        site.apply("shop", json!({"postgres": {"cloudNativePG": {}}}))
            .await;
        site.condition("shop", ConditionType::DatabaseReady, ("False", "NameTaken"))
            .await;
        let kept = site.get::<Cluster>("shop-postgres").await.unwrap();
        assert_eq!(kept.spec.instances, 1);
        assert!(kept.labels().is_empty());
        clusters.remove().await;
    })
    .await;
}
