//! A change of configuration replaces the pods that read it, and no request
//! fails for it.

use authstack_e2e::{Load, Site, merged, small};
use serde_json::json;

const PARTS: [&str; 3] = ["api", "nginx", "postgres"];

#[tokio::test]
async fn changes_roll_the_pods_that_read_them_and_no_others() {
    let site = Site::new("rollout").await;
    let two = json!({"replicas": 2});
    let changes = json!({"api": two, "nginx": two, "tokens": {"accessTTL": "1h"}});
    let spec = small(changes);
    site.apply("shop", spec.clone()).await;
    let gateway = site.serving("shop").await;
    let user = gateway.register().await;
    let tokens = gateway.login(&user).await;

    let load = Load::start(&gateway, &tokens).await;
    let spec = merged(spec, json!({"tokens": {"accessTTL": "2h"}}));
    assert_eq!(replaced(&site, &spec).await, ["api"]);
    load.stop().await.assert_flawless("a rollout of the API");

    let load = Load::start(&gateway, &tokens).await;
    let spec = merged(spec, json!({"nginx": {"trustedProxies": ["192.0.2.0/24"]}}));
    assert_eq!(replaced(&site, &spec).await, ["nginx"]);
    load.stop().await.assert_flawless("a rollout of nginx");

    // What no pod reads replaces none.
    let spec = merged(spec, json!({"deletionPolicy": "Delete"}));
    assert_eq!(replaced(&site, &spec).await, [""; 0]);
}

/// The parts whose pods are other ones after a change, all of them.
async fn replaced(site: &Site, spec: &serde_json::Value) -> Vec<&'static str> {
    let mut before = Vec::new();
    for part in PARTS {
        before.push(site.lives("shop", part).await);
    }
    site.apply("shop", spec.clone()).await;
    site.ready("shop").await;
    let mut replaced = Vec::new();
    for (part, before) in PARTS.into_iter().zip(before) {
        let after = site.lives("shop", part).await;
        assert_eq!(after.len(), before.len(), "{part}");
        let kept = after.iter().filter(|pod| before.contains(pod)).count();
        match kept {
            0 => replaced.push(part),
            kept => assert_eq!(kept, before.len(), "{part}: {before:?}, {after:?}"),
        }
    }
    replaced
}
