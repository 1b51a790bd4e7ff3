//! Which fields of an object are ours, as its `managedFields` say.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};

use crate::reconcile::labels::OPERATOR;

/// Whether an entry of managedFields is what our own create left.
pub(in crate::reconcile) fn is_our_update(entry: &ManagedFieldsEntry) -> bool {
    is_ours(entry) && entry.operation.as_deref() == Some("Update")
}

/// Whether the number of pods is ours to say.
pub(super) fn owns_replicas(meta: &ObjectMeta) -> bool {
    let ours = meta.managed_fields.iter().flatten();
    ours.filter(|entry| is_ours(entry)).any(|entry| {
        let fields = entry.fields_v1.as_ref();
        fields.is_some_and(|fields| fields.0.pointer("/f:spec/f:replicas").is_some())
    })
}

fn is_ours(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(OPERATOR) && entry.subresource.is_none()
}
