//! `kubectl scale authstack` adds and removes API pods.

use authstack_crds::AuthStack;
use authstack_e2e::{Crowd, PATIENCE, Site, small};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use serde_json::json;

#[tokio::test]
async fn scaling_up_and_down_fails_no_request() {
    let site = Site::new("scale").await;
    let spec = small(json!({"tokens": {"accessTTL": "1h"}}));
    site.apply("shop", spec).await;
    let gateway = site.serving("shop").await;
    let crowd = Crowd::of(&gateway).await;

    for (replicas, what) in [(3, "scaling from 1 to 3"), (1, "scaling from 3 to 1")] {
        let load = crowd.work();
        scale(&site, replicas).await;
        load.stop().await.assert_flawless(what);
    }
}

/// As `kubectl scale` does; waits until there are as many, and no others.
async fn scale(site: &Site, replicas: i32) {
    let scale = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    let stacks = site.api::<AuthStack>();
    stacks
        .patch_scale("shop", &PatchParams::default(), &scale)
        .await
        .unwrap();
    site.ready("shop").await;
    let scaled: Deployment = site.find("shop-api").await.unwrap();
    assert_eq!(scaled.spec.and_then(|spec| spec.replicas), Some(replicas));
    // Ready does not wait for those that are going.
    let what = format!("{replicas} API pods and no others");
    site.until(&what, PATIENCE, async || {
        let count = site.all_pods("shop", "api").await.len();
        (i32::try_from(count) == Ok(replicas)).then_some(())
    })
    .await;
    let counted = stacks.get_scale("shop").await.unwrap();
    assert_eq!(counted.status.map(|status| status.replicas), Some(replicas));
}
