//! An image that cannot be had is named, and mending the manifest is enough.

use authstack_crds::ConditionType::{self, ApiReady, Available, DatabaseReady, Stalled};
use authstack_e2e::{Crowd, MISSING_IMAGE, Site, small};
use serde_json::json;

/// Waits until the stack says which image is missing and which field says so.
async fn is_named(site: &Site, of: ConditionType, field: &str) {
    let failed = site
        .condition("shop", of, ("False", "ImagePullFailed"))
        .await;
    for word in [MISSING_IMAGE, field] {
        assert!(failed.message.contains(word), "{}", failed.message);
    }
    let stalled = ("True", "ImagePullFailed");
    site.condition("shop", Stalled, stalled).await;
}

#[tokio::test]
async fn of_the_api() {
    let site = Site::new("api-image").await;
    site.apply("shop", small(json!({"api": {"image": MISSING_IMAGE}})))
        .await;
    is_named(&site, ApiReady, "spec.api.image").await;
    site.apply("shop", small(json!({}))).await;
    site.serving("shop").await;
}

#[tokio::test]
async fn of_postgres() {
    let site = Site::new("postgres-image").await;
    let image = json!({"managed": {"image": MISSING_IMAGE}});
    site.apply("shop", small(json!({"postgres": image}))).await;
    is_named(&site, DatabaseReady, "spec.postgres.managed.image").await;
    // The pod was never ready; nobody but the operator replaces it.
    site.apply("shop", small(json!({}))).await;
    site.serving("shop").await;
}

#[tokio::test]
async fn of_the_api_while_it_serves() {
    let site = Site::new("live-image").await;
    let replicas = json!({"replicas": 2});
    let tokens = json!({"accessTTL": "1h"});
    let good = small(json!({"api": replicas, "tokens": tokens}));
    site.apply("shop", good.clone()).await;
    let gateway = site.serving("shop").await;
    let crowd = Crowd::of(&gateway).await;
    let before = site.lives("shop", "api").await;
    let load = crowd.work();

    let bad = json!({"api": {"image": MISSING_IMAGE}});
    let bad = authstack_e2e::merged(good.clone(), bad);
    site.apply("shop", bad).await;
    is_named(&site, ApiReady, "spec.api.image").await;
    assert_eq!(site.now("shop", Available).await.0, "True");
    let now = site.lives("shop", "api").await;
    let still_there = before.iter().all(|pod| now.contains(pod));
    assert!(still_there, "{before:?} became {now:?}");
    site.apply("shop", good).await;
    site.ready("shop").await;
    assert_eq!(site.lives("shop", "api").await, before);
    load.stop().await.assert_flawless("a bad image and back");
}
