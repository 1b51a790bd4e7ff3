//! Children that are never written over: what they hold cannot be made again.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{Patch, PatchParams};
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;

use authstack_crds::AuthStack;

use super::{Applier, Outcome, outcome};
use crate::reconcile::children::{Child as _, Live};
use crate::reconcile::error::{Error, api};
use crate::reconcile::labels::OPERATOR;

impl Applier<'_> {
    /// A Secret that is created once and never written over. Of one that exists
    /// (`found`) only the metadata is kept true, without touching its data.
    pub(super) async fn kept(
        &self,
        desired: Secret,
        found: Option<ObjectMeta>,
    ) -> Result<Outcome, Error> {
        let name = desired.name_any();
        let Some(found) = found else {
            // A refusal is an error here, and ends the reconcile: a database must
            // not be made before the credentials are kept that it will know.
            return match self.create(&desired).await? {
                Some(created) => Ok(Outcome::Live(Arc::new(Live::of(&created)))),
                // Somebody was faster; the next attempt reads what they made.
                None => Err(Error::StillDeleting {
                    kind: Secret::KIND,
                    name,
                }),
            };
        };
        let labels = desired.metadata.labels.clone().unwrap_or_default();
        let owners = self.owners(&found, desired.owner_references());
        let has_labels = labels.iter().all(|(key, value)| {
            found.labels.as_ref().and_then(|labels| labels.get(key)) == Some(value)
        });
        if has_labels && found.owner_references.clone().unwrap_or_default() == owners {
            return Ok(Outcome::Live(Arc::new(Live::of_metadata(&found))));
        }
        let patch = json!({"metadata": {
            "labels": labels,
            "ownerReferences": owners,
            "resourceVersion": found.resource_version,
        }});
        let params = PatchParams {
            field_manager: Some(OPERATOR.to_owned()),
            ..PatchParams::default()
        };
        let patched = self
            .objects::<Secret>()
            .patch_metadata(&name, &params, &Patch::Merge(&patch))
            .await;
        match patched {
            Ok(patched) => {
                let live = Live::of_metadata(&patched.metadata);
                Ok(Outcome::Live(Arc::new(live)))
            }
            Err(error) => outcome(Err(api(format!("labelling Secret {name}"))(error))),
        }
    }

    /// The owners that the Secret is to have: everybody else's stay.
    pub(super) fn owners(
        &self,
        found: &ObjectMeta,
        ours: &[OwnerReference],
    ) -> Vec<OwnerReference> {
        let kind = AuthStack::kind(&());
        let others = found
            .owner_references
            .iter()
            .flatten()
            .filter(|owner| !(owner.kind == kind.as_ref() && owner.name == self.stack.name));
        others.chain(ours).cloned().collect()
    }
}
