//! Makes an object anew that cannot be changed, one step at a time.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::json;

use super::Applier;
use crate::reconcile::children::{Child, Live};
use crate::reconcile::error::{Error, api};
use crate::reconcile::immutable::Step;
use crate::reconcile::labels::OPERATOR;
use crate::reconcile::names::{Component, Names};
use crate::reconcile::refusal::Refusal;

const RETAINED: &str = "waiting until its controller has seen that its volumes stay";
const GONE: &str = "waiting until the former one is gone";

impl Applier<'_> {
    /// What a failed apply comes to: the failure itself, or the next step towards
    /// a new object, where a field cannot change in the one that is there.
    pub(super) async fn or_make_anew<K: Child>(
        &self,
        part: Component,
        object: &K,
        failure: Error,
    ) -> Error {
        let Some(Refusal::Immutable | Refusal::Invalid) = failure.refusal() else {
            return failure;
        };
        match self.next_step(part, object).await {
            Ok(Some(progress)) => progress,
            Ok(None) => failure,
            Err(error) => error,
        }
    }

    async fn next_step<K: Child>(
        &self,
        part: Component,
        object: &K,
    ) -> Result<Option<Error>, Error> {
        let kind = K::KIND;
        let name = object.name_any();
        let objects = self.objects::<K>();
        // Not what the watches last saw: something is going to be deleted.
        let live = objects
            .get(&name)
            .await
            .map_err(api(format!("reading {kind} {name}")))?;
        self.check_owner(part, kind, &name, &Live::of(&live))?;
        let (uid, version) = (live.uid(), live.resource_version());
        let replacing = |step| Error::Replacing {
            kind,
            name: name.clone(),
            step,
        };
        Ok(match object.replacement(&live) {
            Step::Accept => None,
            Step::Refuse(problem) => Some(Error::Immutable {
                kind,
                name,
                problem,
            }),
            Step::Retain => {
                let policy = json!({"whenDeleted": "Retain", "whenScaled": "Retain"});
                let patch = json!({
                    "metadata": {"uid": uid, "resourceVersion": version},
                    "spec": {"persistentVolumeClaimRetentionPolicy": policy},
                });
                let params = PatchParams {
                    field_manager: Some(OPERATOR.to_owned()),
                    ..PatchParams::default()
                };
                objects
                    .patch(&name, &params, &Patch::Merge(&patch))
                    .await
                    .map_err(api(format!("having the volumes of {kind} {name} kept")))?;
                Some(replacing(RETAINED))
            }
            Step::Await => Some(replacing(RETAINED)),
            Step::Orphan => {
                self.free_claim(uid.as_deref()).await?;
                let params = DeleteParams {
                    preconditions: Some(Preconditions {
                        uid,
                        resource_version: version,
                    }),
                    ..DeleteParams::orphan()
                };
                objects
                    .delete(&name, &params)
                    .await
                    .map_err(api(format!("deleting {kind} {name} without its pods")))?;
                tracing::info!(kind, name, "deleted alone, to be made anew");
                Some(replacing(GONE))
            }
        })
    }

    /// Takes the data volume's claim away from a StatefulSet that is to be deleted.
    /// Its controller does that by itself, but not without a pod, nor when what it
    /// remembers of the claim is old; and then the claim would go too.
    async fn free_claim(&self, owner: Option<&str>) -> Result<(), Error> {
        let names = Names {
            stack: self.stack.name.clone(),
            namespace: self.stack.namespace.clone(),
        };
        let name = names.data_claim();
        let action = || format!("keeping PersistentVolumeClaim {name}");
        let claims: Api<PersistentVolumeClaim> =
            Api::namespaced(self.client.clone(), &names.namespace);
        let found = claims.get_metadata_opt(&name).await;
        let Some(claim) = found.map_err(api(action()))? else {
            return Ok(());
        };
        let (its, others): (Vec<_>, Vec<_>) = claim
            .owner_references()
            .iter()
            .partition(|one| Some(one.uid.as_str()) == owner);
        if its.is_empty() {
            return Ok(());
        }
        let patch = json!({"metadata": {
            "ownerReferences": others,
            "resourceVersion": claim.resource_version(),
        }});
        let params = PatchParams {
            field_manager: Some(OPERATOR.to_owned()),
            ..PatchParams::default()
        };
        let patched = claims
            .patch_metadata(&name, &params, &Patch::Merge(&patch))
            .await;
        patched.map(drop).map_err(api(action()))
    }
}
