//! The Job that has the database read its certificate again.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use std::sync::Arc;

use super::{Applier, Outcome, outcome};
use crate::reconcile::certificates::Leaf;
use crate::reconcile::children::{Child as _, JobEnd, Live, State};
use crate::reconcile::error::{Error, api};
use crate::reconcile::labels::OPERATOR;
use crate::reconcile::names::{Component, RELOAD_DUE, tls};

impl Applier<'_> {
    /// Creates the Job for a certificate, once; when it has done its work, the
    /// note that there is something to do is taken away. The note stands on the
    /// Secret and not in memory, so that another operator goes on with it.
    pub(super) async fn reload(&self, job: Job, leaf: &Leaf) -> Result<Outcome, Error> {
        let name = job.name_any();
        let live = match self.job(&job).await {
            Ok(live) => live,
            Err(error) => return outcome(Err(error)),
        };
        let part = Component::PostgresJob;
        if let Err(error) = self.check_owner(part, Job::KIND, &name, &live) {
            return outcome(Err(error));
        }
        if live.state == State::Job(Some(JobEnd::Complete)) {
            self.reloaded(leaf).await?;
        }
        Ok(Outcome::Live(live))
    }

    /// A Job's pods cannot be changed, and one that runs does what it is for.
    async fn job(&self, job: &Job) -> Result<Arc<Live>, Error> {
        let name = job.name_any();
        if let Some(live) = self.children.get(self.stack, &(Job::KIND, name.clone())) {
            return Ok(live);
        }
        let live = match self.create(job).await? {
            Some(created) => Live::of(&created),
            None => self.look(&name, job).await?,
        };
        Ok(Arc::new(live))
    }

    /// The server shows its new certificate: nobody needs to trust another
    /// authority's any more.
    async fn reloaded(&self, leaf: &Leaf) -> Result<(), Error> {
        let authority = &self.certificates.authority.pair.certificate;
        let patch = json!({
            "metadata": {
                "annotations": {RELOAD_DUE: null},
                "resourceVersion": leaf.found.as_ref().and_then(|found| found.resource_version.as_ref()),
            },
            "stringData": {tls::TRUST: authority},
        });
        let params = PatchParams {
            field_manager: Some(OPERATOR.to_owned()),
            ..PatchParams::default()
        };
        let name = &leaf.secret;
        let patched = self
            .objects::<Secret>()
            .patch(name, &params, &Patch::Merge(&patch))
            .await;
        patched
            .map(drop)
            .map_err(api(format!("noting the reload in Secret {name}")))
    }
}
