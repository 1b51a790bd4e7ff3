//! NetworkPolicies: kept true, changed, taken away.

use authstack_crds::ConditionType;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde_json::json;

use super::site::{SOON, Site, eventually, in_namespace, names};

#[tokio::test]
async fn policies_are_kept_true_and_go_when_they_are_turned_off() {
    in_namespace("policies", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        let peer = json!({"namespaceSelector": {"matchLabels": {"team": "edge"}}});
        let limited = json!({"networkPolicy": {"ingressFrom": [peer]}});
        site.apply("shop", limited.clone()).await;
        site.built("shop").await;
        let rules = async || {
            let policy = site.get::<NetworkPolicy>("shop-nginx").await;
            policy.and_then(|policy| policy.spec?.ingress)
        };
        let made = rules().await.unwrap();
        assert_eq!(
            serde_json::to_value(&made[0]).unwrap(),
            json!({"from": [peer], "ports": [{"protocol": "TCP", "port": 8080}]})
        );

        // Whoever opens a policy by hand sees it closed again.
        site.merge::<NetworkPolicy>("shop-nginx", json!({"spec": {"ingress": [{}]}}))
            .await;
        eventually("the rules are back", SOON, async || {
            rules().await.as_ref() == Some(&made)
        })
        .await;
        site.delete::<NetworkPolicy>("shop-postgres").await;
        eventually("the policy is back", SOON, async || {
            site.get::<NetworkPolicy>("shop-postgres").await.is_some()
        })
        .await;

        site.apply("shop", json!({})).await;
        eventually("anybody may come", SOON, async || {
            rules().await.is_some_and(|rules| rules[0].from.is_none())
        })
        .await;

        // Somebody else's policy is not the stack's to delete.
        let foreign = json!({"metadata": {"name": "foreign"}, "spec": {"podSelector": {}}});
        let foreign: NetworkPolicy = serde_json::from_value(foreign).unwrap();
        let policies = site.api::<NetworkPolicy>();
        policies
            .create(&kube::api::PostParams::default(), &foreign)
            .await
            .unwrap();
        site.apply("shop", json!({"networkPolicy": {"enabled": false}}))
            .await;
        eventually("the policies are gone", SOON, async || {
            names::<NetworkPolicy>(&site).await.is_empty()
        })
        .await;
        assert!(site.get::<NetworkPolicy>("foreign").await.is_some());

        site.apply("shop", limited).await;
        eventually("they are back", SOON, async || {
            names::<NetworkPolicy>(&site).await.len() == 4
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_policy_of_somebody_else_under_a_childs_name_is_said_and_left() {
    in_namespace("policy-taken", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        let foreign = json!({"metadata": {"name": "shop-postgres"}, "spec": {"podSelector": {}}});
        let foreign: NetworkPolicy = serde_json::from_value(foreign).unwrap();
        let policies = site.api::<NetworkPolicy>();
        let created = policies
            .create(&kube::api::PostParams::default(), &foreign)
            .await
            .unwrap();
        site.apply("shop", json!({})).await;
        let message = site
            .condition("shop", ConditionType::DatabaseReady, ("False", "NameTaken"))
            .await;
        assert!(message.contains("NetworkPolicy shop-postgres"), "{message}");
        let policy = site.get::<NetworkPolicy>("shop-postgres").await.unwrap();
        assert_eq!(policy.spec, created.spec, "it is as it was");
    })
    .await;
}
