//! The objects of each part, in the order in which they need each other.

use std::collections::HashSet;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::networking::v1::NetworkPolicy;

use super::{Applied, Applier, Outcome};
use crate::reconcile::desired::{Api, Nginx, Postgres, Prepared};
use crate::reconcile::error::Error;
use crate::reconcile::names::{Component, UPSTREAM_UID};

impl Applier<'_> {
    pub(super) async fn postgres(
        &self,
        postgres: Postgres<Prepared>,
    ) -> Result<Postgres<Applied>, Error> {
        let part = Component::Postgres;
        let Postgres {
            service_account,
            tls,
            config_map,
            service,
            headless_service,
            network_policy,
            job_network_policy,
            stateful_set,
            reload,
        } = postgres;
        let leaf = self.certificates.postgres.as_ref();
        Ok(Postgres {
            service_account: self.child(part, service_account).await?,
            tls: self.leaf(part, tls, leaf).await?,
            config_map: self.child(part, config_map).await?,
            service: self.child(part, service).await?,
            headless_service: self.child(part, headless_service).await?,
            network_policy: self.policy(part, network_policy).await?,
            job_network_policy: self.policy(part, job_network_policy).await?,
            stateful_set: self.child(part, stateful_set).await?,
            reload: match (reload, leaf) {
                (Some(job), Some(leaf)) => Some(self.reload(job, leaf).await?),
                _ => None,
            },
        })
    }

    pub(super) async fn api(&self, api: Api<Prepared>) -> Result<Api<Applied>, Error> {
        let part = Component::Api;
        let Api {
            service_account,
            tls,
            service,
            network_policy,
            disruption_budget,
            deployment,
            autoscaler,
        } = api;
        let leaf = Some(&self.certificates.api);
        // Gone before the number of pods is ours again, or it would set another.
        if autoscaler.is_none() {
            self.prune::<HorizontalPodAutoscaler>(&HashSet::new())
                .await?;
        }
        Ok(Api {
            service_account: self.child(part, service_account).await?,
            tls: self.leaf(part, tls, leaf).await?,
            service: self.child(part, service).await?,
            network_policy: self.policy(part, network_policy).await?,
            disruption_budget: self.child(part, disruption_budget).await?,
            deployment: match autoscaler {
                Some(_) => self.autoscaled(part, deployment).await?,
                None => self.child(part, deployment).await?,
            },
            autoscaler: match autoscaler {
                Some(autoscaler) => Some(self.child(part, autoscaler).await?),
                None => None,
            },
        })
    }

    /// A Deployment whose number of pods is ours only when it is created.
    async fn autoscaled(&self, part: Component, first: Deployment) -> Result<Outcome, Error> {
        let mut deployment = first.clone();
        if let Some(spec) = &mut deployment.spec {
            spec.replicas = None;
        }
        self.begun(part, &deployment, &first).await
    }

    /// nginx, in front of an API that was applied.
    pub(super) async fn nginx(
        &self,
        api: &Api<Applied>,
        nginx: Nginx<Prepared>,
    ) -> Result<Nginx<Applied>, Error> {
        let part = Component::Nginx;
        let Nginx {
            service_account,
            config_map,
            service,
            network_policy,
            disruption_budget,
            deployment,
        } = in_front_of(api, nginx);
        Ok(Nginx {
            service_account: self.child(part, service_account).await?,
            config_map: self.child(part, config_map).await?,
            service: self.child(part, service).await?,
            network_policy: self.policy(part, network_policy).await?,
            disruption_budget: self.child(part, disruption_budget).await?,
            deployment: self.child(part, deployment).await?,
        })
    }

    pub(super) async fn policy(
        &self,
        part: Component,
        policy: Option<NetworkPolicy>,
    ) -> Result<Option<Outcome>, Error> {
        match policy {
            Some(policy) => Ok(Some(self.child(part, policy).await?)),
            None => Ok(None),
        }
    }
}

/// nginx with a mark of the Service that it is in front of, so that it starts
/// again, and looks the address up again, when that Service was made anew.
fn in_front_of(api: &Api<Applied>, mut nginx: Nginx<Prepared>) -> Nginx<Prepared> {
    let template = nginx
        .deployment
        .spec
        .as_mut()
        .map(|spec| &mut spec.template);
    if let (Outcome::Live(service), Some(template)) = (&api.service, template) {
        let metadata = template.metadata.get_or_insert_default();
        let annotations = metadata.annotations.get_or_insert_default();
        annotations.insert(UPSTREAM_UID.to_owned(), service.uid.clone());
    }
    nginx
}
