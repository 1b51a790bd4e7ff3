//! What stands in the way is said, and heals.

use authstack_crds::{AuthStack, ConditionType};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt as _;
use kube::api::{ListParams, PostParams};
use serde_json::json;

use super::certificates::made_for;
use super::site::{SOON, Site, eventually, in_namespace, names};

#[tokio::test]
async fn a_name_that_is_taken_is_left_alone_and_the_rest_goes_on() {
    in_namespace("taken", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        let foreign: ConfigMap = serde_json::from_value(json!({
            "metadata": {"name": "shop-nginx"}, "data": {"mine": "yes"},
        }))
        .unwrap();
        site.api::<ConfigMap>()
            .create(&PostParams::default(), &foreign)
            .await
            .unwrap();
        site.apply("shop", json!({})).await;
        let message = site
            .condition("shop", ConditionType::Stalled, ("True", "NameTaken"))
            .await;
        assert!(message.contains("ConfigMap shop-nginx"), "{message}");
        site.condition("shop", ConditionType::NginxReady, ("False", "NameTaken"))
            .await;
        assert!(site.get::<Deployment>("shop-api").await.is_some());
        let kept = site.get::<ConfigMap>("shop-nginx").await.unwrap();
        assert_eq!(kept.data.as_ref().unwrap()["mine"], "yes");
        assert!(kept.owner_references().is_empty() && kept.labels().is_empty());
        eventually("the stall is an Event", SOON, async || {
            let events = site
                .api::<Event>()
                .list(&ListParams::default())
                .await
                .unwrap();
            events.items.iter().any(|event| {
                event.reason.as_deref() == Some("NameTaken")
                    && event.regarding.as_ref().unwrap().name.as_deref() == Some("shop")
            })
        })
        .await;

        // Nothing of ours watches a foreign object; the next look finds it gone.
        site.delete::<ConfigMap>("shop-nginx").await;
        site.condition("shop", ConditionType::Stalled, ("False", "NoProblem"))
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_missing_certificate_is_said_and_heals() {
    in_namespace("certificate", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        let tls = json!({"host": "a.example.com", "tls": {"secretName": "shop-tls"}});
        site.apply("shop", json!({"ingress": tls})).await;
        let of = ConditionType::IngressReady;
        let message = site
            .condition("shop", of, ("False", "SecretNotFound"))
            .await;
        assert!(
            message.contains("Secret shop-tls does not exist"),
            "{message}"
        );
        site.condition("shop", ConditionType::Stalled, ("True", "SecretNotFound"))
            .await;
        site.secret(
            "shop-tls",
            json!({"tls.crt": "certificate", "tls.key": "key"}),
        )
        .await;
        // What it holds is looked into (`certificates.rs`).
        site.condition("shop", of, ("False", "CertificateInvalid"))
            .await;
        let off = json!({"host": "a.example.com"});
        site.apply("shop", json!({"ingress": off})).await;
        site.condition("shop", of, ("True", "AddressPending")).await;
        site.condition("shop", ConditionType::Stalled, ("False", "NoProblem"))
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_stall_that_comes_again_is_the_same_event_counted_twice() {
    in_namespace("events", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        let tls = json!({"host": "a.example.com", "tls": {"secretName": "shop-tls"}});
        site.apply("shop", json!({"ingress": tls})).await;
        let stalled = async |yes: bool| {
            let wanted = [("False", "NoProblem"), ("True", "SecretNotFound")][usize::from(yes)];
            site.condition("shop", ConditionType::Stalled, wanted).await;
        };
        stalled(true).await;
        site.secret("shop-tls", made_for("a.example.com", 0)).await;
        stalled(false).await;
        site.delete::<Secret>("shop-tls").await;
        stalled(true).await;
        site.quiet().await;

        let events = site.api::<Event>();
        let events = events.list(&ListParams::default()).await.unwrap().items;
        let is_ours =
            |event: &&Event| event.reporting_controller.as_deref() == Some("authstack-operator");
        let ours: Vec<_> = events.iter().filter(is_ours).collect();
        assert_eq!(ours.len(), 1, "nothing else is worth an event: {ours:#?}");
        assert_eq!(ours[0].reason.as_deref(), Some("SecretNotFound"));
        assert_eq!(ours[0].series.as_ref().unwrap().count, 2);
    })
    .await;
}

#[tokio::test]
async fn a_missing_database_url_is_said_and_heals() {
    in_namespace("external", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        let external = json!({"urlSecretRef": {"name": "db", "key": "url"}});
        site.apply("shop", json!({"postgres": {"external": external}}))
            .await;
        let of = ConditionType::DatabaseReady;
        let message = site
            .condition("shop", of, ("False", "SecretNotFound"))
            .await;
        assert!(message.contains("Secret db does not exist"), "{message}");
        assert!(names::<StatefulSet>(&site).await.is_empty());

        site.secret("db", json!({"other": "x"})).await;
        eventually("the missing key is named", SOON, async || {
            let status = site.get::<AuthStack>("shop").await.unwrap().status.unwrap();
            status.condition(of).unwrap().message.contains("no key url")
        })
        .await;
        let checksum = async || {
            let deployment = site.get::<Deployment>("shop-api").await.unwrap();
            let template = deployment.spec.unwrap().template.metadata.unwrap();
            template.annotations.unwrap()["auth.dataviv.com/config-checksum"].clone()
        };
        let before = checksum().await;
        let url = json!({"stringData": {"url": "postgres://app:hunter2@db/auth"}});
        site.merge::<Secret>("db", url).await;
        site.condition("shop", ConditionType::Stalled, ("False", "NoProblem"))
            .await;
        assert_eq!(
            checksum().await,
            before,
            "the API reads the URL again; no pod is replaced for it"
        );
        let stack = serde_json::to_string(&site.get::<AuthStack>("shop").await).unwrap();
        assert!(!stack.contains("hunter2"));
    })
    .await;
}

#[tokio::test]
async fn a_storage_class_that_does_not_exist_is_said() {
    in_namespace("storage", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        let class = format!("{namespace}-fast");
        site.apply(
            "shop",
            json!({"postgres": {"managed": {"storage": {"storageClassName": class}}}}),
        )
        .await;
        let message = site
            .condition(
                "shop",
                ConditionType::DatabaseReady,
                ("False", "StorageClassNotFound"),
            )
            .await;
        assert!(message.contains(&class), "{message}");
        site.condition(
            "shop",
            ConditionType::Stalled,
            ("True", "StorageClassNotFound"),
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn an_unknown_version_touches_nothing() {
    in_namespace("version", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({})).await;
        site.built("shop").await;
        let before = site.get::<Deployment>("shop-api").await.unwrap();
        site.apply("shop", json!({"version": "9.0.0", "api": {"replicas": 9}}))
            .await;
        let message = site
            .condition(
                "shop",
                ConditionType::Stalled,
                ("True", "UnsupportedVersion"),
            )
            .await;
        assert!(message.contains("0.1.0"), "{message}");
        let after = site.get::<Deployment>("shop-api").await.unwrap();
        assert_eq!(before.metadata.generation, after.metadata.generation);
        // And what is true of the children is still said.
        site.condition("shop", ConditionType::ApiReady, ("False", "Progressing"))
            .await;
        site.apply("shop", json!({})).await;
        site.condition("shop", ConditionType::Stalled, ("False", "NoProblem"))
            .await;
    })
    .await;
}
