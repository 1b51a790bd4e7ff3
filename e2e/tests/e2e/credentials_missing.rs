//! Credentials are never made anew for a database that only knows the old ones.

use authstack_crds::ConditionType::{CredentialsReady, Stalled};
use authstack_e2e::{Site, small};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use serde_json::json;

#[tokio::test]
async fn a_lost_credentials_secret_is_waited_for() {
    let site = Site::new("credentials").await;
    site.apply("shop", small(json!({}))).await;
    let gateway = site.serving("shop").await;
    let user = gateway.register().await;
    let lives = async || {
        [
            site.lives("shop", "api").await,
            site.lives("shop", "postgres").await,
        ]
    };
    let before = lives().await;

    let backup: Secret = site.find("shop-credentials").await.unwrap();
    site.delete::<Secret>("shop-credentials").await;
    let missing = "CredentialsMissing";
    let stalled = site.condition("shop", Stalled, ("True", missing)).await;
    for word in ["shop-credentials", "data-shop-postgres-0", "backup"] {
        assert!(stalled.message.contains(word), "{}", stalled.message);
    }
    let ready = site.now("shop", CredentialsReady).await;
    assert_eq!(ready, ("False".to_owned(), missing.to_owned()));
    gateway.login(&user).await;
    assert!(site.find::<Secret>("shop-credentials").await.is_none());

    // As a backup has it: what somebody wrote, without what the cluster added.
    let restored = Secret {
        metadata: ObjectMeta {
            name: backup.metadata.name,
            labels: backup.metadata.labels,
            ..ObjectMeta::default()
        },
        ..backup
    };
    let secrets = site.api::<Secret>();
    secrets
        .create(&PostParams::default(), &restored)
        .await
        .unwrap();
    site.ready("shop").await;
    gateway.login(&user).await;
    assert_eq!(lives().await, before, "no pod was touched");
}
