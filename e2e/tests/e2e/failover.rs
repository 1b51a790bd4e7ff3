//! When the leader goes, the other replica goes on.

use std::time::{Duration, Instant};

use authstack_e2e::{Site, figure, seconds, small};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Api, DeleteParams};
use serde_json::json;

const NAME: &str = "authstack-operator";
const LIMIT: Duration = Duration::from_mins(1);

#[tokio::test]
async fn another_replica_takes_over_from_a_killed_leader() {
    let site = Site::alone("failover").await;
    let pods: Api<Pod> = Api::namespaced(site.client.clone(), "authstack-system");
    let two_run = async || {
        let operators: Api<Deployment> = Api::namespaced(site.client.clone(), "authstack-system");
        let status = operators.get(NAME).await.unwrap().status.unwrap();
        (status.ready_replicas == Some(2)).then_some(())
    };
    site.until("two replicas run", LIMIT, two_run).await;
    let old = leader(&site).await.unwrap();
    // `<pod>_<something of the process's own>`
    let pod = old.split('_').next().unwrap();

    let start = Instant::now();
    let at_once = DeleteParams::default().grace_period(0);
    pods.delete(pod, &at_once).await.unwrap();
    site.apply("shop", small(json!({}))).await;
    let new = site
        .until("another replica leads", LIMIT, async || {
            leader(&site).await.filter(|leader| *leader != old)
        })
        .await;
    assert!(!new.starts_with(pod), "{new} after {old}");
    figure(&format!(
        "leader killed to another leads: {}",
        seconds(start)
    ));
    site.until("the stack's last object is made", LIMIT, async || {
        site.find::<Ingress>("shop").await
    })
    .await;
    let taken = start.elapsed();
    figure(&format!(
        "leader killed to a new stack built: {}",
        seconds(start)
    ));
    assert!(taken < LIMIT, "{taken:?}");
    site.serving("shop").await;
    site.until("two replicas run again", LIMIT, two_run).await;
}

/// Who holds the Lease.
async fn leader(site: &Site) -> Option<String> {
    let leases: Api<Lease> = Api::namespaced(site.client.clone(), "authstack-system");
    let lease = leases.get(NAME).await.unwrap();
    lease
        .spec?
        .holder_identity
        .filter(|holder| !holder.is_empty())
}
