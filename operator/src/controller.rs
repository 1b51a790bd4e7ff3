//! Watches stacks and everything that belongs to them, and reconciles the
//! stacks that something happened to.

use std::collections::HashMap;
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::stream::{self, StreamExt as _};
use kube::Client;
use kube::api::Api;
use kube::core::error_boundary::DeserializeGuard;
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use authstack_crds::AuthStack;

use crate::args::{Images, WatchNamespaces};
use crate::client::WATCH_SECONDS;
use crate::health::Health;
use crate::reconcile::children::{Children, StackKey};
use crate::reconcile::error::Error;
use crate::reconcile::labels::OPERATOR;
use crate::reconcile::references::References;
use crate::reconcile::{self, Context, Next};
use crate::telemetry;
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
/// A reconcile that takes longer is stuck.
const STUCK: Duration = Duration::from_mins(5);
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
    let controllers = scopes
        .into_iter()
        .map(|namespace| control(client.clone(), namespace, &settings, health, stop));
    futures::future::join_all(controllers).await;
}

/// What the controller of one scope shares with its reconciles.
struct Shared {
    context: Context,
    store: Store<Guarded>,
    failures: Mutex<HashMap<StackKey, u32>>,
    health: Health,
}

async fn control(
    client: Client,
    namespace: Option<String>,
    settings: &Settings,
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
        },
        store: store.clone(),
        failures: Mutex::default(),
        health: health.clone(),
    });
    let children = watch::children(
        client.clone(),
        namespace.as_deref(),
        &shared.context.children,
        &triggers,
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
            .reconcile_on(references(triggered))
            .graceful_shutdown_on(stop.clone().cancelled_owned())
            .run(reconcile_one, retry, Arc::clone(&shared))
            .for_each(|outcome| {
                if let Err(error) = outcome {
                    tracing::debug!(%error, "the controller reports");
                }
                ready(())
            })
            .await;
    };
    tokio::select! {
        () = controller => {}
        () = children => {}
        () = stop_before_start(stop, &listed_stacks) => {}
        () = beat(health) => {}
    }
}

/// Completes when `stop` comes before the stacks have been listed. Nothing has
/// begun then that should end, and the controller would wait for the list.
async fn stop_before_start(stop: &CancellationToken, stacks: &Store<Guarded>) {
    stop.cancelled().await;
    if stacks.wait_until_ready().now_or_never().is_some() {
        std::future::pending::<()>().await;
    }
}

/// Says that the loop turns. It shares the controller's task, so it stops when
/// anything there blocks. Never completes.
async fn beat(health: &Health) {
    let heartbeat = health.liveness().watch("the controller's loop", LOOP_STUCK);
    loop {
        tokio::time::sleep(LOOP_STUCK / 10).await;
        heartbeat.beat();
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
    let scope = namespace.map(ToOwned::to_owned);
    let config = watcher::Config::default().timeout(WATCH_SECONDS);
    watcher(api, config)
        .default_backoff()
        .reflect(writer)
        .inspect(move |event| {
            match event {
                Ok(watcher::Event::Delete(stack)) => {
                    let key = key_of(&ObjectRef::from_obj(stack));
                    shared.context.forget(&key);
                    shared.lock().remove(&key);
                }
                Err(error) => tracing::warn!(%error, "the watch of AuthStacks failed"),
                Ok(_) => {}
            }
            let count = u32::try_from(shared.store.len()).unwrap_or(u32::MAX);
            telemetry::set_managed_stacks(scope.as_deref(), count);
        })
        .applied_objects()
}

fn references(
    triggered: mpsc::UnboundedReceiver<StackKey>,
) -> impl stream::Stream<Item = ObjectRef<Guarded>> + Send + 'static {
    stream::unfold(triggered, |mut triggered| async {
        let key = triggered.recv().await?;
        let stack = ObjectRef::new(&key.name).within(&key.namespace);
        Some((stack, triggered))
    })
}

fn key_of(stack: &ObjectRef<Guarded>) -> StackKey {
    StackKey {
        namespace: stack.namespace.clone().unwrap_or_default(),
        name: stack.name.clone(),
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<StackKey, u32>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn reconcile_one(stack: Arc<Guarded>, shared: Arc<Shared>) -> Result<Action, Error> {
    let reference = ObjectRef::from_obj(stack.as_ref());
    let key = key_of(&reference);
    let stack = match &stack.0 {
        Ok(stack) => stack,
        Err(invalid) => {
            // Nothing to retry: a change of the object is a new trigger.
            tracing::error!(stack = %reference, error = %invalid.error, "this object is no AuthStack");
            return Ok(Action::await_change());
        }
    };
    let begin = Instant::now();
    let heartbeat = shared
        .health
        .liveness()
        .watch(format!("reconcile {reference}"), STUCK);
    let result = Box::pin(reconcile::reconcile(stack, &shared.context)).await;
    drop(heartbeat);
    let reason = result.as_ref().err().map_or("Reconciled", Error::reason);
    telemetry::record_reconcile(result.is_ok(), reason, begin.elapsed());
    match result {
        Ok(next) => {
            shared.lock().remove(&key);
            Ok(match next {
                Next::AwaitChange => Action::await_change(),
                Next::LookAgain => Action::requeue(LOOK_AGAIN),
            })
        }
        Err(error) if error.is_benign() => {
            tracing::debug!(stack = %reference, %error, "waiting");
            Err(error)
        }
        Err(error) => {
            tracing::warn!(stack = %reference, reason, %error, "reconciling failed");
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
