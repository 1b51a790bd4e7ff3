//! A database that goes away and comes back costs honest 503s and nothing else.

use std::time::{Duration, Instant};

use authstack_crds::ConditionType::{Available, DatabaseReady};
use authstack_e2e::{Answer, Gateway, PATIENCE, Site, Tokens, figure, seconds, small};
use k8s_openapi::api::core::v1::{Pod, ResourceQuota};
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

#[tokio::test]
async fn the_api_outlives_its_database() {
    let site = Site::new("database-killed").await;
    let spec = small(json!({"api": {"replicas": 2}, "tokens": {"accessTTL": "1h"}}));
    site.apply("shop", spec).await;
    let gateway = site.serving("shop").await;
    let user = gateway.register().await;
    let tokens = gateway.login(&user).await;
    let api = site.lives("shop", "api").await;

    // A pod that goes, and that the cluster lets nobody make again for a while.
    allow_no_pods(&site).await;
    let at_once = DeleteParams::default().grace_period(0);
    let pods = site.api::<Pod>();
    pods.delete("shop-postgres-0", &at_once).await.unwrap();
    is_disconnected(&site, &gateway, &tokens).await;
    let refused = ("False", "PodsRefused");
    let refused = site.condition("shop", DatabaseReady, refused).await;
    assert!(refused.message.contains("quota"), "{}", refused.message);
    assert_eq!(site.now("shop", Available).await.0, "False");
    site.delete::<ResourceQuota>("no-pods").await;
    let start = Instant::now();
    comes_back(&gateway, &tokens).await;
    figure(&format!(
        "Postgres's pod allowed again to served: {}",
        seconds(start)
    ));
    site.ready("shop").await;

    // As a crash does: SIGQUIT makes Postgres drop everything and leave.
    let start = Instant::now();
    site.exec("shop-postgres-0", "kill -QUIT 1").await;
    comes_back(&gateway, &tokens).await;
    figure(&format!("Postgres crashed to served: {}", seconds(start)));
    site.ready("shop").await;

    gateway.login(&user).await;
    assert_eq!(site.lives("shop", "api").await, api, "no API pod restarted");
}

async fn allow_no_pods(site: &Site) {
    let quota = json!({"metadata": {"name": "no-pods"}, "spec": {"hard": {"pods": "0"}}});
    let quota: ResourceQuota = serde_json::from_value(quota).unwrap();
    let quotas = site.api::<ResourceQuota>();
    quotas.create(&PostParams::default(), &quota).await.unwrap();
    // It refuses nothing before somebody has counted.
    site.until("the quota is in force", PATIENCE, async || {
        let quota: ResourceQuota = site.find("no-pods").await?;
        quota.status?.used.map(drop)
    })
    .await;
}

/// Waits until both say that the database is away.
async fn is_disconnected(site: &Site, gateway: &Gateway, tokens: &Tokens) {
    site.until("both say that the database is away", PATIENCE, async || {
        let (status, me) = ask(gateway, tokens).await;
        (status.status == 503 && me.status == 503).then_some(())
    })
    .await;
}

/// Asks until the service is away, if it is not yet, and then until it is back.
async fn comes_back(gateway: &Gateway, tokens: &Tokens) {
    let asking = async {
        let mut was_away = false;
        loop {
            let (status, me) = ask(gateway, tokens).await;
            let away = status.status == 503 || me.status == 503;
            if was_away && !away {
                return;
            }
            was_away |= away;
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, asking).await;
    assert!(
        waited.is_ok(),
        "the database was not away, or did not return"
    );
}

/// Asks for the status and for a profile, and takes nothing for an answer that
/// is neither service nor an honest 503.
async fn ask(gateway: &Gateway, tokens: &Tokens) -> (Answer, Answer) {
    let status = gateway.get("/auth/").await.expect("an answer");
    let said = (status.status, status.body["database"].as_str());
    let known = [(200, Some("connected")), (503, Some("disconnected"))];
    assert!(known.contains(&said), "{status:?}");
    let me = gateway.me(tokens).await.expect("an answer");
    if me.status != 200 {
        me.assert_problem(503, "unavailable");
    }
    (status, me)
}
