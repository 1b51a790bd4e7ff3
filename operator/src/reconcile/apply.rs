//! Writes the children, in order, and nothing that is already so.
//!
//! A child that nobody has seen is *created*, so that an object of somebody
//! else's is never seized; one of ours is *applied* server-side with a stable
//! field manager, so that what others add to it stays; and one that is as it
//! was after our last write, and was not edited since, is left alone.

mod certificates;
mod foreign;
mod kept;
mod ownership;
mod parts;
mod reload;
mod replace;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Client, Resource as _, ResourceExt as _};

use authstack_crds::AuthStack;

use super::certificates::Certificates;
use super::children::{Child, ChildKey, Children, Live, StackKey, fingerprint};
use super::dereference::Inputs;
use super::desired::{Desired, Prepared, Stage};
use super::error::{Error, api};
use super::labels::OPERATOR;
use super::names::Component;
use super::optional::{Availabilities, Availability, Optional};
use crate::discovery::Discovery;

/// Sent to the API server, which answered.
#[derive(Debug)]
pub struct Applied;

impl Stage for Applied {
    type Child<K> = Outcome;
}

/// What became of a child.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is as it is to be; this is what it looks like.
    Live(Arc<Live>),
    /// The API server or its owner would not have it; the others go on.
    Refused {
        /// For conditions.
        reason: &'static str,
        /// For people.
        message: String,
    },
    /// The cluster lacks its kind, or the operator may not use it.
    Unavailable(Optional, Availability),
}

/// What the operator wrote last, by child.
#[derive(Debug, Default)]
pub struct Written {
    stacks: Mutex<HashMap<StackKey, HashMap<ChildKey, Record>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    /// Fingerprint of what was sent.
    desired: u64,
    /// The object that was written, and what it looked like after.
    uid: String,
    content: u64,
}

impl Written {
    /// Forgets a stack that is gone.
    pub fn forget(&self, stack: &StackKey) {
        self.lock().remove(stack);
    }

    fn get(&self, stack: &StackKey, key: &ChildKey) -> Option<Record> {
        self.lock().get(stack)?.get(key).cloned()
    }

    fn put(&self, stack: &StackKey, key: ChildKey, record: Record) {
        self.lock()
            .entry(stack.clone())
            .or_default()
            .insert(key, record);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<StackKey, HashMap<ChildKey, Record>>> {
        self.stacks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the children of one stack.
pub struct Applier<'a> {
    /// Where to.
    pub client: &'a Client,
    /// What was last seen.
    pub children: &'a Children,
    /// What was last written.
    pub written: &'a Written,
    /// Which of the kinds that a cluster may lack can be used.
    pub availabilities: &'a Availabilities,
    /// Who must ask again when that turns out to be wrong.
    pub discovery: &'a Discovery,
    /// Whose children.
    pub stack: &'a StackKey,
    /// The stack's uid: what owner references must say.
    pub uid: &'a str,
    /// The certificates, and what was found in their place.
    pub certificates: &'a Certificates,
}

impl Applier<'_> {
    /// Applies every child, in the order in which they need each other, then
    /// deletes what the stack no longer has.
    ///
    /// # Errors
    /// What another attempt may mend: a lost connection, a conflict, an object
    /// that is still being deleted. What it cannot mend is an [`Outcome`].
    pub async fn apply(
        &self,
        desired: Desired<Prepared>,
        inputs: &Inputs,
    ) -> Result<Desired<Applied>, Error> {
        let policies = desired.network_policies().map(NetworkPolicy::name_any);
        let policies = policies.collect();
        let Desired {
            credentials,
            signing_keys,
            binding,
            authority,
            postgres,
            cluster,
            api,
            nginx,
            ingress_tls,
            certificate,
            ingress,
            http_route,
            pod_monitor,
        } = desired;
        let credentials = self
            .kept(credentials, inputs.credentials_meta.clone())
            .await?;
        let signing_keys = match (signing_keys, &inputs.signing_keys) {
            (Some(desired), Some(found)) => Some(self.kept(desired, found.meta.clone()).await?),
            _ => None,
        };
        let binding = self.child(Component::Nginx, binding).await?;
        let found = self.certificates.authority.found.clone();
        let authority = self.kept(authority, found).await?;
        // Boxed: the objects inside are large, and the stack of a task is not.
        let postgres = match postgres {
            Some(postgres) => Some(Box::pin(self.postgres(postgres)).await?),
            None => None,
        };
        let cluster = match cluster {
            Some(cluster) => Some(Box::pin(self.cluster(cluster)).await?),
            None => None,
        };
        let api = Box::pin(self.api(api)).await?;
        self.prune_pooler(cluster.as_ref(), &api).await?;
        let nginx = Box::pin(self.nginx(&api, nginx)).await?;
        let ingress_tls = match ingress_tls {
            Some(secret) => {
                let leaf = self.certificates.ingress.as_ref();
                Some(self.leaf(Component::Ingress, secret, leaf).await?)
            }
            None => None,
        };
        let certificate = Box::pin(self.optional(Component::Ingress, certificate)).await?;
        let ingress = if let Some(ingress) = ingress {
            Some(self.child(Component::Ingress, ingress).await?)
        } else {
            self.prune::<Ingress>(&HashSet::new()).await?;
            None
        };
        let http_route = Box::pin(self.optional(Component::HttpRoute, http_route)).await?;
        let pod_monitor = Box::pin(self.optional(Component::Monitoring, pod_monitor)).await?;
        self.prune::<NetworkPolicy>(&policies).await?;
        Ok(Desired {
            credentials,
            signing_keys,
            binding,
            authority,
            postgres,
            cluster,
            api,
            nginx,
            ingress_tls,
            certificate,
            ingress,
            http_route,
            pod_monitor,
        })
    }

    /// One child; what cannot be mended by trying again becomes its outcome.
    async fn child<K: Child>(&self, part: Component, object: K) -> Result<Outcome, Error> {
        self.begun(part, &object, &object).await
    }

    /// One child, created as `first` and applied as `object`.
    async fn begun<K: Child>(
        &self,
        part: Component,
        object: &K,
        first: &K,
    ) -> Result<Outcome, Error> {
        outcome(Box::pin(self.ensure(part, object, first)).await)
    }

    async fn ensure<K: Child>(
        &self,
        part: Component,
        object: &K,
        first: &K,
    ) -> Result<Arc<Live>, Error> {
        let name = object.name_any();
        let key = (K::KIND, name.clone());
        let desired = fingerprint(object);
        let live = match self.children.get(self.stack, &key) {
            Some(live) => live,
            None => match self.create(first).await? {
                Some(created) => return Ok(self.record(key, desired, Live::of(&created))),
                None => Arc::new(self.look(&name, object).await?),
            },
        };
        self.check_owner(part, K::KIND, &name, &live)?;
        if let Some(record) = self.written.get(self.stack, &key)
            && record
                == (Record {
                    desired,
                    uid: live.uid.clone(),
                    content: live.content,
                })
        {
            return Ok(live);
        }
        if let (None, Some(start)) = (object.replicas(), first.replicas())
            && live.owns_replicas
        {
            self.hand_over_replicas(&name, start).await?;
        }
        if live.owned_by_update {
            self.convert_ownership::<K>(&name).await?;
        }
        match self.patch(&name, object).await {
            Ok(applied) => Ok(self.record(key, desired, Live::of(&applied))),
            Err(error) => Err(self.or_make_anew(part, object, error).await),
        }
    }

    fn record(&self, key: ChildKey, desired: u64, live: Live) -> Arc<Live> {
        let record = Record {
            desired,
            uid: live.uid.clone(),
            content: live.content,
        };
        self.written.put(self.stack, key.clone(), record);
        self.children.put(self.stack, key, live.clone());
        Arc::new(live)
    }

    /// Creates a child, or nothing where the name is taken.
    async fn create<K: Child>(&self, object: &K) -> Result<Option<K>, Error> {
        let params = PostParams {
            field_manager: Some(OPERATOR.to_owned()),
            ..PostParams::default()
        };
        match self.objects::<K>().create(&params, object).await {
            Ok(created) => {
                tracing::info!(kind = K::KIND, name = object.name_any(), "created");
                Ok(Some(created))
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(None),
            Err(error) => Err(api(format!("creating {} {}", K::KIND, object.name_any()))(
                error,
            )),
        }
    }

    /// What stands under a name that the watches have not shown (yet).
    async fn look<K: Child>(&self, name: &str, _: &K) -> Result<Live, Error> {
        let found = self.objects::<K>().get(name).await;
        found
            .map(|object| Live::of(&object))
            .map_err(api(format!("reading {} {name}", K::KIND)))
    }

    /// Refuses an object that is not this stack's.
    fn check_owner(
        &self,
        component: Component,
        kind: &'static str,
        name: &str,
        live: &Live,
    ) -> Result<(), Error> {
        let name = name.to_owned();
        match &live.controller {
            Some(owner) if owner.uid == self.uid && live.deleting => {
                Err(Error::StillDeleting { kind, name })
            }
            Some(owner) if owner.uid == self.uid => Ok(()),
            // A stack of this name was deleted a moment ago, and its objects
            // are being collected.
            Some(owner)
                if owner.kind == AuthStack::kind(&()).as_ref() && owner.name == self.stack.name =>
            {
                Err(Error::StillDeleting { kind, name })
            }
            // Ours by label, and nobody else's: its owner was taken away.
            None if live.instance.as_deref() == Some(self.stack.name.as_str()) => Ok(()),
            _ => Err(Error::NameTaken {
                component,
                kind,
                name,
            }),
        }
    }

    async fn patch<K: Child>(&self, name: &str, object: &K) -> Result<K, Error> {
        let params = PatchParams::apply(OPERATOR).force();
        let applied = self
            .objects::<K>()
            .patch(name, &params, &Patch::Apply(object))
            .await
            .map_err(api(format!("applying {} {name}", K::KIND)))?;
        tracing::info!(kind = K::KIND, name, "applied");
        Ok(applied)
    }

    /// Deletes our children of a kind whose names are not to be kept.
    async fn prune<K: Child>(&self, keep: &HashSet<String>) -> Result<(), Error> {
        for ((kind, name), live) in self.children.of(self.stack) {
            let ours = live
                .controller
                .as_ref()
                .is_some_and(|owner| owner.uid == self.uid);
            if kind != K::KIND || keep.contains(&name) || !ours || live.deleting {
                continue;
            }
            // What the watches show may be old: exactly this object, or none.
            let params = DeleteParams {
                preconditions: Some(Preconditions {
                    uid: Some(live.uid.clone()),
                    resource_version: None,
                }),
                ..DeleteParams::default()
            };
            match self.objects::<K>().delete(&name, &params).await {
                Ok(_) => tracing::info!(kind, name, "deleted: the stack no longer has it"),
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                Err(error) => return Err(api(format!("deleting {kind} {name}"))(error)),
            }
        }
        Ok(())
    }

    fn objects<K: Child>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.stack.namespace)
    }
}

/// What cannot be mended by trying again is an outcome.
fn outcome(result: Result<Arc<Live>, Error>) -> Result<Outcome, Error> {
    match result {
        Ok(live) => Ok(Outcome::Live(live)),
        Err(error) if error.is_retryable() => Err(error),
        Err(error) => Ok(Outcome::Refused {
            reason: error.reason(),
            message: error.to_string(),
        }),
    }
}
