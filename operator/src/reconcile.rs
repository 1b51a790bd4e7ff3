//! From a manifest to a running stack, and to a status that tells the truth.
//!
//! [`pipeline`] reads as a table of contents; each step has a file. Steps that
//! do IO hold a client, the others are pure:
//!
//! | step | IO | file |
//! |---|---|---|
//! | dereference | reads | `dereference.rs` |
//! | validate | no | `validate.rs` |
//! | desired | no | `desired.rs`, `desired/`, `stopping.rs` |
//! | apply | writes | `apply.rs` |
//! | inspect | reads, if something is not ready | `inspect.rs` |
//! | observe | no | `observe.rs`, `diagnose.rs` |
//! | status | no | `status.rs`, `events.rs` |

pub mod apply;
pub mod certificates;
pub mod children;
pub mod dereference;
pub mod desired;
pub mod diagnose;
mod digest;
pub mod error;
pub mod events;
pub mod finding;
pub mod immutable;
pub mod inspect;
pub mod labels;
pub mod names;
pub mod observe;
pub mod optional;
pub mod pod_template;
pub mod quantity;
pub mod references;
pub mod refusal;
pub mod render;
mod resources;
pub mod stack;
pub mod status;
pub mod stopping;
pub mod validate;
pub mod versions;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::events::Recorder;
use kube::{Client, Resource as _, ResourceExt as _};
use serde_json::json;
use tracing::Instrument as _;

use authstack_crds::{AuthStack, AuthStackStatus};

use self::apply::{Applier, Written};
use self::children::{Children, StackKey};
use self::error::{Error, api};
use self::finding::Finding;
use self::inspect::Details;
use self::labels::OPERATOR;
use self::observe::Observed;
use self::optional::Availabilities;
use self::references::References;
use self::status::Verdict;
use crate::args::Images;
use crate::discovery::Discovery;
use crate::telemetry::spans;

/// What every reconcile shares.
pub struct Context {
    /// The cluster.
    pub client: Client,
    /// Images for the whole operator.
    pub images: Images,
    /// What was last seen of the stacks' children.
    pub children: Children,
    /// What was last written.
    pub written: Written,
    /// The watches of referenced Secrets.
    pub references: References,
    /// Where events go.
    pub recorder: Recorder,
    /// The status that was last written, by stack: the watch may still show
    /// the one before.
    pub statuses: Mutex<HashMap<StackKey, Stored>>,
    /// Whether the kinds can be used that a cluster may lack.
    pub availabilities: Availabilities,
    /// Where it is said that this may be wrong.
    pub discovery: Arc<Discovery>,
}

/// A status as it was last written.
#[derive(Clone, Debug)]
pub struct Stored {
    uid: String,
    /// The stack's resourceVersion after the write.
    version: String,
    status: AuthStackStatus,
}

impl Context {
    /// Forgets what was kept about a stack that is gone.
    pub fn forget(&self, stack: &StackKey) {
        self.written.forget(stack);
        self.references
            .keep(stack, &std::collections::BTreeSet::new());
        self.statuses().remove(stack);
    }

    fn statuses(&self) -> std::sync::MutexGuard<'_, HashMap<StackKey, Stored>> {
        self.statuses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key under which everything about a stack is kept.
#[must_use]
pub fn key(stack: &AuthStack) -> StackKey {
    StackKey {
        namespace: stack.namespace().unwrap_or_default(),
        name: stack.name_any(),
    }
}

/// Brings one stack's children to what its manifest says, and its status to
/// what is true of them.
///
/// # Errors
/// What another attempt may mend. Everything else is in the status.
pub async fn reconcile(stack: &AuthStack, context: &Context) -> Result<Next, Error> {
    if stack.metadata.deletion_timestamp.is_some() {
        // Its children go by their owner references; what is to stay, stays.
        return Ok(Next::AwaitChange);
    }
    let (names, outcome) = match validate::names(stack) {
        Ok(names) if stack.spec.paused => {
            let outcome = look_on(stack, &names, context).await;
            (Some(names), outcome)
        }
        Ok(names) => {
            let outcome = Box::pin(pipeline(stack, &names, context)).await;
            (Some(names), outcome)
        }
        Err(error) => (None, Err(error.into())),
    };
    let (observed, url, due, error) = match outcome {
        Ok(Success { observed, url, due }) => (observed, url, due, None),
        Err(Failure { error, url }) => {
            let observed = after(&error, names.as_ref(), stack, context);
            (observed, url, None, Some(error))
        }
    };
    let previous = previous(stack, context);
    let now = Timestamp::now();
    let next = match &error {
        Some(error) if error.is_benign() => None,
        Some(error) if error.is_retryable() => Some(status::interrupted(&previous, error, now)),
        _ => {
            let verdict = Verdict {
                generation: stack.metadata.generation.unwrap_or_default(),
                version: &stack.spec.version,
                spec: &digest::of_spec(&stack.spec),
                paused: stack.spec.paused,
                stopped: stack.spec.stopped,
                names: names.as_ref(),
                url: url.as_deref(),
                observed: &observed,
                error: error.as_ref(),
            };
            Some(status::status(&previous, &verdict, now))
        }
    };
    if let Some(next) = next {
        let publishing = publish(stack, context, &previous, next);
        publishing.instrument(spans::step("status")).await?;
    }
    match error {
        Some(error) => Err(error),
        None if observed.has_refusal() => Ok(Next::LookAgain),
        None => Ok(due.map_or(Next::AwaitChange, |due| Next::At(until(due, now)))),
    }
}

fn until(due: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(due.duration_since(now)).unwrap_or_default()
}

/// What is to happen with a stack after a reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Whatever may change is watched.
    AwaitChange,
    /// What is in the way is not watched: look again after a while.
    LookAgain,
    /// Something is due after this time, though nothing may happen until then.
    At(Duration),
}

struct Success {
    observed: Observed,
    /// Where clients reach it, if that was looked at.
    url: Option<String>,
    due: Option<Timestamp>,
}

struct Failure {
    error: Error,
    url: Option<String>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, url: None }
    }
}

async fn pipeline(
    stack: &AuthStack,
    names: &names::Names,
    context: &Context,
) -> Result<Success, Failure> {
    let client = &context.client;
    let key = key(stack);
    context
        .references
        .keep(&key, &dereference::references(stack));
    let inputs = dereference::dereference(client, stack, names)
        .instrument(spans::step("dereference"))
        .await?;
    let stack =
        spans::step("validate").in_scope(|| validate::validate(stack, &inputs, &context.images))?;
    let url = || Some(stack.public_url.clone());
    let mut desired = spans::step("desired").in_scope(|| desired::build(&stack, &inputs));
    if stack.stopped {
        let children = context.children.of(&key);
        desired = stopping::outside_in(desired, names, &children);
    }
    let writer = Applier {
        client,
        children: &context.children,
        written: &context.written,
        availabilities: &context.availabilities,
        discovery: &context.discovery,
        stack: &key,
        uid: &stack.uid,
        certificates: &inputs.certificates,
    };
    let applied = Box::pin(writer.apply(desired, &inputs))
        .instrument(spans::step("apply"))
        .await
        .map_err(|error| Failure { error, url: url() })?;
    let details = if observe::needs_details(&applied) {
        inspect::inspect(client, names)
            .instrument(spans::step("inspect"))
            .await?
    } else {
        Details::default()
    };
    let observed =
        spans::step("observe").in_scope(|| observe::observe(&inputs, &applied, &details));
    Ok(Success {
        observed,
        url: Some(stack.public_url),
        due: inputs.due(),
    })
}

/// What is true of a paused stack. Nothing is written, and nothing that its
/// manifest refers to is read.
async fn look_on(
    stack: &AuthStack,
    names: &names::Names,
    context: &Context,
) -> Result<Success, Failure> {
    let children = context.children.of(&key(stack));
    let details = if observe::needs_details_of(&children) {
        inspect::inspect(&context.client, names).await?
    } else {
        Details::default()
    };
    Ok(Success {
        observed: observe::observe_unapplied(&stack.spec, names, &children, &details),
        url: None,
        due: None,
    })
}

/// What is true after a failure: what the watches last saw, and the part that
/// the failure is about.
fn after(
    error: &Error,
    names: Option<&names::Names>,
    stack: &AuthStack,
    context: &Context,
) -> Observed {
    let children = context.children.of(&key(stack));
    let nowhere = names::Names {
        stack: String::new(),
        namespace: String::new(),
    };
    let names = names.unwrap_or(&nowhere);
    let details = Details::default();
    let mut observed = observe::observe_unapplied(&stack.spec, names, &children, &details);
    if let Some(component) = error.component() {
        observed.blame(
            component,
            Finding::stalled(error.reason(), error.to_string()),
        );
    }
    observed
}

/// The status that is in the cluster, or will be when the watch catches up.
fn previous(stack: &AuthStack, context: &Context) -> AuthStackStatus {
    let seen = stack.status.clone().unwrap_or_default();
    let uid = stack.metadata.uid.clone().unwrap_or_default();
    match context.statuses().get(&key(stack)) {
        Some(stored) if stored.uid == uid => stored.status.clone(),
        _ => seen,
    }
}

/// Writes the status if it says something new, and the events that go with it.
async fn publish(
    stack: &AuthStack,
    context: &Context,
    previous: &AuthStackStatus,
    next: AuthStackStatus,
) -> Result<(), Error> {
    if *previous == next && !is_overwritten(stack, context, &next) {
        return Ok(());
    }
    let key = key(stack);
    let stacks: Api<AuthStack> = Api::namespaced(context.client.clone(), &key.namespace);
    let body = json!({
        "apiVersion": AuthStack::api_version(&()),
        "kind": AuthStack::kind(&()),
        // A stack that was deleted and created again has no share in this.
        "metadata": {"uid": stack.metadata.uid},
        "status": next,
    });
    let params = PatchParams::apply(OPERATOR).force();
    let written = match stacks
        .patch_status(&key.name, &params, &Patch::Apply(&body))
        .await
    {
        Ok(written) => written,
        // The stack is gone. A conflict is no such thing: another attempt writes.
        Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
        Err(error) => return Err(api("writing the status")(error)),
    };
    let uid = stack.metadata.uid.clone().unwrap_or_default();
    let reference = stack.object_ref(&());
    for event in events::transitions(previous, &next) {
        tracing::info!(
            reason = event.reason,
            note = event.note,
            "the stack's state changed"
        );
        if let Err(error) = context.recorder.publish(&event, &reference).await {
            // An event is a courtesy; the status says the same.
            tracing::warn!(%error, "an event could not be written");
        }
    }
    let version = written.resource_version().unwrap_or_default();
    context.statuses().insert(
        key,
        Stored {
            uid,
            version,
            status: next,
        },
    );
    Ok(())
}

/// Whether what the watch shows is not merely older than our last write but
/// another status that somebody wrote since.
fn is_overwritten(stack: &AuthStack, context: &Context, next: &AuthStackStatus) -> bool {
    let seen = stack.resource_version().unwrap_or_default();
    let is_newer = match context.statuses().get(&key(stack)) {
        Some(stored) => children::is_older(&stored.version, &seen),
        None => true,
    };
    is_newer && stack.status.as_ref() != Some(next)
}
