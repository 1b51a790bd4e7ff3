//! Watches of the Secrets that manifests refer to: one each, while it is
//! referred to, so that all the other Secrets of a cluster cost nothing.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::task::AbortOnDropHandle;

use super::children::StackKey;
use crate::client::WATCH_SECONDS;

/// The watches of all referenced Secrets.
pub struct References {
    client: Client,
    triggers: UnboundedSender<StackKey>,
    /// By stack and Secret. Two stacks that share a Secret watch it twice,
    /// which is rare and keeps this simple.
    watches: Mutex<HashMap<StackKey, HashMap<String, AbortOnDropHandle<()>>>>,
}

impl References {
    /// None yet. Stacks whose Secrets change are sent to `triggers`.
    #[must_use]
    pub fn new(client: Client, triggers: UnboundedSender<StackKey>) -> Self {
        Self {
            client,
            triggers,
            watches: Mutex::default(),
        }
    }

    /// Watches exactly these Secrets for a stack.
    pub fn keep(&self, stack: &StackKey, secrets: &BTreeSet<String>) {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        if secrets.is_empty() {
            watches.remove(stack);
            return;
        }
        let of_stack = watches.entry(stack.clone()).or_default();
        of_stack.retain(|secret, _| secrets.contains(secret));
        for secret in secrets {
            of_stack
                .entry(secret.clone())
                .or_insert_with(|| self.watch(stack.clone(), secret));
        }
    }

    fn watch(&self, stack: StackKey, secret: &str) -> AbortOnDropHandle<()> {
        let secrets: Api<PartialObjectMeta<Secret>> =
            Api::namespaced(self.client.clone(), &stack.namespace);
        let config = watcher::Config::default()
            .fields(&format!("metadata.name={secret}"))
            .timeout(WATCH_SECONDS);
        let triggers = self.triggers.clone();
        let task = async move {
            let mut events = watcher(secrets, config).default_backoff().boxed();
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
                    Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => {}
                    Err(error) => tracing::warn!(%error, "the watch of a referenced Secret failed"),
                }
            }
        };
        AbortOnDropHandle::new(tokio::spawn(task))
    }
}
