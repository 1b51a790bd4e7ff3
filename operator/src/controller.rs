//! Watches stacks and everything that belongs to them, and reconciles the
//! stacks that something happened to.

mod queue;

use std::collections::{HashMap, HashSet};
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::stream::{self, StreamExt as _};
use kube::api::Api;
use kube::core::error_boundary::DeserializeGuard;
use kube::runtime::controller::{self, Action, Config, Controller};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::{self, Lookup, ObjectRef, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, Resource as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use authstack_crds::{AuthStack, AuthStackStatus};

use self::queue::Queue;
use crate::args::{Images, WatchNamespaces};
use crate::client::WATCH_SECONDS;
use crate::discovery::Discovery;
use crate::health::Health;
use crate::metrics::{self, Census, InFlight};
use crate::reconcile::children::{Children, StackKey};
use crate::reconcile::error::Error;
use crate::reconcile::labels::OPERATOR;
use crate::reconcile::optional::{self, Availabilities, Optional};
use crate::reconcile::references::References;
use crate::reconcile::{self, Context, Next};
use crate::telemetry::spans;
use crate::watch;

/// A stack, or why the object in the cluster is none: one malformed object
/// must not end the watch of all.
type Guarded = DeserializeGuard<AuthStack>;

/// How many stacks are reconciled at a time. Each mostly waits for the API
/// server, which bounds the operator by its own priority and fairness.
const CONCURRENCY: u16 = 16;
/// What happens to a stack within this time is one reconcile.
const DEBOUNCE: Duration = Duration::from_millis(20);
/// The pause after a first failure; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_millis(250);
/// The longest pause between attempts.
const LAST_RETRY: Duration = Duration::from_mins(2);
/// The pause before another look at what is in the way and not watched.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// What is due now was not done for a reason that may last.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// Timers stand still while a machine is suspended, and certificates do not.
const LONGEST_WAIT: Duration = Duration::from_hours(12);
/// A reconcile that takes longer is stuck.
const STUCK: Duration = Duration::from_mins(5);
/// A queue in which stacks wait and none gets its turn for longer is stuck. By
/// then each reconcile that has begun has ended, or is stuck itself.
const QUEUE_STUCK: Duration = Duration::from_mins(6);
/// A loop that does not turn for longer is stuck, reconciles or not.
const LOOP_STUCK: Duration = Duration::from_mins(1);

/// What a controller needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to look for stacks.
    pub namespaces: WatchNamespaces,
    /// Images that replace the pinned ones.
    pub images: Images,
    /// The name of this replica, which its events carry.
    pub instance: String,
}

/// Controls all stacks until `stop`, then lets the reconciles end that have
/// begun. To be dropped when the leadership is lost.
pub async fn run(client: Client, settings: Settings, health: &Health, stop: &CancellationToken) {
    let scopes = match &settings.namespaces {
        WatchNamespaces::All => vec![None],
        WatchNamespaces::Only(names) => names.iter().cloned().map(Some).collect(),
    };
    let discovery = Arc::new(Discovery::default());
    let controllers = scopes.into_iter().map(|namespace| {
        let discovery = Arc::clone(&discovery);
        control(
            client.clone(),
            namespace,
            &settings,
            discovery,
            health,
            stop,
        )
    });
    tokio::select! {
        _ = futures::future::join_all(controllers) => {}
        () = discovery.run(&client) => {}
    }
}

/// What the controller of one scope shares with its reconciles.
struct Shared {
    context: Context,
    failures: Mutex<HashMap<StackKey, u32>>,
    queue: Queue,
    health: Health,
}

async fn control(
    client: Client,
    namespace: Option<String>,
    settings: &Settings,
    discovery: Arc<Discovery>,
    health: &Health,
    stop: &CancellationToken,
) {
    let (triggers, triggered) = mpsc::unbounded_channel();
    let reporter = Reporter {
        controller: OPERATOR.to_owned(),
        instance: Some(settings.instance.clone()),
    };
    let (store, writer) = reflector::store::<Guarded>();
    let listed_stacks = store.clone();
    let shared = Arc::new(Shared {
        context: Context {
            client: client.clone(),
            images: settings.images.clone(),
            children: Children::default(),
            written: reconcile::apply::Written::default(),
            references: References::new(client.clone(), triggers.clone()),
            recorder: Recorder::new(client.clone(), reporter),
            statuses: Mutex::default(),
            availabilities: Availabilities::default(),
            discovery,
        },
        failures: Mutex::default(),
        queue: Queue::default(),
        health: health.clone(),
    });
    let needing = |kind| needing(&listed_stacks, kind);
    let children = watch::children(
        client.clone(),
        namespace.as_deref(),
        &shared.context.children,
        &triggers,
        watch::Optionals {
            discovery: &shared.context.discovery,
            availabilities: &shared.context.availabilities,
            needing: &needing,
        },
    );
    // Without the children's first lists every child would look missing.
    let (listed, children) = children;
    let stacks = stacks(client, namespace.as_deref(), writer, Arc::clone(&shared));
    let controller = async {
        listed.await;
        Controller::for_stream(stacks, store)
            .with_config(
                Config::default()
                    .concurrency(CONCURRENCY)
                    .debounce(DEBOUNCE),
            )
            .reconcile_on(happenings(triggered, Arc::clone(&shared)))
            .graceful_shutdown_on(stop.clone().cancelled_owned())
            .run(reconcile_one, retry, Arc::clone(&shared))
            .for_each(|outcome| {
                if let Err(error) = outcome {
                    tracing::debug!(%error, "the controller reports");
                    if let controller::Error::ObjectNotFound(stack) = error {
                        shared.queue.leave(&key_of(&stack));
                    }
                }
                ready(())
            })
            .await;
    };
    tokio::select! {
        () = controller => {}
        () = children => {}
        () = stop_before_start(stop, &listed_stacks) => {}
        () = beat(health, &shared.queue, &listed_stacks) => {}
    }
}

/// The stacks whose manifest needs a kind.
fn needing(stacks: &Store<Guarded>, kind: Optional) -> Vec<StackKey> {
    let needs = |stack: &Guarded| {
        let stack = stack.0.as_ref();
        stack.is_ok_and(|stack| optional::needs(&stack.spec).contains(&kind))
    };
    let stacks = stacks.state().into_iter().filter(|stack| needs(stack));
    stacks
        .map(|stack| key_of(&ObjectRef::from_obj(stack.as_ref())))
        .collect()
}

/// Completes when `stop` comes before the stacks have been listed. Nothing has
/// begun then that should end, and the controller would wait for the list.
async fn stop_before_start(stop: &CancellationToken, stacks: &Store<Guarded>) {
    stop.cancelled().await;
    if stacks.wait_until_ready().now_or_never().is_some() {
        std::future::pending::<()>().await;
    }
}

/// Says that the loop turns, and that whatever waits gets its turn. It shares
/// the controller's task, so it stops when anything there blocks. Never completes.
async fn beat(health: &Health, queue: &Queue, stacks: &Store<Guarded>) {
    let of_loop = health.liveness().watch("the controller's loop", LOOP_STUCK);
    let of_queue = health.liveness().watch("the queue", QUEUE_STUCK);
    loop {
        tokio::time::sleep(LOOP_STUCK / 10).await;
        of_loop.beat();
        // Before the stacks have been listed none can have its turn.
        let begins = stacks.wait_until_ready().now_or_never().is_some();
        if queue.moves() || !begins {
            of_queue.beat();
        }
    }
}

/// The stream of stacks, which also clears up behind those that are gone.
fn stacks(
    client: Client,
    namespace: Option<&str>,
    writer: reflector::store::Writer<Guarded>,
    shared: Arc<Shared>,
) -> impl stream::Stream<Item = Result<Guarded, watcher::Error>> + Send + 'static {
    let api: Api<Guarded> = match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let config = watcher::Config::default().timeout(WATCH_SECONDS);
    let mut census = Census::default();
    let mut listed = HashSet::new();
    watch::followed("AuthStack", watcher(api, config))
        // Who set which field is of no use here, and the largest part of it.
        .modify(|stack| stack.meta_mut().managed_fields = None)
        .reflect(writer)
        .inspect(move |event| match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(stack)) => {
                let key = key_of(&ObjectRef::from_obj(stack));
                census.note(key.clone(), status_of(stack));
                listed.insert(key.clone());
                shared.queue.enter(key);
            }
            Ok(watcher::Event::InitDone) => {
                // Those that went while there was no watch.
                let all = census.stacks().into_iter();
                for key in all.filter(|key| !listed.contains(key)) {
                    census.remove(&key);
                    shared.forget(&key);
                }
                listed = HashSet::new();
            }
            Ok(watcher::Event::Apply(stack)) => {
                let key = key_of(&ObjectRef::from_obj(stack));
                census.note(key.clone(), status_of(stack));
                shared.queue.enter(key);
            }
            Ok(watcher::Event::Delete(stack)) => {
                let key = key_of(&ObjectRef::from_obj(stack));
                census.remove(&key);
                shared.forget(&key);
            }
            Err(_) => {}
        })
        .applied_objects()
}

fn status_of(stack: &Guarded) -> Option<&AuthStackStatus> {
    stack.0.as_ref().ok()?.status.as_ref()
}

/// The stacks to whose children or references something happened.
fn happenings(
    triggered: mpsc::UnboundedReceiver<StackKey>,
    shared: Arc<Shared>,
) -> impl stream::Stream<Item = ObjectRef<Guarded>> + Send + 'static {
    stream::unfold((triggered, shared), |(mut triggered, shared)| async {
        let key = triggered.recv().await?;
        let stack = ObjectRef::new(&key.name).within(&key.namespace);
        shared.queue.enter(key);
        Some((stack, (triggered, shared)))
    })
}

fn key_of<K: Lookup>(stack: &ObjectRef<K>) -> StackKey {
    StackKey {
        namespace: stack.namespace.clone().unwrap_or_default(),
        name: stack.name.clone(),
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<StackKey, u32>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was kept about a stack that is gone.
    fn forget(&self, stack: &StackKey) {
        self.context.forget(stack);
        self.lock().remove(stack);
    }
}

/// Begins a reconcile at once, not when its future is first polled: what happens
/// to the stack from here on is for the next one.
fn reconcile_one(
    stack: Arc<Guarded>,
    shared: Arc<Shared>,
) -> impl Future<Output = Result<Action, Error>> + Send {
    let key = key_of(&ObjectRef::from_obj(stack.as_ref()));
    shared.queue.leave(&key);
    let span = spans::reconcile(&key);
    async move { turn(&stack, &key, &shared).await }.instrument(span)
}

async fn turn(stack: &Guarded, key: &StackKey, shared: &Shared) -> Result<Action, Error> {
    let stack = match &stack.0 {
        Ok(stack) => stack,
        Err(invalid) => {
            // Nothing to retry: a change of the object is a new trigger.
            tracing::error!(error = %invalid.error, "this object is no AuthStack");
            return Ok(Action::await_change());
        }
    };
    let begin = Instant::now();
    let in_flight = InFlight::begin();
    let what = format!("the reconcile of {}/{}", key.namespace, key.name);
    let heartbeat = shared.health.liveness().watch(what, STUCK);
    let result = Box::pin(reconcile::reconcile(stack, &shared.context)).await;
    drop((heartbeat, in_flight));
    let reason = result.as_ref().err().map_or("Reconciled", Error::reason);
    metrics::record_reconcile(result.is_ok(), reason, begin.elapsed());
    match result {
        Ok(next) => {
            shared.lock().remove(key);
            Ok(match next {
                Next::AwaitChange => Action::await_change(),
                Next::LookAgain => Action::requeue(LOOK_AGAIN),
                Next::At(time) => Action::requeue(time.clamp(SHORTEST_WAIT, LONGEST_WAIT)),
            })
        }
        Err(error) if error.is_benign() => {
            tracing::debug!(%error, "waiting");
            Err(error)
        }
        Err(error) => {
            tracing::warn!(reason, %error, "reconciling failed");
            spans::failed(reason);
            Err(error)
        }
    }
}

/// When to try again: sooner at first, and each stack at its own pace.
#[expect(clippy::needless_pass_by_value, reason = "the controller calls it so")]
fn retry(stack: Arc<Guarded>, _: &Error, shared: Arc<Shared>) -> Action {
    let key = key_of(&ObjectRef::from_obj(stack.as_ref()));
    let mut failures = shared.lock();
    let count = failures.entry(key).or_default();
    *count = count.saturating_add(1);
    Action::requeue(pause(*count))
}

fn pause(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    FIRST_RETRY.saturating_mul(1 << doublings).min(LAST_RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        assert_eq!(pause(1), Duration::from_millis(250));
        assert_eq!(pause(2), Duration::from_millis(500));
        assert_eq!(pause(4), Duration::from_secs(2));
        assert_eq!(pause(30), LAST_RETRY);
        assert_eq!(pause(u32::MAX), LAST_RETRY);
    }
}
