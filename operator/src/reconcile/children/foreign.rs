//! The kinds of other projects, and what their status says.

use super::{Certificate, Child, Cluster, Foreign, Route, State, fingerprint};
use crate::foreign::cert_manager::{self, CertificateStatus};
use crate::foreign::cloud_native_pg::{self, ClusterStatus, HIBERNATION, Pooler};
use crate::foreign::gateway::{HTTPRoute, HttpRouteStatus, ParentRef};
use crate::foreign::prometheus::PodMonitor;
use crate::foreign::{Condition, condition};
use crate::reconcile::names::RUNTIME_ROLE;
use crate::reconcile::optional::Optional;

impl Child for HTTPRoute {
    const KIND: &'static str = "HTTPRoute";

    fn spec_fingerprint(&self) -> Option<u64> {
        Some(fingerprint(&self.spec))
    }

    fn state(&self) -> State {
        let generation = self.metadata.generation;
        let namespace = self.metadata.namespace.as_deref().unwrap_or_default();
        let nothing = HttpRouteStatus::default();
        let status = self.status.as_ref().unwrap_or(&nothing);
        let verdicts = self
            .spec
            .parent_refs
            .iter()
            .map(|parent| verdict(parent, status, generation, namespace));
        // The worst that is said of any parent: what a human must know first.
        let rank = |route: &Route| match route {
            Route::Refused {
                is_pending: false, ..
            } => 0,
            Route::Refused { .. } => 1,
            Route::Unheard { .. } => 2,
            Route::Accepted => 3,
        };
        State::Route(verdicts.min_by_key(rank).unwrap_or(Route::Accepted))
    }
}

impl Foreign for HTTPRoute {
    const OPTIONAL: Optional = Optional::HttpRoute;
}

/// What is said of a route and one of its parents.
fn verdict(
    parent: &ParentRef,
    status: &HttpRouteStatus,
    generation: Option<i64>,
    namespace: &str,
) -> Route {
    let of = |parent: &ParentRef| {
        let namespace = parent.namespace.as_deref().unwrap_or(namespace);
        format!("{namespace}/{}", parent.name)
    };
    let is_it = |other: &ParentRef| {
        of(parent) == of(other)
            && parent.section_name == other.section_name
            && parent.port == other.port
    };
    let name = || of(parent);
    let current = |condition: &&Condition| condition.observed_generation >= generation;
    let said = status.parents.iter().filter(|said| is_it(&said.parent_ref));
    let mut is_accepted = false;
    for said in said {
        for (type_, waits) in [("Accepted", "Pending"), ("ResolvedRefs", "")] {
            let Some(condition) = condition(&said.conditions, type_).filter(current) else {
                continue;
            };
            if condition.status != "True" {
                return Route::Refused {
                    parent: name(),
                    reason: condition.reason.clone(),
                    message: condition.message.clone(),
                    // References resolve when the Service is there.
                    is_pending: type_ == "ResolvedRefs" || condition.reason == waits,
                };
            }
            is_accepted |= type_ == "Accepted";
        }
    }
    if is_accepted {
        Route::Accepted
    } else {
        Route::Unheard { parent: name() }
    }
}

impl Child for cert_manager::Certificate {
    const KIND: &'static str = "Certificate";

    fn spec_fingerprint(&self) -> Option<u64> {
        Some(fingerprint(&self.spec))
    }

    fn state(&self) -> State {
        let nothing = CertificateStatus::default();
        let status = self.status.as_ref().unwrap_or(&nothing);
        let current = |condition: &&Condition| {
            let generation = condition.observed_generation;
            generation.is_none() || generation >= self.metadata.generation
        };
        let ready = condition(&status.conditions, "Ready").filter(current);
        let issuing = condition(&status.conditions, "Issuing").filter(current);
        let failed = issuing.filter(|issuing| issuing.reason == "Failed");
        State::Certificate(Certificate {
            is_ready: ready.is_some_and(|ready| ready.status == "True"),
            has_failed: failed.is_some(),
            message: failed
                .or(ready)
                .map(|condition| condition.message.clone())
                .unwrap_or_default(),
            secret_name: self.spec.secret_name.clone(),
            not_after: status.not_after.as_ref().map(|time| time.0),
        })
    }
}

impl Foreign for cert_manager::Certificate {
    const OPTIONAL: Optional = Optional::Certificate;
}

impl Child for cloud_native_pg::Cluster {
    const KIND: &'static str = "Cluster";

    fn spec_fingerprint(&self) -> Option<u64> {
        Some(fingerprint(&self.spec))
    }

    fn state(&self) -> State {
        let nothing = ClusterStatus::default();
        let status = self.status.as_ref().unwrap_or(&nothing);
        let ready = condition(&status.conditions, "Ready");
        let hibernation = condition(&status.conditions, HIBERNATION);
        let mut annotations = self.metadata.annotations.iter().flatten();
        let is_to_hibernate = annotations.any(|(key, is)| key == HIBERNATION && is == "on");
        let problems = status
            .managed_roles_status
            .cannot_reconcile
            .get(RUNTIME_ROLE);
        let primary = status.current_primary.as_ref();
        let settled = primary.filter(|primary| status.target_primary.as_ref() == Some(primary));
        State::Cluster(Cluster {
            is_ready: ready.is_some_and(|ready| ready.status == "True"),
            wanted: if is_to_hibernate {
                0
            } else {
                self.spec.instances
            },
            ready: status.ready_instances,
            has_primary: settled
                .is_some_and(|primary| status.instances_status.healthy.contains(primary)),
            phase: status.phase.clone().unwrap_or_default(),
            phase_reason: status.phase_reason.clone().unwrap_or_default(),
            role_problem: problems.map(|problems| problems.join("; ")),
            is_hibernated: hibernation.is_some_and(|it| it.status == "True"),
        })
    }
}

impl Foreign for cloud_native_pg::Cluster {
    const OPTIONAL: Optional = Optional::Cluster;
}

impl Child for Pooler {
    const KIND: &'static str = "Pooler";

    fn spec_fingerprint(&self) -> Option<u64> {
        Some(fingerprint(&self.spec))
    }
}

impl Foreign for Pooler {
    const OPTIONAL: Optional = Optional::Pooler;
}

impl Child for PodMonitor {
    const KIND: &'static str = "PodMonitor";

    fn spec_fingerprint(&self) -> Option<u64> {
        Some(fingerprint(&self.spec))
    }
}

impl Foreign for PodMonitor {
    const OPTIONAL: Optional = Optional::PodMonitor;
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn route(parents: &Value) -> Route {
        let route: HTTPRoute = serde_json::from_value(json!({
            "metadata": {"name": "demo", "namespace": "space", "generation": 3},
            "spec": {"parentRefs": [{"name": "public"}, {"name": "inner", "namespace": "infra"}]},
            "status": {"parents": parents},
        }))
        .unwrap();
        match route.state() {
            State::Route(route) => route,
            other => unreachable!("{other:?}"),
        }
    }

    fn said(parent: &Value, type_: &str, status: &str, reason: &str, generation: i64) -> Value {
        json!({"parentRef": parent, "controllerName": "example.com/gateway", "conditions": [{
            "type": type_, "status": status, "reason": reason, "message": "because",
            "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]})
    }

    #[test]
    fn a_route_is_accepted_when_every_parent_accepted_this_generation() {
        let public = || json!({"name": "public", "namespace": "space"});
        let inner = || json!({"name": "inner", "namespace": "infra"});
        let unheard = |parent: &str| Route::Unheard {
            parent: parent.to_owned(),
        };
        assert_eq!(route(&json!([])), unheard("space/public"));
        let one = said(&public(), "Accepted", "True", "Accepted", 3);
        assert_eq!(route(&json!([one])), unheard("infra/inner"));
        let old = said(&inner(), "Accepted", "True", "Accepted", 2);
        assert_eq!(route(&json!([one, old])), unheard("infra/inner"));
        let other = said(&inner(), "Accepted", "True", "Accepted", 3);
        assert_eq!(route(&json!([one, other])), Route::Accepted);
        let listener = json!({"name": "public", "sectionName": "https"});
        let narrower = said(&listener, "Accepted", "True", "Accepted", 3);
        assert_eq!(route(&json!([narrower, other])), unheard("space/public"));
    }

    #[test]
    fn what_a_parent_refuses_outweighs_what_others_say() {
        let public = || json!({"name": "public"});
        let inner = || json!({"name": "inner", "namespace": "infra"});
        let good = said(&public(), "Accepted", "True", "Accepted", 3);
        let refused = |reason: &str, is_pending| Route::Refused {
            parent: "infra/inner".to_owned(),
            reason: reason.to_owned(),
            message: "because".to_owned(),
            is_pending,
        };
        let reason = "NotAllowedByListeners";
        let bad = said(&inner(), "Accepted", "False", reason, 3);
        assert_eq!(route(&json!([good, bad])), refused(reason, false));
        assert_eq!(route(&json!([bad])), refused(reason, false));
        let waiting = said(&inner(), "Accepted", "False", "Pending", 3);
        assert_eq!(route(&json!([good, waiting])), refused("Pending", true));
        let dangling = said(&inner(), "ResolvedRefs", "False", "BackendNotFound", 3);
        let wanted = refused("BackendNotFound", true);
        assert_eq!(route(&json!([good, dangling])), wanted);
    }

    #[test]
    fn a_certificate_that_was_issued_once_stays_ready_while_a_renewal_fails() {
        let of = |conditions: Value, not_after: Option<&str>| {
            let certificate: cert_manager::Certificate = serde_json::from_value(json!({
                "metadata": {"generation": 1}, "spec": {},
                "status": {"conditions": conditions, "notAfter": not_after},
            }))
            .unwrap();
            match certificate.state() {
                State::Certificate(certificate) => certificate,
                other => unreachable!("{other:?}"),
            }
        };
        assert_eq!(of(json!([]), None), Certificate::default());
        let ready = json!({"type": "Ready", "status": "True", "observedGeneration": 1});
        let failed = json!({"type": "Issuing", "status": "False", "reason": "Failed",
            "message": "the order is invalid"});
        let found = of(json!([ready, failed]), Some("2026-03-01T00:00:00Z"));
        assert!(found.is_ready && found.has_failed && found.not_after.is_some());
        assert_eq!(found.message, "the order is invalid");
        let old = json!({"type": "Ready", "status": "True", "observedGeneration": 0});
        assert!(!of(json!([old]), None).is_ready);
    }

    #[test]
    fn a_cluster_has_a_primary_unless_it_moves_or_is_not_ready() {
        let of = |status: Value| {
            let cluster: cloud_native_pg::Cluster =
                serde_json::from_value(json!({"metadata": {}, "spec": {"instances": 3},
                    "status": status}))
                .unwrap();
            match cluster.state() {
                State::Cluster(cluster) => cluster,
                other => unreachable!("{other:?}"),
            }
        };
        let primary = |current, target, healthy: &[&str]| {
            let status = json!({"currentPrimary": current, "targetPrimary": target,
                "instancesStatus": {"healthy": healthy}});
            of(status).has_primary
        };
        assert!(!of(json!({})).has_primary);
        assert!(primary("a-1", "a-1", &["a-1", "a-2"]));
        assert!(!primary("a-1", "pending", &["a-1", "a-2"]), "it moves");
        assert!(!primary("a-1", "a-1", &["a-2"]), "it is not ready");
        let roles = json!({"cannotReconcile": {"authstack_runtime": ["no Secret", "x"]}});
        let found = of(json!({"managedRolesStatus": roles}));
        assert_eq!(found.role_problem.as_deref(), Some("no Secret; x"));
    }
}
