//! Which field manager has which fields.

use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::Applier;
use crate::reconcile::children::{Child, is_our_update};
use crate::reconcile::error::{Error, api};
use crate::reconcile::labels::OPERATOR;

impl Applier<'_> {
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
