//! Fields that others own: left alone; fields of the operator's: taken back.

use authstack_crds::ConditionType;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::site::{SOON, Site, eventually, in_namespace};

/// Applies fields of an object as another field manager does.
async fn apply_as(site: &Site, manager: &str, name: &str, fields: Value) {
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
    });
    for (key, value) in fields.as_object().unwrap() {
        object[key] = value.clone();
    }
    object["metadata"]["name"] = json!(name);
    let params = PatchParams::apply(manager).force();
    site.api::<Deployment>()
        .patch(name, &params, &Patch::Apply(&object))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_others_inject_stays_through_changes_of_the_manifest() {
    in_namespace("inject", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({})).await;
        site.built("shop").await;
        let restarted = json!({"kubectl.kubernetes.io/restartedAt": "2026-11-01T00:00:00Z"});
        let mesh = json!({
            "metadata": {"annotations": {"mesh.example.com/injected": "true"}, "labels": {"team": "a"}},
            "spec": {"template": {
                "metadata": {"annotations": restarted, "labels": {"mesh": "on"}},
                "spec": {
                    "containers": [{"name": "proxy", "image": "mesh.example.com/proxy:1"}],
                    "volumes": [{"name": "mesh", "emptyDir": {}}],
                },
            }},
        });
        apply_as(&site, "mesh", "shop-api", mesh).await;
        site.quiet().await;
        let before = site.get::<Deployment>("shop-api").await.unwrap();
        site.apply("shop", json!({"api": {"replicas": 4, "logLevel": "debug"}})).await;
        eventually("the change is there", SOON, async || {
            let deployment = site.get::<Deployment>("shop-api").await.unwrap();
            deployment.spec.unwrap().replicas == Some(4)
        })
        .await;
        let after = site.get::<Deployment>("shop-api").await.unwrap();
        assert_eq!(after.annotations()["mesh.example.com/injected"], "true");
        assert_eq!(after.labels()["team"], "a");
        let template = |deployment: &Deployment| deployment.spec.clone().unwrap().template;
        let (meta, pod) = (template(&after).metadata.unwrap(), template(&after).spec.unwrap());
        assert_eq!(meta.labels.unwrap()["mesh"], "on");
        let notes = meta.annotations.unwrap();
        assert_eq!(notes["kubectl.kubernetes.io/restartedAt"], "2026-11-01T00:00:00Z");
        let containers: Vec<_> = pod.containers.iter().map(|one| one.name.as_str()).collect();
        assert!(containers.contains(&"proxy") && containers.contains(&"api"), "{containers:?}");
        assert!(pod.volumes.unwrap().iter().any(|volume| volume.name == "mesh"));
        assert_ne!(template(&before), template(&after), "the log level is another");
    })
    .await;
}

#[tokio::test]
async fn a_field_that_somebody_seizes_is_taken_back() {
    in_namespace("seize", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({})).await;
        site.built("shop").await;
        let seized = json!({"spec": {"replicas": 9, "revisionHistoryLimit": 2}});
        apply_as(&site, "somebody", "shop-api", seized).await;
        eventually("the replicas are as the manifest says", SOON, async || {
            let deployment = site.get::<Deployment>("shop-api").await.unwrap();
            deployment.spec.unwrap().replicas == Some(3)
        })
        .await;
        site.quiet().await;
        let deployment = site.get::<Deployment>("shop-api").await.unwrap();
        let spec = deployment.spec.as_ref().unwrap();
        assert_eq!(
            spec.revision_history_limit,
            Some(2),
            "which the operator does not set"
        );
        // One entry of ours: the create's has become the apply's.
        let entries = deployment.metadata.managed_fields.unwrap();
        let ours = entries.iter().filter(|entry| {
            entry.manager.as_deref() == Some("authstack-operator") && entry.subresource.is_none()
        });
        let operations: Vec<_> = ours.map(|entry| entry.operation.clone().unwrap()).collect();
        assert_eq!(operations, ["Apply"]);
        let owners = |field: &str| -> Vec<_> {
            let has = |fields: &Value| fields["f:spec"].get(field).is_some();
            let entries = entries.iter().filter(|entry| {
                entry
                    .fields_v1
                    .as_ref()
                    .is_some_and(|fields| has(&fields.0))
            });
            entries
                .map(|entry| entry.manager.clone().unwrap())
                .collect()
        };
        assert_eq!(owners("f:replicas"), ["authstack-operator"]);
        assert_eq!(owners("f:revisionHistoryLimit"), ["somebody"]);
    })
    .await;
}

#[tokio::test]
async fn an_object_that_lost_its_owner_is_adopted_and_a_foreign_one_is_not() {
    in_namespace("adopt", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({})).await;
        site.built("shop").await;
        let uid = async |name: &str| site.get::<Service>(name).await.unwrap().uid();
        let before = uid("shop-api").await;
        site.merge::<Service>("shop-api", json!({"metadata": {"ownerReferences": null}}))
            .await;
        eventually("it is the stack's again", SOON, async || {
            let service = site.get::<Service>("shop-api").await.unwrap();
            !service.owner_references().is_empty()
        })
        .await;
        assert_eq!(uid("shop-api").await, before);

        // Of an owner that exists: else the cluster itself would delete it.
        let other = json!({"metadata": {"name": "other"}});
        let other = site
            .api::<ConfigMap>()
            .create(
                &PostParams::default(),
                &serde_json::from_value(other).unwrap(),
            )
            .await
            .unwrap();
        let owner = json!([{
            "apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": other.uid(),
            "controller": true, "blockOwnerDeletion": false,
        }]);
        let before = uid("shop-nginx").await;
        let seized = json!({"metadata": {"ownerReferences": owner}});
        site.merge::<Service>("shop-nginx", seized).await;
        let of = ConditionType::NginxReady;
        site.condition("shop", of, ("False", "NameTaken")).await;
        site.quiet().await;
        let service = site.get::<Service>("shop-nginx").await.unwrap();
        assert_eq!(service.owner_references()[0].name, "other");
        assert_eq!(service.uid(), before);
    })
    .await;
}
