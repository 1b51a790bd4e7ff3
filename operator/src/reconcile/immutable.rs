//! How a StatefulSet that cannot be changed is made anew without losing a volume.
//!
//! The API server refuses most changes of a StatefulSet. It is then deleted
//! alone, so that its pods and claims stay, and created again, which takes them
//! up. A StatefulSet whose claims go with it must be told to keep them first,
//! and its controller must have seen that.
//!
//! Each step is found from the live object alone, so that whoever comes after an
//! operator that died goes on where that one stopped.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::quantity::amount;

/// What to do next with an object whose change was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: the refusal stands, and says why.
    Accept,
    /// Nothing, because something would be lost: what that is, in words.
    Refuse(String),
    /// Have its volumes kept when it is deleted.
    Retain,
    /// Wait until its controller has seen what it is to be.
    Await,
    /// Delete it without what belongs to it.
    Orphan,
}

/// What to do next with a live StatefulSet on its way to the one that is wanted.
#[must_use]
pub fn next_step(live: &StatefulSet, wanted: &StatefulSet) -> Step {
    let (Some(now), Some(to_be)) = (&live.spec, &wanted.spec) else {
        return Step::Accept;
    };
    if !differs(now, to_be) {
        return Step::Accept;
    }
    if let Some(problem) = loss(now, to_be) {
        return Step::Refuse(problem);
    }
    let policy = now.persistent_volume_claim_retention_policy.as_ref();
    let when_deleted = policy.and_then(|policy| policy.when_deleted.as_deref());
    if when_deleted.is_some_and(|what| what != "Retain") {
        return Step::Retain;
    }
    let seen = live
        .status
        .as_ref()
        .and_then(|status| status.observed_generation);
    if seen < live.metadata.generation {
        return Step::Await;
    }
    Step::Orphan
}

/// Whether a field differs that cannot change.
fn differs(now: &StatefulSetSpec, wanted: &StatefulSetSpec) -> bool {
    let templates = |spec: &StatefulSetSpec| -> Vec<_> {
        let templates = spec.volume_claim_templates.iter().flatten();
        templates
            .map(|claim| (claim.metadata.name.clone(), claim.metadata.labels.clone()))
            .collect()
    };
    now.service_name != wanted.service_name
        || now.pod_management_policy != wanted.pod_management_policy
        || now.selector != wanted.selector
        || templates(now) != templates(wanted)
        || storage(now) != storage(wanted)
}

/// What a claim template says of a volume: its size, its class and how
/// it may be mounted.
type Storage<'a> = (Size<'a>, Option<&'a str>, Option<&'a [String]>);

/// The volumes of a StatefulSet's pods, by name.
fn storage(spec: &StatefulSetSpec) -> BTreeMap<&str, Storage<'_>> {
    let claims = spec.volume_claim_templates.iter().flatten();
    claims
        .map(|claim| {
            let name = claim.metadata.name.as_deref().unwrap_or_default();
            let spec = claim.spec.as_ref();
            let class = spec.and_then(|spec| spec.storage_class_name.as_deref());
            let modes = spec.and_then(|spec| spec.access_modes.as_deref());
            (name, (size(claim), class, modes))
        })
        .collect()
}

/// What would be lost, or would not become what is wanted.
fn loss(now: &StatefulSetSpec, wanted: &StatefulSetSpec) -> Option<String> {
    if storage(now) != storage(wanted) {
        return Some(
            "its volumes would have another size, class or access mode, and a volume that exists keeps what it was made with: restore the former storage in the manifest"
                .to_owned(),
        );
    }
    let labels = now
        .template
        .metadata
        .as_ref()
        .and_then(|meta| meta.labels.as_ref());
    let has = |key: &String, value: &String| {
        labels
            .and_then(|labels| labels.get(key))
            .is_some_and(|is| is == value)
    };
    let mut selector = wanted.selector.match_labels.iter().flatten();
    if !selector.all(|(key, value)| has(key, value)) {
        return Some(
            "its pods lack labels that the new one selects by, so it would not find them: delete it with --cascade=orphan, and then its pods, when the stack may be away for a moment"
                .to_owned(),
        );
    }
    None
}

/// A size that is compared as a number, where it is one.
#[derive(Debug, PartialEq, Eq)]
enum Size<'a> {
    Amount(u128),
    Other(Option<&'a str>),
}

fn size(claim: &PersistentVolumeClaim) -> Size<'_> {
    let resources = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    let requests = resources.and_then(|resources| resources.requests.as_ref());
    let storage = requests.and_then(|requests| requests.get("storage"));
    match storage.and_then(amount) {
        Some(amount) => Size::Amount(amount),
        None => Size::Other(storage.map(|Quantity(text)| text.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A StatefulSet as it is wanted, but for what `change` says.
    fn set(change: impl FnOnce(&mut Value)) -> StatefulSet {
        let mut set = json!({
            "metadata": {"name": "shop-postgres", "generation": 3},
            "spec": {
                "serviceName": "shop-postgres-headless",
                "podManagementPolicy": "Parallel",
                "selector": {"matchLabels": {"app": "shop"}},
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain"},
                "template": {"metadata": {"labels": {"app": "shop", "more": "x"}}, "spec": {"containers": []}},
                "volumeClaimTemplates": [{
                    "metadata": {"name": "data", "labels": {"major": "18"}},
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": "1Gi"}},
                    },
                }],
            },
            "status": {"observedGeneration": 3, "replicas": 1},
        });
        change(&mut set);
        serde_json::from_value(set).unwrap()
    }

    fn step(live: impl FnOnce(&mut Value)) -> Step {
        next_step(&set(live), &set(|_| {}))
    }

    #[test]
    fn what_can_change_or_is_only_written_otherwise_is_no_reason() {
        assert_eq!(step(|_| {}), Step::Accept);
        assert_eq!(
            step(|live| live["spec"]["replicas"] = json!(0)),
            Step::Accept
        );
        let same = |live: &mut Value| {
            let storage = json!({"requests": {"storage": "1024Mi"}});
            live["spec"]["volumeClaimTemplates"][0]["spec"]["resources"] = storage;
        };
        assert_eq!(step(same), Step::Accept);
    }

    #[test]
    fn pods_and_volumes_stay_whatever_else_differs() {
        let changes: [fn(&mut Value); 4] = [
            |live| live["spec"]["podManagementPolicy"] = json!("OrderedReady"),
            |live| live["spec"]["serviceName"] = json!("former"),
            |live| live["spec"]["selector"] = json!({"matchLabels": {"more": "x"}}),
            |live| {
                live["spec"]["volumeClaimTemplates"][0]["metadata"]["labels"] = json!({});
            },
        ];
        for change in changes {
            assert_eq!(step(change), Step::Orphan);
            let unseen = step(|live| {
                change(live);
                live["status"]["observedGeneration"] = json!(2);
            });
            assert_eq!(unseen, Step::Await);
            let deleting = step(|live| {
                change(live);
                let policy = json!({"whenDeleted": "Delete"});
                live["spec"]["persistentVolumeClaimRetentionPolicy"] = policy;
            });
            assert_eq!(deleting, Step::Retain);
        }
    }

    #[test]
    fn a_volume_that_would_not_be_what_is_wanted_is_refused() {
        let changes: [fn(&mut Value); 4] = [
            |claim| claim["spec"]["resources"]["requests"]["storage"] = json!("2Gi"),
            |claim| claim["spec"]["storageClassName"] = json!("fast"),
            |claim| claim["spec"]["accessModes"] = json!(["ReadWriteOncePod"]),
            |claim| claim["metadata"]["name"] = json!("other"),
        ];
        for change in changes {
            let step = step(|live| {
                change(&mut live["spec"]["volumeClaimTemplates"][0]);
                live["spec"]["podManagementPolicy"] = json!("OrderedReady");
            });
            assert!(
                matches!(&step, Step::Refuse(why) if why.contains("size, class")),
                "{step:?}"
            );
        }
    }

    #[test]
    fn pods_that_would_not_be_found_again_are_not_orphaned() {
        let step = step(|live| {
            live["spec"]["template"]["metadata"]["labels"] = json!({"more": "x"});
            live["spec"]["selector"] = json!({"matchLabels": {"more": "x"}});
        });
        assert!(
            matches!(&step, Step::Refuse(why) if why.contains("pods lack labels")),
            "{step:?}"
        );
    }
}
