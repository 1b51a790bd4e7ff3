//! When the leader goes, the other replica goes on, and nobody else notices.

use std::time::{Duration, Instant};

use authstack_e2e::{Crowd, Site, crash, figure, seconds, small};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Api, DeleteParams, ListParams};
use serde_json::json;

const NAME: &str = "authstack-operator";
const LIMIT: Duration = Duration::from_mins(1);

#[tokio::test]
async fn another_replica_takes_over_from_a_lost_leader() {
    let site = Site::alone("failover").await;
    two_run(&site).await;
    let pods: Api<Pod> = Api::namespaced(site.client.clone(), "authstack-system");

    // Told to go, it gives the Lease up.
    let old = another_leads(&site, "").await;
    let start = Instant::now();
    let at_once = DeleteParams::default().grace_period(0);
    pods.delete(pod_of(&old), &at_once).await.unwrap();
    site.apply("first", small(json!({"tokens": {"accessTTL": "1h"}})))
        .await;
    another_leads(&site, &old).await;
    is_built(&site, "first").await;
    figure(&format!(
        "leader deleted to a new stack built: {}",
        seconds(start)
    ));
    let gateway = site.serving("first").await;
    let crowd = Crowd::of(&gateway).await;
    two_run(&site).await;

    // Restarted, as an update does it, one after the other.
    let lives = async || {
        [
            site.lives("first", "api").await,
            site.lives("first", "nginx").await,
        ]
    };
    let before = lives().await;
    let load = crowd.work();
    restart(&site).await;
    site.ready("first").await;
    assert_eq!(lives().await, before, "no pod of the stack was touched");
    load.stop()
        .await
        .assert_flawless("a restart of the operator");

    // Killed, it cannot, and the Lease has to end.
    let load = crowd.work();
    let database: Pod = site.find("first-postgres-0").await.unwrap();
    let image = &database.spec.unwrap().containers[0].image.clone().unwrap();
    let old = another_leads(&site, "").await;
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
    load.stop().await.assert_flawless("the leader killed");
}

/// `kubectl rollout restart`, until none of the old pods is left.
async fn restart(site: &Site) {
    let operators: Api<Deployment> = Api::namespaced(site.client.clone(), "authstack-system");
    let pods: Api<Pod> = Api::namespaced(site.client.clone(), "authstack-system");
    let ours = ListParams::default().labels("app.kubernetes.io/name=authstack-operator");
    let names = async || {
        let pods = pods.list_metadata(&ours).await.unwrap();
        pods.iter()
            .map(kube::ResourceExt::name_any)
            .collect::<Vec<_>>()
    };
    let old = names().await;
    operators.restart(NAME).await.unwrap();
    site.until("the operator's pods are other ones", LIMIT, async || {
        let now = names().await;
        (now.len() == 2 && !now.iter().any(|name| old.contains(name))).then_some(())
    })
    .await;
    two_run(site).await;
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

/// Waits until somebody leads who is not `old`.
async fn another_leads(site: &Site, old: &str) -> String {
    site.until("another replica leads", LIMIT, async || {
        leader(site).await.filter(|leader| leader != old)
    })
    .await
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
