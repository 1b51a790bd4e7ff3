//! Children: made, kept true, changed, scaled.

use std::sync::atomic::Ordering;
use std::time::Duration;

use authstack_crds::{AuthStack, ConditionType};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::site::{SOON, Site, eventually, in_namespace, names};

#[tokio::test]
async fn an_empty_spec_becomes_all_children_and_then_nothing_is_written() {
    in_namespace("children", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({})).await;
        site.built("shop").await;
        assert_eq!(
            names::<Secret>(&site).await,
            [
                "shop-api-tls",
                "shop-binding",
                "shop-ca",
                "shop-credentials",
                "shop-postgres-tls",
                "shop-signing-keys"
            ]
        );
        assert_eq!(
            names::<ConfigMap>(&site).await,
            ["shop-nginx", "shop-postgres"]
        );
        assert_eq!(
            names::<Service>(&site).await,
            [
                "shop-api",
                "shop-nginx",
                "shop-postgres",
                "shop-postgres-headless"
            ]
        );
        assert_eq!(
            names::<ServiceAccount>(&site).await,
            ["shop-api", "shop-nginx", "shop-postgres"]
        );
        assert_eq!(names::<StatefulSet>(&site).await, ["shop-postgres"]);
        assert_eq!(names::<Deployment>(&site).await, ["shop-api", "shop-nginx"]);
        assert_eq!(names::<Ingress>(&site).await, ["shop"]);
        assert_eq!(
            names::<NetworkPolicy>(&site).await,
            [
                "shop-api",
                "shop-nginx",
                "shop-postgres",
                "shop-postgres-job"
            ]
        );
        assert_eq!(
            names::<PodDisruptionBudget>(&site).await,
            ["shop-api", "shop-nginx"]
        );
        site.condition("shop", ConditionType::Ready, ("False", "Progressing"))
            .await;

        let before = site.writes.load(Ordering::SeqCst);
        // A trigger that changes nothing: the reconcile must find nothing to do.
        let pods = names::<Pod>(&site).await;
        let note = json!({"metadata": {"annotations": {"example.com/note": "1"}}});
        site.merge::<Pod>(&pods[0], note).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(site.writes.load(Ordering::SeqCst), before);
    })
    .await;
}

#[tokio::test]
async fn what_the_operator_set_comes_back_and_what_others_added_stays() {
    in_namespace("drift", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({})).await;
        site.built("shop").await;

        let service = site.get::<Service>("shop-api").await.unwrap();
        site.delete::<Service>("shop-api").await;
        eventually("the Service is back", SOON, async || {
            site.get::<Service>("shop-api")
                .await
                .is_some_and(|is| is.uid() != service.uid())
        })
        .await;

        let uid = site
            .get::<Service>("shop-api")
            .await
            .unwrap()
            .uid()
            .unwrap();
        eventually("nginx is to look its address up again", SOON, async || {
            let deployment = site.get::<Deployment>("shop-nginx").await.unwrap();
            let template = deployment.spec.unwrap().template.metadata.unwrap();
            template.annotations.unwrap()["auth.dataviv.com/upstream-uid"] == uid
        })
        .await;

        site.merge::<ConfigMap>(
            "shop-nginx",
            json!({"data": {"nginx.conf": "", "extra": "1"}}),
        )
        .await;
        eventually("the configuration is back", SOON, async || {
            let data = site
                .get::<ConfigMap>("shop-nginx")
                .await
                .unwrap()
                .data
                .unwrap();
            !data["nginx.conf"].is_empty() && data["extra"] == "1"
        })
        .await;

        let orphan = json!({"metadata": {"ownerReferences": null}});
        site.merge::<Service>("shop-nginx", orphan).await;
        eventually("the owner is back", SOON, async || {
            let service = site.get::<Service>("shop-nginx").await.unwrap();
            !service.owner_references().is_empty()
        })
        .await;

        let restart = json!({"metadata": {"labels": {"team": "a"}}, "spec": {
            "replicas": 7,
            "template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}},
        }});
        site.merge::<Deployment>("shop-api", restart).await;
        eventually(
            "the replicas are back, the restart is not undone",
            SOON,
            async || {
                let deployment = site.get::<Deployment>("shop-api").await.unwrap();
                let template = deployment.spec.clone().unwrap().template.metadata.unwrap();
                deployment.labels().get("team").is_some()
                    && deployment.spec.as_ref().unwrap().replicas == Some(3)
                    && template
                        .annotations
                        .unwrap()
                        .contains_key("kubectl.kubernetes.io/restartedAt")
            },
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_change_of_the_manifest_reaches_the_children_and_removals_too() {
    in_namespace("change", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply(
            "shop",
            json!({"ingress": {"host": "a.example.com", "annotations": {"a/b": "c"}}}),
        )
        .await;
        site.built("shop").await;
        let ingress = async || site.get::<Ingress>("shop").await.unwrap();
        assert_eq!(
            ingress().await.annotations().get("a/b").map(String::as_str),
            Some("c")
        );

        // The first apply after a create must be able to take a field away.
        site.apply("shop", json!({"api": {"replicas": 4}})).await;
        eventually("annotation and host are gone", SOON, async || {
            let ingress = ingress().await;
            let rule = ingress.spec.as_ref().unwrap().rules.as_ref().unwrap()[0].clone();
            ingress.annotations().get("a/b").is_none() && rule.host.is_none()
        })
        .await;
        eventually("there are four", SOON, async || {
            site.get::<Deployment>("shop-api")
                .await
                .unwrap()
                .spec
                .unwrap()
                .replicas
                == Some(4)
        })
        .await;
        let nginx = site.get::<Deployment>("shop-nginx").await.unwrap();

        site.apply("shop", json!({"ingress": {"enabled": false}}))
            .await;
        eventually("the Ingress is gone", SOON, async || {
            site.get::<Ingress>("shop").await.is_none()
        })
        .await;
        site.condition("shop", ConditionType::IngressReady, ("True", "Disabled"))
            .await;

        // nginx's configuration names the public URL, which is the default again.
        let template = |deployment: &Deployment| deployment.spec.as_ref().unwrap().template.clone();
        let now = site.get::<Deployment>("shop-nginx").await.unwrap();
        assert_eq!(
            template(&nginx),
            template(&now),
            "nothing that nginx reads changed"
        );
    })
    .await;
}

#[tokio::test]
async fn the_scale_subresource_scales_the_api() {
    in_namespace("scale", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({})).await;
        site.built("shop").await;
        let scale = json!({"spec": {"replicas": 5}});
        let stacks = site.api::<AuthStack>();
        stacks
            .patch_scale("shop", &PatchParams::default(), &Patch::Merge(&scale))
            .await
            .unwrap();
        eventually("the API is scaled", SOON, async || {
            site.get::<Deployment>("shop-api")
                .await
                .unwrap()
                .spec
                .unwrap()
                .replicas
                == Some(5)
        })
        .await;
        let selector = stacks
            .get_scale("shop")
            .await
            .unwrap()
            .status
            .unwrap()
            .selector
            .unwrap();
        assert!(
            selector.contains("app.kubernetes.io/component=api"),
            "{selector}"
        );
    })
    .await;
}
