//! Makes an object anew that cannot be changed, one step at a time.

use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::json;

use super::Applier;
use crate::reconcile::children::{Child, Live};
use crate::reconcile::error::{Error, api};
use crate::reconcile::immutable::Step;
use crate::reconcile::labels::OPERATOR;
use crate::reconcile::names::Component;
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
}
