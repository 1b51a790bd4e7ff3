//! A database that goes away and comes back costs honest 503s and nothing else.

use std::time::{Duration, Instant};

use authstack_e2e::{Answer, Gateway, PATIENCE, Site, Tokens, figure, seconds, small};
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
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

    let start = Instant::now();
    let at_once = DeleteParams::default().grace_period(0);
    let pods = site.api::<Pod>();
    pods.delete("shop-postgres-0", &at_once).await.unwrap();
    comes_back(&gateway, &tokens).await;
    figure(&format!(
        "Postgres's pod deleted to served again: {}",
        seconds(start)
    ));
    site.ready("shop").await;

    // As a crash does: SIGQUIT makes Postgres drop everything and leave.
    let start = Instant::now();
    site.exec("shop-postgres-0", "kill -QUIT 1").await;
    comes_back(&gateway, &tokens).await;
    figure(&format!(
        "Postgres crashed to served again: {}",
        seconds(start)
    ));
    site.ready("shop").await;

    gateway.login(&user).await;
    assert_eq!(site.lives("shop", "api").await, api, "no API pod restarted");
}

/// Asks until the service is away, and then until it is back, and takes nothing
/// for an answer that is neither service nor an honest 503.
async fn comes_back(gateway: &Gateway, tokens: &Tokens) {
    let asking = async {
        let mut was_away = false;
        loop {
            let status = gateway.get("/auth/").await.expect("an answer");
            let me = gateway.me(tokens).await.expect("an answer");
            let away = is_away(&status, &me);
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

/// Whether either says that the database is away.
fn is_away(status: &Answer, me: &Answer) -> bool {
    let said = (status.status, status.body["database"].as_str());
    let connected = said == (200, Some("connected"));
    let disconnected = said == (503, Some("disconnected"));
    assert!(connected || disconnected, "{status:?}");
    if me.status != 200 {
        me.assert_problem(503, "unavailable");
    }
    disconnected || me.status == 503
}
