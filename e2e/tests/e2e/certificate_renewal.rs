//! New certificates while clients work: no request fails and no pod restarts.

use std::time::{Duration, Instant};

use authstack_e2e::{Crowd, Site, figure, seconds, small};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use serde_json::json;

/// A kubelet brings a changed Secret to its pods within two minutes.
const LIMIT: Duration = Duration::from_mins(5);

/// The serial number of the certificate that a server shows to a pod.
async fn shown(site: &Site, pod: &str, server: &str) -> String {
    let script =
        format!("openssl s_client {server} </dev/null 2>/dev/null | openssl x509 -noout -serial");
    site.exec(pod, &script).await.output.trim().to_owned()
}

#[tokio::test]
async fn certificates_are_renewed_while_clients_work() {
    let site = Site::new("renewal").await;
    let two = json!({"replicas": 2});
    let spec = json!({"api": two, "nginx": two, "tokens": {"accessTTL": "1h"}});
    site.apply("shop", small(spec)).await;
    let gateway = site.serving("shop").await;
    let crowd = Crowd::of(&gateway).await;
    let lives = async || {
        let mut lives = Vec::new();
        for part in ["api", "nginx", "postgres"] {
            lives.extend(site.lives("shop", part).await);
        }
        lives
    };
    let before = lives().await;

    // Each is asked from where policies let somebody ask.
    let nginx = site.pods("shop", "nginx").await[0].name_any();
    let load = crowd.work();
    for (secret, pod, server) in [
        (
            "shop-postgres-tls",
            "shop-postgres-0",
            "-starttls postgres -connect 127.0.0.1:5432",
        ),
        ("shop-api-tls", &nginx, "-connect shop-api:8001"),
    ] {
        let old = shown(&site, pod, server).await;
        assert!(old.starts_with("serial="), "{old}");
        let begin = Instant::now();
        // A lost one is replaced as one that is due is.
        site.delete::<Secret>(secret).await;
        site.until("the new certificate is shown", LIMIT, async || {
            let now = shown(&site, pod, server).await;
            (now.starts_with("serial=") && now != old).then_some(())
        })
        .await;
        figure(&format!(
            "{secret}: new certificate shown after {}",
            seconds(begin)
        ));
    }
    let outcome = load.stop().await;
    outcome.assert_flawless("the renewal of certificates");
    assert_eq!(before, lives().await, "nothing restarts for it");
    site.ready("shop").await;
}
