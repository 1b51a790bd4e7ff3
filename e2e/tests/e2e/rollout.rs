//! A change replaces the pods that read it, and no request fails for it.

use authstack_e2e::{Crowd, Site, merged, small};
use serde_json::{Value, json};

const PARTS: [&str; 3] = ["api", "nginx", "postgres"];

#[tokio::test]
async fn changes_roll_the_pods_that_read_them_and_no_others() {
    let site = Site::new("rollout").await;
    let two = json!({"replicas": 2});
    let changes = json!({"api": two, "nginx": two, "tokens": {"accessTTL": "1h"}});
    let spec = small(changes);
    site.apply("shop", spec.clone()).await;
    let gateway = site.serving("shop").await;
    let crowd = Crowd::of(&gateway).await;

    let load = crowd.work();
    let image = json!({"image": another_name_of_the_image(&site).await});
    let spec = merged(spec, json!({"api": image, "tokens": {"accessTTL": "2h"}}));
    assert_eq!(replaced(&site, &spec).await, ["api"]);
    load.stop()
        .await
        .assert_flawless("an update of the API's image");

    let load = crowd.work();
    let spec = merged(spec, json!({"nginx": {"trustedProxies": ["192.0.2.0/24"]}}));
    assert_eq!(replaced(&site, &spec).await, ["nginx"]);
    load.stop()
        .await
        .assert_flawless("a change of nginx's configuration");

    // What no pod reads replaces none.
    let spec = merged(spec, json!({"deletionPolicy": "Delete"}));
    assert_eq!(replaced(&site, &spec).await, [""; 0]);
}

/// What the API's pods run, called otherwise: nodes that cannot pull have no
/// other image, and to everybody but them this is one.
async fn another_name_of_the_image(site: &Site) -> String {
    let pods = site.pods("shop", "api").await;
    let spec = pods[0].spec.as_ref().unwrap();
    let image = spec.containers[0].image.clone().unwrap();
    let short = image.strip_prefix("docker.io/");
    short.map_or(format!("docker.io/{image}"), ToOwned::to_owned)
}

/// The parts whose pods are other ones after a change, all of them.
async fn replaced(site: &Site, spec: &Value) -> Vec<&'static str> {
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
