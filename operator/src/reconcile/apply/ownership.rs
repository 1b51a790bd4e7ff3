//! Which field manager has which fields.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::Applier;
use crate::reconcile::children::{Child, is_our_update};
use crate::reconcile::error::{Error, api};
use crate::reconcile::labels::OPERATOR;

/// The field manager that holds the number of pods for an autoscaler.
const FOR_AUTOSCALER: &str = "authstack-operator-autoscaling";

impl Applier<'_> {
    /// Gives the number of a Deployment's pods to a second field manager, as it
    /// is, before our apply leaves it out: what no manager holds, the API server
    /// resets to 1. No autoscaler raises it from zero, to which a stopped stack
    /// was scaled; from there it starts anew.
    pub(super) async fn hand_over_replicas(&self, name: &str, start: i32) -> Result<(), Error> {
        let action = || format!("handing over the replicas of Deployment {name}");
        let deployments: Api<Deployment> = self.objects();
        let live = deployments.get(name).await.map_err(api(action()))?;
        let replicas = live.spec.and_then(|spec| spec.replicas);
        let patch = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            // Whoever scales it at this moment must not be overwritten.
            "metadata": {"resourceVersion": live.metadata.resource_version},
            "spec": {"replicas": replicas.filter(|&number| number > 0).unwrap_or(start)},
        });
        let params = PatchParams::apply(FOR_AUTOSCALER).force();
        let patched = deployments
            .patch(name, &params, &Patch::Apply(&patch))
            .await;
        patched.map(drop).map_err(api(action()))
    }

    /// Makes an apply the owner of the fields that our create set: an apply
    /// removes only what an apply has set.
    pub(super) async fn convert_ownership<K: Child>(&self, name: &str) -> Result<(), Error> {
        let action = || format!("taking over the fields of {} {name}", K::KIND);
        let objects = self.objects::<K>();
        let live = objects.get_metadata(name).await.map_err(api(action()))?;
        let mut entries = live.metadata.managed_fields.unwrap_or_default();
        if entries.iter().any(|entry| {
            entry.manager.as_deref() == Some(OPERATOR)
                && entry.operation.as_deref() == Some("Apply")
        }) {
            // The apply's entry has them all; the create's only keeps them alive.
            entries.retain(|entry| !is_our_update(entry));
        }
        for entry in entries.iter_mut().filter(|entry| is_our_update(entry)) {
            entry.operation = Some("Apply".to_owned());
        }
        let patch = json!({"metadata": {
            "managedFields": entries,
            "resourceVersion": live.metadata.resource_version,
        }});
        let params = PatchParams {
            field_manager: Some(OPERATOR.to_owned()),
            ..PatchParams::default()
        };
        let patched = objects
            .patch_metadata(name, &params, &Patch::Merge(&patch))
            .await;
        patched.map(drop).map_err(api(action()))
    }
}
