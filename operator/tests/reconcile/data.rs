//! Credentials and volumes: kept, taken up again, deleted when asked.

use std::time::Duration;

use authstack_crds::{AuthStack, ConditionType};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::Ingress;
use kube::ResourceExt as _;
use kube::api::PostParams;
use serde_json::json;

use super::site::{SOON, Site, eventually, in_namespace, names};

#[tokio::test]
async fn credentials_are_never_made_again_beside_a_volume() {
    in_namespace("credentials", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({})).await;
        site.built("shop").await;
        let secret = site.get::<Secret>("shop-credentials").await.unwrap();
        eventually("the claim is there", SOON, async || {
            site.get::<PersistentVolumeClaim>("data-shop-postgres-0")
                .await
                .is_some()
        })
        .await;
        let database = site.get::<StatefulSet>("shop-postgres").await.unwrap();

        site.delete::<Secret>("shop-credentials").await;
        let message = site
            .condition(
                "shop",
                ConditionType::Stalled,
                ("True", "CredentialsMissing"),
            )
            .await;
        assert!(message.contains("data-shop-postgres-0"), "{message}");
        site.condition(
            "shop",
            ConditionType::CredentialsReady,
            ("False", "CredentialsMissing"),
        )
        .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(site.get::<Secret>("shop-credentials").await.is_none());
        let after = site.get::<StatefulSet>("shop-postgres").await.unwrap();
        assert_eq!(database.spec, after.spec);
        assert_eq!(database.uid(), after.uid());

        // A Secret from a backup is the way out.
        let mut restored = secret.clone();
        restored.metadata.resource_version = None;
        restored.metadata.uid = None;
        site.api::<Secret>()
            .create(&PostParams::default(), &restored)
            .await
            .unwrap();
        site.condition("shop", ConditionType::Stalled, ("False", "NoProblem"))
            .await;
        site.condition("shop", ConditionType::CredentialsReady, ("True", "Ready"))
            .await;
        assert_eq!(
            site.get::<Secret>("shop-credentials").await.unwrap().data,
            secret.data
        );

        site.merge::<Secret>("shop-credentials", json!({"data": {"secret-key": null}}))
            .await;
        let message = site
            .condition(
                "shop",
                ConditionType::Stalled,
                ("True", "CredentialsInvalid"),
            )
            .await;
        assert!(message.contains("secret-key"), "{message}");
    })
    .await;
}

#[tokio::test]
async fn what_is_retained_is_taken_up_again_and_what_is_not_goes() {
    in_namespace("delete", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({})).await;
        site.built("shop").await;
        let secret = site.get::<Secret>("shop-credentials").await.unwrap();
        let claim = async || {
            site.get::<PersistentVolumeClaim>("data-shop-postgres-0")
                .await
        };
        eventually("the claim is there", SOON, async || claim().await.is_some()).await;
        let volume = claim().await.unwrap();

        site.delete::<AuthStack>("shop").await;
        let gone = async || {
            names::<Service>(&site).await.is_empty()
                && names::<ConfigMap>(&site).await.is_empty()
                && names::<ServiceAccount>(&site).await.is_empty()
                && names::<StatefulSet>(&site).await.is_empty()
                && names::<Deployment>(&site).await.is_empty()
                && names::<Ingress>(&site).await.is_empty()
        };
        eventually("the children go", SOON, gone).await;
        assert_eq!(
            site.get::<Secret>("shop-credentials").await.unwrap().data,
            secret.data
        );
        assert!(claim().await.unwrap().metadata.deletion_timestamp.is_none());

        // Another major version cannot read the volume.
        site.apply("shop", json!({"postgres": {"managed": {"major": 16}}}))
            .await;
        let message = site
            .condition("shop", ConditionType::Stalled, ("True", "MajorMismatch"))
            .await;
        assert!(message.contains("PostgreSQL 18"), "{message}");
        site.delete::<AuthStack>("shop").await;

        site.apply("shop", json!({"deletionPolicy": "Delete"}))
            .await;
        site.built("shop").await;
        let adopted = site.get::<Secret>("shop-credentials").await.unwrap();
        assert_eq!((adopted.uid(), adopted.data), (secret.uid(), secret.data));
        assert_eq!(claim().await.unwrap().uid(), volume.uid());

        site.delete::<AuthStack>("shop").await;
        eventually("everything goes", SOON, async || {
            gone().await
                && site.get::<Secret>("shop-credentials").await.is_none()
                // A claim that no pod holds goes at once.
                && claim().await.is_none()
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_change_of_mind_about_deletion_is_kept() {
    in_namespace("policy", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        let owners = async || {
            site.get::<Secret>("shop-credentials")
                .await
                .unwrap()
                .owner_references()
                .len()
        };
        let retention = async || {
            let spec = site
                .get::<StatefulSet>("shop-postgres")
                .await
                .unwrap()
                .spec
                .unwrap();
            spec.persistent_volume_claim_retention_policy
                .unwrap()
                .when_deleted
                .unwrap()
        };
        for (policy, owned) in [("Delete", 1), ("Retain", 0), ("Delete", 1)] {
            site.apply("shop", json!({"deletionPolicy": policy})).await;
            site.built("shop").await;
            eventually(policy, SOON, async || {
                owners().await == owned && retention().await == policy
            })
            .await;
        }
    })
    .await;
}
