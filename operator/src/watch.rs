//! The watches of what stacks consist of. All but the stacks themselves are
//! filtered by the operator's own label on the server's side, so that foreign
//! objects are neither sent nor kept.

mod optional;

use std::pin::Pin;
use std::time::Duration;

use futures::stream::{FuturesUnordered, Stream, StreamExt as _};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{
    ConfigMap, Event as CoreEvent, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::Client;
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Resource, ResourceExt as _};
use tokio::sync::{mpsc, watch};

pub use self::optional::Optionals;
use crate::client::WATCH_SECONDS;
use crate::foreign::cert_manager::Certificate;
use crate::foreign::cloud_native_pg::{Cluster, Pooler};
use crate::foreign::gateway::HTTPRoute;
use crate::foreign::prometheus::PodMonitor;
use crate::metrics;
use crate::reconcile::children::{Child, Children, Live, StackKey};
use crate::reconcile::labels::{INSTANCE, managed_selector};
use crate::reconcile::optional::Optional;

/// How long the first reconciles wait to know which optional kinds can be used:
/// what a stack has of a kind that is not known yet shows as not known either.
const OPTIONALS_WAIT: Duration = Duration::from_secs(5);

type Task<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
type Triggers = mpsc::UnboundedSender<StackKey>;

/// Watches everything that stacks consist of: keeps `children` true and sends
/// each stack that something happened to.
///
/// Two futures come back: one that completes when all children have been listed
/// once, those of kinds that the cluster may lack for [`OPTIONALS_WAIT`] at most,
/// and one that must be polled for anything to happen and never ends.
pub fn children<'a>(
    client: Client,
    namespace: Option<&'a str>,
    children: &'a Children,
    triggers: &'a Triggers,
    optionals: Optionals<'a>,
) -> (
    impl Future<Output = ()> + use<>,
    impl Future<Output = ()> + use<'a>,
) {
    let (listed, mut count) = watch::channel(0_usize);
    let (known, mut known_count) = watch::channel(0_usize);
    let scope = Scope {
        client,
        namespace,
        children,
        triggers,
        listed,
        known,
    };
    let tasks: Vec<Task<'a>> = vec![
        // Of these only the existence and the version matter.
        scope.child_metadata::<Secret>(),
        scope.child_metadata::<ConfigMap>(),
        scope.child_metadata::<Service>(),
        scope.child_metadata::<ServiceAccount>(),
        scope.child_metadata::<NetworkPolicy>(),
        // Of these the status does.
        scope.child::<StatefulSet>(),
        scope.child::<Deployment>(),
        scope.child::<Ingress>(),
        // Of these it does not, but it changes all the time.
        scope.child::<PodDisruptionBudget>(),
        scope.child::<HorizontalPodAutoscaler>(),
        scope.child::<Job>(),
    ];
    let kinds = tasks.len();
    let mut all: FuturesUnordered<Task<'a>> = tasks.into_iter().collect();
    // Whether the cluster has these shows in a moment, unless something is wrong
    // with them that is no reason to hold everything else up.
    all.push(scope.optional::<HTTPRoute>(optionals));
    all.push(scope.optional::<Certificate>(optionals));
    all.push(scope.optional::<Cluster>(optionals));
    all.push(scope.optional::<Pooler>(optionals));
    all.push(scope.optional::<PodMonitor>(optionals));
    all.push(scope.trigger::<Pod>("Pod"));
    all.push(scope.trigger::<PersistentVolumeClaim>("PersistentVolumeClaim"));
    // What is reported about a claim or a StatefulSet does not touch either.
    all.push(scope.reports("PersistentVolumeClaim", |name| {
        name.strip_prefix("data-")?.strip_suffix("-postgres-0")
    }));
    all.push(scope.reports("StatefulSet", |name| name.strip_suffix("-postgres")));
    let ready = async move {
        // The sender lives as long as the watches; without them nobody waits.
        let _ = count.wait_for(|listed| *listed >= kinds).await;
        let optionals = known_count.wait_for(|known| *known >= Optional::ALL.len());
        let _ = tokio::time::timeout(OPTIONALS_WAIT, optionals).await;
    };
    (ready, async move { while all.next().await.is_some() {} })
}

/// A watch that is tried again when it fails, and whose failures are counted
/// and logged.
pub(crate) fn followed<O, S>(
    kind: &'static str,
    events: S,
) -> impl Stream<Item = Result<Event<O>, watcher::Error>> + Send
where
    O: Send + 'static,
    S: Stream<Item = Result<Event<O>, watcher::Error>> + Send,
{
    counted(kind, events).inspect(move |event| {
        if let Err(error) = event {
            tracing::warn!(kind, %error, "a watch failed");
        }
    })
}

/// A watch that is tried again when it fails, and whose failures are counted.
fn counted<O, S>(
    kind: &'static str,
    events: S,
) -> impl Stream<Item = Result<Event<O>, watcher::Error>> + Send
where
    O: Send + 'static,
    S: Stream<Item = Result<Event<O>, watcher::Error>> + Send,
{
    metrics::expect_watch(kind);
    let mut begun = false;
    events.default_backoff().inspect(move |event| match event {
        Ok(Event::Init) if std::mem::replace(&mut begun, true) => metrics::record_relist(kind),
        Ok(_) => {}
        Err(_) => metrics::record_watch_error(kind),
    })
}

#[derive(Clone)]
struct Scope<'a> {
    client: Client,
    namespace: Option<&'a str>,
    children: &'a Children,
    triggers: &'a Triggers,
    listed: watch::Sender<usize>,
    known: watch::Sender<usize>,
}

impl<'a> Scope<'a> {
    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    fn child<K: Child>(&self) -> Task<'a> {
        let events = watcher(self.api::<K>(), labelled());
        self.awaited::<K, K, _>(events, Live::of)
    }

    fn child_metadata<K: Child>(&self) -> Task<'a> {
        let events = watcher(self.api::<PartialObjectMeta<K>>(), labelled());
        let live = |object: &PartialObjectMeta<K>| Live::of_metadata(&object.metadata);
        self.awaited::<K, _, _>(events, live)
    }

    /// Follows a kind for whose first list the controller waits.
    fn awaited<K, O, S>(&self, events: S, live: fn(&O) -> Live) -> Task<'a>
    where
        K: Child,
        O: Resource<DynamicType = ()> + Send + 'static,
        S: Stream<Item = Result<Event<O>, watcher::Error>> + Send + 'a,
    {
        let listed = self.listed.clone();
        let mut first = true;
        let events = followed(K::KIND, events);
        self.follow::<K, O, _>(events, live, move || {
            if std::mem::take(&mut first) {
                listed.send_modify(|count| *count += 1);
            }
        })
    }

    /// Keeps `children` true to a stream of one kind, as long as it lasts.
    fn follow<K, O, S>(
        &self,
        events: S,
        live: fn(&O) -> Live,
        mut on_listed: impl FnMut() + Send + 'a,
    ) -> Task<'a>
    where
        K: Child,
        O: Resource<DynamicType = ()> + Send + 'static,
        S: Stream<Item = Result<Event<O>, watcher::Error>> + Send + 'a,
    {
        let (children, triggers, namespace) = (self.children, self.triggers, self.namespace);
        Box::pin(async move {
            let mut events = std::pin::pin!(events);
            let mut seen: Vec<(StackKey, String)> = Vec::new();
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::Init) => seen.clear(),
                    Ok(Event::InitApply(object)) => {
                        if let Some(stack) = stack_of(&object) {
                            let name = object.name_any();
                            children.put(&stack, (K::KIND, name.clone()), live(&object));
                            seen.push((stack, name));
                        }
                    }
                    Ok(Event::InitDone) => {
                        children.retain(K::KIND, namespace, &seen);
                        on_listed();
                        // What happened while there was no watch is not known.
                        for (stack, _) in seen.drain(..) {
                            let _ = triggers.send(stack);
                        }
                    }
                    Ok(Event::Apply(object)) => {
                        if let Some(stack) = stack_of(&object) {
                            children.put(&stack, (K::KIND, object.name_any()), live(&object));
                            let _ = triggers.send(stack);
                        }
                    }
                    Ok(Event::Delete(object)) => {
                        if let Some(stack) = stack_of(&object) {
                            let version = object.resource_version().unwrap_or_default();
                            children.remove(&stack, (K::KIND, object.name_any()), version);
                            let _ = triggers.send(stack);
                        }
                    }
                    Err(_) => {}
                }
            }
        })
    }

    /// Sends the stacks whose objects of one kind change; keeps nothing.
    fn trigger<K>(&self, kind: &'static str) -> Task<'a>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned
            + Send
            + 'static,
    {
        let events = watcher(self.api::<PartialObjectMeta<K>>(), labelled());
        self.forward(kind, events, stack_of)
    }

    /// Sends the stacks about whose objects of one kind something is reported.
    fn reports(&self, kind: &'static str, stack: fn(&str) -> Option<&str>) -> Task<'a> {
        let config = watcher::Config::default()
            .fields(&format!("involvedObject.kind={kind}"))
            .timeout(WATCH_SECONDS);
        let events = watcher(self.api::<CoreEvent>(), config);
        self.forward("Event", events, move |event: &CoreEvent| {
            Some(StackKey {
                namespace: event.involved_object.namespace.clone()?,
                name: stack(event.involved_object.name.as_deref()?)?.to_owned(),
            })
        })
    }

    fn forward<O, S>(
        &self,
        kind: &'static str,
        events: S,
        stack: impl Fn(&O) -> Option<StackKey> + Send + 'a,
    ) -> Task<'a>
    where
        O: Send + 'static,
        S: Stream<Item = Result<Event<O>, watcher::Error>> + Send + 'a,
    {
        let triggers = self.triggers;
        Box::pin(async move {
            let mut events = std::pin::pin!(followed(kind, events));
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::Apply(object) | Event::Delete(object)) => {
                        if let Some(stack) = stack(&object) {
                            let _ = triggers.send(stack);
                        }
                    }
                    Ok(Event::Init | Event::InitApply(_) | Event::InitDone) | Err(_) => {}
                }
            }
        })
    }
}

fn labelled() -> watcher::Config {
    watcher::Config::default()
        .labels(&managed_selector())
        .timeout(WATCH_SECONDS)
}

/// The stack that an object belongs to, as its label says.
fn stack_of<O: Resource>(object: &O) -> Option<StackKey> {
    let meta = object.meta();
    Some(StackKey {
        namespace: meta.namespace.clone()?,
        name: meta.labels.as_ref()?.get(INSTANCE)?.clone(),
    })
}
