//! What cannot be changed in place: made anew around its pods and volumes where
//! nothing is lost, and refused in words where something would be.

use authstack_crds::ConditionType;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use super::killed::run_until_dead;
use super::site::{SOON, Site, eventually, in_namespace};
use super::support::account::operator_account;

const SET: &str = "shop-postgres";
const CLAIM: &str = "data-shop-postgres-0";

/// Puts a StatefulSet of an older operator in the place of the stack's, around
/// the same pod and volume. Nobody may be at work in the namespace.
async fn age(site: &Site, change: impl Fn(&mut StatefulSet)) -> StatefulSet {
    let sets = site.api::<StatefulSet>();
    let mut set = sets.get(SET).await.unwrap();
    // As the operator does it: else the claim might go with the StatefulSet.
    let policy = json!({"whenDeleted": "Retain", "whenScaled": "Retain"});
    let keep = json!({"spec": {"persistentVolumeClaimRetentionPolicy": policy}});
    site.merge::<StatefulSet>(SET, keep).await;
    eventually("its controller has seen it", SOON, async || {
        let set = sets.get(SET).await.unwrap();
        let seen = set.status.and_then(|status| status.observed_generation);
        seen == set.metadata.generation
    })
    .await;
    let free = json!({"metadata": {"ownerReferences": null}});
    site.merge::<PersistentVolumeClaim>(CLAIM, free).await;
    sets.delete(SET, &DeleteParams::orphan()).await.unwrap();
    eventually("the StatefulSet is gone", SOON, async || {
        site.get::<StatefulSet>(SET).await.is_none()
    })
    .await;
    set.metadata.resource_version = None;
    set.metadata.uid = None;
    set.metadata.managed_fields = None;
    set.status = None;
    change(&mut set);
    let params = PostParams {
        field_manager: Some("authstack-operator".to_owned()),
        ..PostParams::default()
    };
    let aged = sets.create(&params, &set).await.unwrap();
    eventually("its pod is adopted", SOON, async || {
        owner(site).await == aged.uid()
    })
    .await;
    let policy = &set.spec.unwrap().persistent_volume_claim_retention_policy;
    let policy = policy.as_ref().unwrap().when_deleted.as_deref();
    if policy == Some("Delete") {
        eventually("the claim would go with it", SOON, async || {
            claim_owner(site).await == aged.uid()
        })
        .await;
    }
    aged
}

/// The uid of the claim's owner.
async fn claim_owner(site: &Site) -> Option<String> {
    let claims = site.api::<PersistentVolumeClaim>();
    let claim = claims.get(CLAIM).await.unwrap();
    Some(claim.owner_references().first()?.uid.clone())
}

/// The uid of the pod's owner.
async fn owner(site: &Site) -> Option<String> {
    let pod = site.get::<Pod>("shop-postgres-0").await?;
    Some(pod.owner_references().first()?.uid.clone())
}

/// The uids of the database's pod and of its claim.
async fn uids(site: &Site) -> (String, String) {
    let pod = site.get::<Pod>("shop-postgres-0").await.unwrap();
    let claim = site.get::<PersistentVolumeClaim>(CLAIM).await.unwrap();
    assert_eq!(pod.metadata.deletion_timestamp, None);
    assert_eq!(claim.metadata.deletion_timestamp, None);
    (pod.uid().unwrap(), claim.uid().unwrap())
}

fn named_otherwise(set: &mut StatefulSet) {
    let spec = set.spec.as_mut().unwrap();
    spec.service_name = Some("former".to_owned());
}

/// Waits until the StatefulSet is what this operator wants, around the same pod.
async fn is_replaced(site: &Site, aged: &StatefulSet) {
    eventually("the StatefulSet is made anew", SOON, async || {
        let set = site.get::<StatefulSet>(SET).await;
        set.is_some_and(|set| {
            let spec = set.spec.as_ref().unwrap();
            let is_named = spec.service_name.as_deref() == Some("shop-postgres-headless");
            set.uid() != aged.uid() && is_named
        })
    })
    .await;
    let set = site.get::<StatefulSet>(SET).await.unwrap();
    eventually("it takes the pod up", SOON, async || {
        owner(site).await == set.uid()
    })
    .await;
}

#[tokio::test]
async fn a_stateful_set_is_made_anew_around_its_pod_and_volume() {
    in_namespace("replaced", async |config, namespace| {
        let account = operator_account(&config, &namespace).await;
        let site = Site::acting_as(&config, &namespace, account.clone()).await;
        // `Delete` is the dangerous one: the claim would go with the StatefulSet.
        site.apply("shop", json!({"deletionPolicy": "Delete"}))
            .await;
        site.built("shop").await;
        site.leave().await;
        let site = Site::without_operator(&config, &namespace);
        let before = uids(&site).await;
        let aged = age(&site, named_otherwise).await;
        let site = Site::acting_as(&config, &namespace, account).await;
        is_replaced(&site, &aged).await;
        site.quiet().await;
        assert_eq!(uids(&site).await, before);
        let set = site.get::<StatefulSet>(SET).await.unwrap();
        let policy = set
            .spec
            .unwrap()
            .persistent_volume_claim_retention_policy
            .unwrap();
        assert_eq!(
            policy.when_deleted.as_deref(),
            Some("Delete"),
            "as the manifest says"
        );
        site.condition(
            "shop",
            ConditionType::DatabaseReady,
            ("False", "Progressing"),
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn an_operator_that_dies_in_the_middle_of_it_loses_nothing() {
    in_namespace("resumed", async |config, namespace| {
        let account = operator_account(&config, &namespace).await;
        let site = Site::acting_as(&config, &namespace, account.clone()).await;
        site.apply("shop", json!({"deletionPolicy": "Delete"}))
            .await;
        site.built("shop").await;
        site.leave().await;
        let site = Site::without_operator(&config, &namespace);
        let before = uids(&site).await;
        let mut seen = Vec::new();
        // A new operator applies what is there; the refused apply, the patch that
        // keeps the volume, the delete and the create are among these.
        for writes in 1..=20 {
            let aged = age(&site, named_otherwise).await;
            run_until_dead(account.clone(), &namespace, writes).await;
            let set = site.get::<StatefulSet>(SET).await;
            let step = match set {
                None => "gone",
                Some(set) if set.metadata.deletion_timestamp.is_some() => "going",
                Some(set) if set.uid() != aged.uid() => "made anew",
                Some(set) => {
                    let spec = set.spec.unwrap();
                    let policy = spec.persistent_volume_claim_retention_policy.unwrap();
                    match policy.when_deleted.as_deref() {
                        Some("Retain") => "kept",
                        _ => "as it was",
                    }
                }
            };
            seen.push(step);
            let next = Site::acting_as(&config, &namespace, account.clone()).await;
            is_replaced(&next, &aged).await;
            next.quiet().await;
            assert_eq!(
                uids(&site).await,
                before,
                "dead after write {writes}: {step}"
            );
            next.leave().await;
            if step == "made anew" {
                break;
            }
        }
        println!("figure: what operators that died left: {seen:?}");
        for step in ["as it was", "kept", "made anew"] {
            assert!(seen.contains(&step), "{step}: {seen:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_volume_of_another_size_is_refused_in_words() {
    in_namespace("storage", async |config, namespace| {
        let account = operator_account(&config, &namespace).await;
        let site = Site::acting_as(&config, &namespace, account.clone()).await;
        site.apply("shop", json!({})).await;
        site.built("shop").await;
        site.leave().await;
        let site = Site::without_operator(&config, &namespace);
        let before = uids(&site).await;
        let aged = age(&site, |set| {
            let spec = set.spec.as_mut().unwrap();
            let claim = &mut spec.volume_claim_templates.as_mut().unwrap()[0];
            let resources = claim.spec.as_mut().unwrap().resources.as_mut().unwrap();
            let storage = serde_json::from_value(json!("5Gi")).unwrap();
            resources.requests = Some([("storage".to_owned(), storage)].into());
        })
        .await;
        let site = Site::acting_as(&config, &namespace, account).await;
        let message = site
            .condition("shop", ConditionType::Stalled, ("True", "Immutable"))
            .await;
        assert!(message.contains("restore the former storage"), "{message}");
        let set = site.get::<StatefulSet>(SET).await.unwrap();
        assert_eq!((set.uid(), uids(&site).await), (aged.uid(), before));
    })
    .await;
}

#[tokio::test]
async fn a_selector_that_cannot_change_is_said_and_heals_when_the_object_goes() {
    in_namespace("selector", async |config, namespace| {
        let account = operator_account(&config, &namespace).await;
        let site = Site::acting_as(&config, &namespace, account.clone()).await;
        site.apply("shop", json!({})).await;
        site.built("shop").await;
        site.leave().await;
        let site = Site::without_operator(&config, &namespace);
        let deployments = site.api::<Deployment>();
        let mut deployment = deployments.get("shop-api").await.unwrap();
        site.delete::<Deployment>("shop-api").await;
        eventually("it is gone", SOON, async || {
            site.get::<Deployment>("shop-api").await.is_none()
        })
        .await;
        deployment.metadata.resource_version = None;
        deployment.metadata.uid = None;
        deployment.status = None;
        let spec = deployment.spec.as_mut().unwrap();
        let name = "app.kubernetes.io/name";
        let selector = spec.selector.match_labels.as_mut().unwrap();
        selector.insert(name.to_owned(), "former".to_owned());
        let labels = spec
            .template
            .metadata
            .as_mut()
            .unwrap()
            .labels
            .as_mut()
            .unwrap();
        labels.insert(name.to_owned(), "former".to_owned());
        deployments
            .create(&PostParams::default(), &deployment)
            .await
            .unwrap();

        let site = Site::acting_as(&config, &namespace, account).await;
        let message = site
            .condition("shop", ConditionType::ApiReady, ("False", "Immutable"))
            .await;
        assert!(
            message.contains("field is immutable: the object is left"),
            "{message}"
        );
        assert!(
            message.contains("delete it, and the operator makes it anew"),
            "{message}"
        );
        site.delete::<Deployment>("shop-api").await;
        site.condition("shop", ConditionType::Stalled, ("False", "NoProblem"))
            .await;
        site.condition("shop", ConditionType::ApiReady, ("False", "Progressing"))
            .await;
    })
    .await;
}
