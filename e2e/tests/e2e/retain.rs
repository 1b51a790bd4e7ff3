//! With `deletionPolicy: Retain`, users survive their stack.

use authstack_crds::AuthStack;
use authstack_e2e::{PATIENCE, Site, small};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::Ingress;
use kube::ResourceExt as _;
use kube::api::ListParams;
use serde_json::json;

#[tokio::test]
async fn a_stack_that_is_created_again_knows_its_users() {
    let site = Site::new("retain").await;
    site.apply("shop", small(json!({}))).await;
    let gateway = site.serving("shop").await;
    let user = gateway.register().await;
    let kept = kept(&site).await;

    site.delete::<AuthStack>("shop").await;
    site.until("every child is gone", PATIENCE, async || {
        children(&site).await.is_empty().then_some(())
    })
    .await;
    assert_eq!(self::kept(&site).await, kept, "Secret and claim stay");

    site.apply("shop", small(json!({}))).await;
    let gateway = site.serving("shop").await;
    gateway.login(&user).await;
    assert_eq!(
        self::kept(&site).await,
        kept,
        "and were taken up as they are"
    );
}

/// The uids of what is to stay.
async fn kept(site: &Site) -> (Option<String>, Option<String>) {
    let secret: Option<Secret> = site.find("shop-credentials").await;
    let claim: Option<PersistentVolumeClaim> = site.find("data-shop-postgres-0").await;
    let uids = (
        secret.and_then(|secret| secret.uid()),
        claim.and_then(|claim| claim.uid()),
    );
    assert!(uids.0.is_some() && uids.1.is_some(), "{uids:?}");
    uids
}

/// The stack and what is to go with it, its pods included.
async fn children(site: &Site) -> Vec<String> {
    let mut found = Vec::new();
    macro_rules! look_for {
        ($($kind:ty)*) => {$(
            let ours = ListParams::default().labels("app.kubernetes.io/instance=shop");
            let list = site.api::<$kind>().list_metadata(&ours).await.unwrap();
            found.extend(list.items.iter().map(|object| object.name_any()));
        )*};
    }
    look_for!(ConfigMap Deployment Ingress Pod Service ServiceAccount StatefulSet);
    found
}
