//! Certificates: created, and replaced when they are due, by whoever saw what
//! they replace. Of two operators that make one at a time, one succeeds.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::{Applier, Outcome, outcome};
use crate::reconcile::certificates::Leaf;
use crate::reconcile::children::{Child as _, Live};
use crate::reconcile::error::{Error, api};
use crate::reconcile::labels::OPERATOR;
use crate::reconcile::names::{Component, RELOAD_DUE};

impl Applier<'_> {
    /// The Secret of a server's certificate.
    pub(super) async fn leaf(
        &self,
        part: Component,
        mut desired: Secret,
        leaf: Option<&Leaf>,
    ) -> Result<Outcome, Error> {
        let Some(found) = leaf.and_then(|leaf| leaf.found.as_ref()) else {
            if part == Component::Postgres && self.has_database() {
                desired.metadata.annotations = Some(due());
            }
            return refusal(self.kept(desired, None).await);
        };
        let name = desired.name_any();
        let live = Live::of_metadata(found);
        if let Err(error) = self.check_owner(part, Secret::KIND, &name, &live) {
            return outcome(Err(error));
        }
        match leaf.and_then(|leaf| leaf.made) {
            None => refusal(self.kept(desired, Some(found.clone())).await),
            Some(why) => {
                tracing::info!(name, ?why, "renewing a certificate");
                if part == Component::Postgres {
                    desired.metadata.annotations = Some(due());
                }
                outcome(self.replace(&desired, found).await)
            }
        }
    }

    /// Whether there may be a server that has read another certificate.
    fn has_database(&self) -> bool {
        let children = self.children.of(self.stack);
        children.keys().any(|(kind, _)| *kind == StatefulSet::KIND)
    }

    /// Puts a new certificate where another was seen, if that is still there.
    async fn replace(&self, desired: &Secret, found: &ObjectMeta) -> Result<Arc<Live>, Error> {
        let name = desired.name_any();
        let patch = json!({
            "metadata": {
                "labels": desired.metadata.labels,
                "annotations": desired.metadata.annotations.clone().unwrap_or_default(),
                "ownerReferences": self.owners(found, desired.owner_references()),
                "resourceVersion": found.resource_version,
            },
            "data": desired.data,
        });
        let params = PatchParams {
            field_manager: Some(OPERATOR.to_owned()),
            ..PatchParams::default()
        };
        let patched = self
            .objects::<Secret>()
            .patch(&name, &params, &Patch::Merge(&patch))
            .await
            .map_err(api(format!("renewing the certificate in Secret {name}")))?;
        Ok(Arc::new(Live::of(&patched)))
    }
}

/// The note that the server is to read its certificate again.
fn due() -> BTreeMap<String, String> {
    [(RELOAD_DUE.to_owned(), "true".to_owned())].into()
}

/// What cannot be mended by trying again concerns this Secret alone.
fn refusal(result: Result<Outcome, Error>) -> Result<Outcome, Error> {
    result.or_else(|error| outcome(Err(error)))
}
