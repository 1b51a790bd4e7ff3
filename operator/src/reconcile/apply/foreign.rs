//! Children of kinds that the cluster may lack.

use std::collections::HashSet;

use super::{Applied, Applier, Outcome};
use crate::foreign::cloud_native_pg::Pooler;
use crate::reconcile::children::{Foreign, State};
use crate::reconcile::desired::{Api, Cluster, Prepared};
use crate::reconcile::error::Error;
use crate::reconcile::names::Component;
use crate::reconcile::optional::Availability;

impl Applier<'_> {
    /// A database that CloudNativePG runs.
    pub(super) async fn cluster(
        &self,
        cluster: Cluster<Prepared>,
    ) -> Result<Cluster<Applied>, Error> {
        let part = Component::Postgres;
        let Cluster {
            owner_secret,
            runtime_secret,
            network_policy,
            cluster,
            pooler,
        } = cluster;
        Ok(Cluster {
            owner_secret: self.child(part, owner_secret).await?,
            runtime_secret: self.child(part, runtime_secret).await?,
            network_policy: self.policy(part, network_policy).await?,
            cluster: self.foreign(part, cluster).await?,
            pooler: match pooler {
                Some(pooler) => Some(self.foreign(part, pooler).await?),
                None => None,
            },
        })
    }

    /// Deletes a pooler that is no longer wanted, when no pod of the API goes
    /// through it any more.
    pub(super) async fn prune_pooler(
        &self,
        cluster: Option<&Cluster<Applied>>,
        api: &Api<Applied>,
    ) -> Result<(), Error> {
        let is_unwanted = cluster.is_some_and(|cluster| cluster.pooler.is_none());
        let is_unused = match &api.deployment {
            Outcome::Live(live) => match &live.state {
                State::Rollout(rollout) => rollout.is_complete(),
                _ => false,
            },
            Outcome::Refused { .. } | Outcome::Unavailable(..) => false,
        };
        if is_unwanted && is_unused {
            self.optional::<Pooler>(Component::Postgres, None).await?;
        }
        Ok(())
    }

    /// A child that the stack may have, or have had.
    pub(super) async fn optional<K: Foreign>(
        &self,
        part: Component,
        object: Option<K>,
    ) -> Result<Option<Outcome>, Error> {
        if let Some(object) = object {
            return self.foreign(part, object).await.map(Some);
        }
        if self.availabilities.of(K::OPTIONAL) == Availability::Served {
            self.prune::<K>(&HashSet::new()).await?;
        }
        Ok(None)
    }

    async fn foreign<K: Foreign>(&self, part: Component, object: K) -> Result<Outcome, Error> {
        match self.availabilities.of(K::OPTIONAL) {
            Availability::Served => {}
            otherwise => return Ok(Outcome::Unavailable(K::OPTIONAL, otherwise)),
        }
        match self.child(part, object).await {
            // The kind is gone, and that has not been noticed yet.
            Err(error) if error.is_not_found() => {
                self.discovery.doubt();
                let unknown = Availability::Unknown;
                Ok(Outcome::Unavailable(K::OPTIONAL, unknown))
            }
            outcome => outcome,
        }
    }
}
