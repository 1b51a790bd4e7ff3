//! When the leader goes, the other replica goes on.

use std::time::{Duration, Instant};

use authstack_e2e::{Site, crash, figure, seconds, small};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Api, DeleteParams};
use serde_json::json;

const NAME: &str = "authstack-operator";
const LIMIT: Duration = Duration::from_mins(1);

#[tokio::test]
async fn another_replica_takes_over_from_a_lost_leader() {
    let site = Site::alone("failover").await;
    two_run(&site).await;
    let pods: Api<Pod> = Api::namespaced(site.client.clone(), "authstack-system");

    // Told to go, it gives the Lease up.
    let old = leader(&site).await.unwrap();
    let start = Instant::now();
    let at_once = DeleteParams::default().grace_period(0);
    pods.delete(pod_of(&old), &at_once).await.unwrap();
    site.apply("first", small(json!({}))).await;
    another_leads(&site, &old).await;
    is_built(&site, "first").await;
    figure(&format!(
        "leader deleted to a new stack built: {}",
        seconds(start)
    ));
    site.serving("first").await;
    two_run(&site).await;

    // Killed, it cannot, and the Lease has to end.
    let database: Pod = site.find("first-postgres-0").await.unwrap();
    let image = &database.spec.unwrap().containers[0].image.clone().unwrap();
    let old = leader(&site).await.unwrap();
    let victim = pods.get(pod_of(&old)).await.unwrap();
    let start = Instant::now();
    crash(&site, &victim, NAME, image).await;
    site.apply("second", small(json!({}))).await;
    another_leads(&site, &old).await;
    is_built(&site, "second").await;
    figure(&format!(
        "leader killed to a new stack built: {}",
        seconds(start)
    ));
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    site.ready("second").await;
    two_run(&site).await;
}

/// The pod of a leader: `<pod>_<something of the process's own>`.
fn pod_of(leader: &str) -> &str {
    leader.split('_').next().unwrap_or_default()
}

/// Who holds the Lease.
async fn leader(site: &Site) -> Option<String> {
    let leases: Api<Lease> = Api::namespaced(site.client.clone(), "authstack-system");
    let lease = leases.get(NAME).await.unwrap();
    let holder = lease.spec?.holder_identity;
    holder.filter(|holder| !holder.is_empty())
}

async fn another_leads(site: &Site, old: &str) {
    site.until("another replica leads", LIMIT, async || {
        leader(site).await.filter(|leader| leader != old)
    })
    .await;
}

/// Waits for a stack's last object.
async fn is_built(site: &Site, stack: &str) {
    site.until("the stack's Ingress is made", LIMIT, async || {
        site.find::<Ingress>(stack).await
    })
    .await;
}

/// Waits for two operators that are ready, or fails: that many are deployed.
async fn two_run(site: &Site) {
    let operators: Api<Deployment> = Api::namespaced(site.client.clone(), "authstack-system");
    site.until("two replicas of the operator run", LIMIT, async || {
        let status = operators.get(NAME).await.unwrap().status.unwrap();
        (status.ready_replicas == Some(2)).then_some(())
    })
    .await;
}
