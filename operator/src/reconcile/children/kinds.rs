//! The kinds of objects that stacks consist of, and what their status says.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::Ingress;

use super::{Child, Rollout, State, fingerprint};

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

impl Child for StatefulSet {
    const KIND: &'static str = "StatefulSet";

    fn spec_fingerprint(&self) -> Option<u64> {
        Some(fingerprint(&self.spec))
    }

    fn state(&self) -> State {
        let wanted = self.spec.as_ref().and_then(|spec| spec.replicas);
        let Some(status) = &self.status else {
            return State::Rollout(Rollout::default());
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
            failure: None,
        })
    }
}

impl Child for Deployment {
    const KIND: &'static str = "Deployment";

    fn spec_fingerprint(&self) -> Option<u64> {
        Some(fingerprint(&self.spec))
    }

    fn state(&self) -> State {
        let wanted = self.spec.as_ref().and_then(|spec| spec.replicas);
        let Some(status) = &self.status else {
            return State::Rollout(Rollout::default());
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
