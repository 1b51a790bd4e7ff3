//! With `deletionPolicy: Delete`, nothing survives the stack.

use authstack_crds::AuthStack;
use authstack_crds::ConditionType::DatabaseReady;
use authstack_e2e::{MISSING_IMAGE, PATIENCE, Site, small};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Secret};
use kube::api::Api;
use serde_json::json;

#[tokio::test]
async fn data_and_credentials_go_with_a_stack_that_says_so() {
    let site = Site::new("delete").await;
    // Only the database matters here.
    let api = json!({"image": MISSING_IMAGE});
    let retain = small(json!({"api": api, "deletionPolicy": "Retain"}));
    site.apply("shop", retain).await;
    site.condition("shop", DatabaseReady, ("True", "Ready"))
        .await;
    let claim: PersistentVolumeClaim = site.find("data-shop-postgres-0").await.unwrap();
    let volume = claim.spec.and_then(|spec| spec.volume_name).unwrap();
    let volumes: Api<PersistentVolume> = Api::all(site.client.clone());
    assert!(volumes.get_opt(&volume).await.unwrap().is_some());

    // Somebody who changes their mind first.
    let delete = small(json!({"api": api, "deletionPolicy": "Delete"}));
    site.apply("shop", delete).await;
    site.condition("shop", DatabaseReady, ("True", "Ready"))
        .await;
    site.delete::<AuthStack>("shop").await;
    site.until("claim, volume and Secret are gone", PATIENCE, async || {
        let claim: Option<PersistentVolumeClaim> = site.find("data-shop-postgres-0").await;
        let secret: Option<Secret> = site.find("shop-credentials").await;
        let volume = volumes.get_opt(&volume).await.unwrap();
        (claim.is_none() && secret.is_none() && volume.is_none()).then_some(())
    })
    .await;
}
