//! Who says how many pods the API has: the manifest, or an autoscaler.

use authstack_crds::{AuthStack, ConditionType};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::site::{SOON, Site, eventually, in_namespace};

async fn replicas(site: &Site) -> Option<i32> {
    let deployment = site.get::<Deployment>("shop-api").await?;
    deployment.spec?.replicas
}

/// Scales as an autoscaler does.
async fn scale(site: &Site, to: i32) {
    let scale = json!({"spec": {"replicas": to}});
    let params = PatchParams {
        field_manager: Some("autoscaler".to_owned()),
        ..PatchParams::default()
    };
    let deployments = site.api::<Deployment>();
    deployments
        .patch_scale("shop-api", &params, &Patch::Merge(&scale))
        .await
        .unwrap();
}

/// Who owns the number of pods, as its managedFields say.
fn owners(deployment: &Deployment) -> Vec<String> {
    let entries = deployment.managed_fields().iter();
    let owns = entries.filter(|entry| {
        let fields = entry.fields_v1.as_ref().unwrap();
        fields.0.pointer("/f:spec/f:replicas").is_some()
    });
    owns.map(|entry| entry.manager.clone().unwrap()).collect()
}

async fn image_is(site: &Site, image: &str) {
    eventually("the pods get the new image", SOON, async || {
        let deployment = site.get::<Deployment>("shop-api").await.unwrap();
        let pod = deployment.spec.unwrap().template.spec.unwrap();
        pod.containers[0].image.as_deref() == Some(image)
    })
    .await;
}

#[tokio::test]
async fn the_number_of_pods_is_handed_to_the_autoscaler_and_taken_back() {
    in_namespace("autoscaling", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({"api": {"replicas": 4}})).await;
        site.built("shop").await;

        let scaled = json!({"replicas": 4, "autoscaling": {"minReplicas": 2, "maxReplicas": 9}});
        site.apply("shop", json!({"api": scaled})).await;
        eventually("there is an autoscaler", SOON, async || {
            site.get::<HorizontalPodAutoscaler>("shop-api")
                .await
                .is_some()
        })
        .await;
        let deployment = site.get::<Deployment>("shop-api").await.unwrap();
        assert_eq!(replicas(&site).await, Some(4), "handed over, not dropped");
        assert_eq!(owners(&deployment), ["authstack-operator-autoscaling"]);
        let autoscaler = site.get::<HorizontalPodAutoscaler>("shop-api").await;
        let spec = autoscaler.unwrap().spec.unwrap();
        assert_eq!((spec.min_replicas, spec.max_replicas), (Some(2), 9));
        assert_eq!(spec.scale_target_ref.name, "shop-api");

        // What the autoscaler does is left alone.
        scale(&site, 6).await;
        eventually("the status counts what there is", SOON, async || {
            let status = site.get::<AuthStack>("shop").await.unwrap().status;
            status.and_then(|status| status.api_replicas).as_deref() == Some("0/6")
        })
        .await;
        site.quiet().await;
        assert_eq!(replicas(&site).await, Some(6));

        // And so it stays when something else changes.
        let changed =
            json!({"replicas": 4, "image": "example.com/api:2", "autoscaling": {"maxReplicas": 9}});
        site.apply("shop", json!({"api": changed})).await;
        image_is(&site, "example.com/api:2").await;
        assert_eq!(replicas(&site).await, Some(6));

        site.apply("shop", json!({"api": {"replicas": 4}})).await;
        eventually("the manifest's number is back", SOON, async || {
            replicas(&site).await == Some(4)
                && site
                    .get::<HorizontalPodAutoscaler>("shop-api")
                    .await
                    .is_none()
        })
        .await;
        let deployment = site.get::<Deployment>("shop-api").await.unwrap();
        assert!(owners(&deployment).contains(&"authstack-operator".to_owned()));
        site.condition("shop", ConditionType::Ready, ("False", "Progressing"))
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_stack_that_begins_with_an_autoscaler_begins_with_the_manifests_number() {
    in_namespace("autoscaled", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        let api = json!({"replicas": 5, "autoscaling": {"minReplicas": 2, "maxReplicas": 9}});
        site.apply("shop", json!({"api": api})).await;
        site.built("shop").await;
        assert_eq!(replicas(&site).await, Some(5));

        // The first apply after the create leaves the number out.
        let api = json!({"replicas": 5, "image": "example.com/api:2", "autoscaling": {"minReplicas": 2, "maxReplicas": 9}});
        site.apply("shop", json!({"api": api})).await;
        image_is(&site, "example.com/api:2").await;
        assert_eq!(replicas(&site).await, Some(5));
        let deployment = site.get::<Deployment>("shop-api").await.unwrap();
        assert_eq!(owners(&deployment), ["authstack-operator-autoscaling"]);
    })
    .await;
}

#[tokio::test]
async fn a_stack_with_an_autoscaler_stops_and_starts_with_the_manifests_number() {
    in_namespace("restarted", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        let api = json!({"replicas": 4, "autoscaling": {"minReplicas": 2, "maxReplicas": 9}});
        site.apply("shop", json!({"api": api})).await;
        site.built("shop").await;
        scale(&site, 6).await;
        site.quiet().await;
        let has_autoscaler = async || {
            let autoscaler = site.get::<HorizontalPodAutoscaler>("shop-api").await;
            autoscaler.is_some()
        };
        let owners_are = async |wanted: &str| {
            let deployment = site.get::<Deployment>("shop-api").await.unwrap();
            assert_eq!(owners(&deployment), [wanted]);
        };

        site.apply("shop", json!({"stopped": true, "api": api}))
            .await;
        site.condition("shop", ConditionType::Ready, ("True", "Stopped"))
            .await;
        assert_eq!(replicas(&site).await, Some(0));
        assert!(!has_autoscaler().await, "it would start pods");
        owners_are("authstack-operator").await;

        site.apply("shop", json!({"stopped": false, "api": api}))
            .await;
        // No autoscaler raises a number from zero.
        eventually("it starts again", SOON, async || {
            replicas(&site).await == Some(4) && has_autoscaler().await
        })
        .await;
        site.quiet().await;
        assert_eq!(replicas(&site).await, Some(4));
        owners_are("authstack-operator-autoscaling").await;
        scale(&site, 7).await;
        site.quiet().await;
        assert_eq!(replicas(&site).await, Some(7), "the autoscaler's again");
    })
    .await;
}
