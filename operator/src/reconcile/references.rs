//! Watches of the Secrets and ConfigMaps that manifests refer to: one each,
//! while it is referred to, so that all the others of a cluster cost nothing.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Client;
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::watcher::{self, watcher};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::task::AbortOnDropHandle;

use super::children::{Child, StackKey};
use crate::client::WATCH_SECONDS;
use crate::watch;

/// An object that a manifest refers to, by name, in the stack's namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Referenced {
    /// A Secret.
    Secret(String),
    /// A ConfigMap.
    ConfigMap(String),
}

/// The watches of all referenced objects.
pub struct References {
    client: Client,
    triggers: UnboundedSender<StackKey>,
    /// By stack and object. Two stacks that share a Secret watch it twice,
    /// which is rare and keeps this simple.
    watches: Mutex<HashMap<StackKey, HashMap<Referenced, AbortOnDropHandle<()>>>>,
}

impl References {
    /// None yet. Stacks whose objects change are sent to `triggers`.
    #[must_use]
    pub fn new(client: Client, triggers: UnboundedSender<StackKey>) -> Self {
        Self {
            client,
            triggers,
            watches: Mutex::default(),
        }
    }

    /// Watches exactly these objects for a stack.
    pub fn keep(&self, stack: &StackKey, objects: &BTreeSet<Referenced>) {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        if objects.is_empty() {
            watches.remove(stack);
            return;
        }
        let of_stack = watches.entry(stack.clone()).or_default();
        of_stack.retain(|object, _| objects.contains(object));
        for object in objects {
            of_stack
                .entry(object.clone())
                .or_insert_with(|| match object {
                    Referenced::Secret(name) => self.watch::<Secret>(stack.clone(), name),
                    Referenced::ConfigMap(name) => self.watch::<ConfigMap>(stack.clone(), name),
                });
        }
    }

    fn watch<K: Child>(&self, stack: StackKey, name: &str) -> AbortOnDropHandle<()> {
        let objects: Api<PartialObjectMeta<K>> =
            Api::namespaced(self.client.clone(), &stack.namespace);
        let config = watcher::Config::default()
            .fields(&format!("metadata.name={name}"))
            .timeout(WATCH_SECONDS);
        let triggers = self.triggers.clone();
        let task = async move {
            let mut events = watch::followed(K::KIND, watcher(objects, config)).boxed();
            while let Some(event) = events.next().await {
                match event {
                    // What the first list shows was just read.
                    Ok(
                        watcher::Event::Apply(_)
                        | watcher::Event::Delete(_)
                        | watcher::Event::InitDone,
                    ) => {
                        let _ = triggers.send(stack.clone());
                    }
                    Ok(watcher::Event::Init | watcher::Event::InitApply(_)) | Err(_) => {}
                }
            }
        };
        AbortOnDropHandle::new(tokio::spawn(task))
    }
}
