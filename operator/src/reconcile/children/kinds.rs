//! The kinds of objects that stacks consist of, and what their status says.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use super::owned::owns_replicas;
use super::{Child, JobEnd, Rollout, State, fingerprint};
use crate::reconcile::immutable::{self, Step};

impl Child for Secret {
    const KIND: &'static str = "Secret";
}

impl Child for ConfigMap {
    const KIND: &'static str = "ConfigMap";
}

impl Child for Service {
    const KIND: &'static str = "Service";
}

impl Child for ServiceAccount {
    const KIND: &'static str = "ServiceAccount";
}

impl Child for NetworkPolicy {
    const KIND: &'static str = "NetworkPolicy";
}

impl Child for PodDisruptionBudget {
    const KIND: &'static str = "PodDisruptionBudget";

    fn spec_fingerprint(&self) -> Option<u64> {
        Some(fingerprint(&self.spec))
    }
}

impl Child for HorizontalPodAutoscaler {
    const KIND: &'static str = "HorizontalPodAutoscaler";

    fn spec_fingerprint(&self) -> Option<u64> {
        Some(fingerprint(&self.spec))
    }
}

/// Pods of which their controller has said nothing yet.
fn unseen(wanted: Option<i32>) -> Rollout {
    Rollout {
        wanted: wanted.unwrap_or(1),
        ..Rollout::default()
    }
}

impl Child for StatefulSet {
    const KIND: &'static str = "StatefulSet";

    fn spec_fingerprint(&self) -> Option<u64> {
        Some(fingerprint(&self.spec))
    }

    fn state(&self) -> State {
        let wanted = self.spec.as_ref().and_then(|spec| spec.replicas);
        let Some(status) = &self.status else {
            return State::Rollout(unseen(wanted));
        };
        State::Rollout(Rollout {
            current: status.observed_generation >= self.metadata.generation,
            wanted: wanted.unwrap_or(1),
            existing: status.replicas,
            // Once all are updated the controller folds the two revisions into
            // one, and on old clusters no longer counts.
            updated: if status.update_revision == status.current_revision {
                status.replicas
            } else {
                status.updated_replicas.unwrap_or(0)
            },
            ready: status.ready_replicas.unwrap_or(0),
            // Counted among the existing.
            stopping: 0,
            failure: None,
        })
    }

    fn replacement(&self, live: &Self) -> Step {
        immutable::next_step(live, self)
    }
}

impl Child for Deployment {
    const KIND: &'static str = "Deployment";

    fn spec_fingerprint(&self) -> Option<u64> {
        let mut spec = self.spec.clone();
        // An autoscaler's number is no edit to be undone. One that was ours and
        // that somebody else sets is no longer ours, and shows that way.
        if let Some(spec) = &mut spec
            && !owns_replicas(&self.metadata)
        {
            spec.replicas = None;
        }
        Some(fingerprint(&spec))
    }

    fn replicas(&self) -> Option<i32> {
        self.spec.as_ref()?.replicas
    }

    fn state(&self) -> State {
        let wanted = self.spec.as_ref().and_then(|spec| spec.replicas);
        let Some(status) = &self.status else {
            return State::Rollout(unseen(wanted));
        };
        let failure = status
            .conditions
            .iter()
            .flatten()
            .find(|condition| condition.type_ == "ReplicaFailure" && condition.status == "True")
            .and_then(|condition| condition.message.clone());
        State::Rollout(Rollout {
            current: status.observed_generation >= self.metadata.generation,
            wanted: wanted.unwrap_or(1),
            existing: status.replicas.unwrap_or(0),
            updated: status.updated_replicas.unwrap_or(0),
            ready: status.ready_replicas.unwrap_or(0),
            stopping: status.terminating_replicas.unwrap_or(0),
            failure,
        })
    }
}

impl Child for Ingress {
    const KIND: &'static str = "Ingress";

    fn spec_fingerprint(&self) -> Option<u64> {
        Some(fingerprint(&self.spec))
    }

    fn state(&self) -> State {
        let balancer = self
            .status
            .as_ref()
            .and_then(|status| status.load_balancer.as_ref());
        let addresses = balancer.and_then(|balancer| balancer.ingress.as_ref());
        State::Ingress {
            has_address: addresses.is_some_and(|addresses| !addresses.is_empty()),
        }
    }
}

impl Child for Job {
    const KIND: &'static str = "Job";

    fn spec_fingerprint(&self) -> Option<u64> {
        Some(fingerprint(&self.spec))
    }

    fn state(&self) -> State {
        let conditions = self.status.iter().flat_map(|status| &status.conditions);
        let mut conditions = conditions.flatten();
        State::Job(conditions.find_map(|condition| {
            match (condition.type_.as_str(), condition.status.as_str()) {
                ("Complete", "True") => Some(JobEnd::Complete),
                ("Failed", "True") => {
                    let message = condition.message.clone();
                    Some(JobEnd::Failed(message.unwrap_or_default()))
                }
                _ => None,
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(replicas: i32, manager: &str) -> Deployment {
        let object = json!({
            "metadata": {"name": "shop-api", "managedFields": [{
                "manager": manager, "operation": "Apply",
                "fieldsV1": {"f:spec": {"f:replicas": {}}},
            }]},
            "spec": {"replicas": replicas},
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_number_of_pods_that_is_not_ours_is_no_edit() {
        let fingerprint = |replicas, manager| deployment(replicas, manager).spec_fingerprint();
        let ours = "authstack-operator";
        assert_eq!(fingerprint(3, "autoscaler"), fingerprint(6, "autoscaler"));
        assert_ne!(fingerprint(3, ours), fingerprint(6, ours));
        let taken = fingerprint(3, "somebody");
        assert_ne!(fingerprint(3, ours), taken, "who sets it takes it from us");
    }
}
