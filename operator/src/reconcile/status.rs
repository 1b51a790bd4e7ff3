//! The status of a stack: a pure fold of what was observed, and the one place
//! that writes it.
//!
//! The rules of [kstatus] hold: `Reconciling` while work is in progress,
//! `Stalled` when nothing moves until somebody acts, and `observedGeneration`
//! only when this generation was looked at.
//!
//! [kstatus]: https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use authstack_crds::{AuthStackStatus, BindingStatus, ConditionType};

use super::error::Error;
use super::finding::Finding;
use super::labels;
use super::names::{Component, Names};
use super::observe::{Observed, STOPPED, STOPPING};

/// The reason of a stack that is left as it is.
const PAUSED: &str = "Paused";

/// What a reconcile came to.
pub struct Verdict<'a> {
    /// The generation that was looked at.
    pub generation: i64,
    /// The manifest's version.
    pub version: &'a str,
    /// A digest of the manifest, `paused` apart.
    pub spec: &'a str,
    /// Whether the children are left as they are.
    pub paused: bool,
    /// Whether nothing is to run.
    pub stopped: bool,
    /// The stack's names, if it has any.
    pub names: Option<&'a Names>,
    /// Where clients reach it, if the manifest could be read that far.
    pub url: Option<&'a str>,
    /// What was seen.
    pub observed: &'a Observed,
    /// What kept the children from being applied, if anything did.
    pub error: Option<&'a Error>,
}

/// The status that follows from a verdict.
#[must_use]
pub fn status(
    previous: &AuthStackStatus,
    verdict: &Verdict<'_>,
    now: Timestamp,
) -> AuthStackStatus {
    let waiting = waits(previous, verdict);
    let conditions = conditions(verdict, waiting);
    let is_ready = conditions
        .first()
        .is_some_and(|(_, is, _, _)| *is == Some(true));
    let pods = verdict.observed.api_pods;
    AuthStackStatus {
        observed_generation: Some(verdict.generation),
        conditions: conditions
            .into_iter()
            .map(|(of, is, reason, message)| {
                condition(
                    previous.condition(of),
                    of,
                    is,
                    reason,
                    message,
                    verdict.generation,
                    now,
                )
            })
            .collect(),
        applied_spec: applied_spec(previous, verdict),
        url: verdict
            .url
            .map(ToOwned::to_owned)
            .or_else(|| previous.url.clone()),
        version: if is_ready {
            Some(verdict.version.to_owned())
        } else {
            previous.version.clone()
        },
        replicas: pods.map(|pods| pods.existing),
        ready_replicas: pods.map(|pods| pods.ready),
        api_replicas: pods.map(|pods| format!("{}/{}", pods.ready, pods.wanted)),
        selector: verdict
            .names
            .map(|names| labels::selector_string(&names.stack, Component::Api)),
        binding: verdict
            .names
            .filter(|_| verdict.observed.binding)
            .map(|names| BindingStatus {
                name: names.binding(),
            }),
        certificates: verdict
            .observed
            .certificates
            .clone()
            .unwrap_or_else(|| previous.certificates.clone()),
    }
}

/// Whether this manifest is held back by `paused`.
fn waits(previous: &AuthStackStatus, verdict: &Verdict<'_>) -> bool {
    verdict.paused && previous.applied_spec.as_deref() != Some(verdict.spec)
}

/// The manifest whose children are in the cluster, all of them.
fn applied_spec(previous: &AuthStackStatus, verdict: &Verdict<'_>) -> Option<String> {
    if verdict.paused || verdict.error.is_some() {
        return previous.applied_spec.clone();
    }
    (!verdict.observed.has_refusal()).then(|| verdict.spec.to_owned())
}

/// The status while the API server cannot be relied on: what was true stays,
/// and work is in progress. The generation stays the one that was looked at.
#[must_use]
pub fn interrupted(previous: &AuthStackStatus, error: &Error, now: Timestamp) -> AuthStackStatus {
    let mut next = previous.clone();
    let of = ConditionType::Reconciling;
    let generation = previous.observed_generation.unwrap_or_default();
    let message = error.to_string();
    let before = previous.condition(of);
    let reconciling = condition(
        before,
        of,
        Some(true),
        error.reason(),
        message,
        generation,
        now,
    );
    let name = of.to_string();
    match next
        .conditions
        .iter_mut()
        .find(|condition| condition.type_ == name)
    {
        Some(condition) => *condition = reconciling,
        None => next.conditions.push(reconciling),
    }
    next
}

type Row = (ConditionType, Option<bool>, &'static str, String);

/// Every condition, `Ready` first.
fn conditions(verdict: &Verdict<'_>, waiting: bool) -> Vec<Row> {
    let observed = verdict.observed;
    let problem = problem(verdict, waiting);
    let stalled = match (&problem, verdict.error) {
        (_, Some(error)) => !error.is_retryable(),
        (Some(_), None) => observed
            .findings()
            .iter()
            .any(|(_, finding)| finding.stalled),
        (None, None) => false,
    };
    let (ready, reason, message) = match &problem {
        None => ready(verdict),
        Some((reason, message)) => (false, *reason, message.clone()),
    };
    let mut rows = vec![(ConditionType::Ready, Some(ready), reason, message.clone())];
    for (of, finding) in observed.findings() {
        rows.push((of, finding.ready, finding.reason, finding.message.clone()));
    }
    rows.push(if observed.serving {
        (
            ConditionType::Available,
            Some(true),
            "Serving",
            "clients are served".to_owned(),
        )
    } else {
        (
            ConditionType::Available,
            Some(false),
            reason,
            message.clone(),
        )
    });
    rows.push(if problem.is_some() && !stalled {
        (
            ConditionType::Reconciling,
            Some(true),
            reason,
            message.clone(),
        )
    } else {
        (
            ConditionType::Reconciling,
            Some(false),
            if verdict.paused { PAUSED } else { "Idle" },
            "nothing is in progress".to_owned(),
        )
    });
    rows.push(if stalled {
        (ConditionType::Stalled, Some(true), reason, message)
    } else {
        (
            ConditionType::Stalled,
            Some(false),
            "NoProblem",
            "nothing waits for a human".to_owned(),
        )
    });
    rows
}

/// What a stack says of itself that is as it is to be.
fn ready(verdict: &Verdict<'_>) -> (bool, &'static str, String) {
    let generation = verdict.generation;
    if verdict.observed.is_stopped() {
        let message = "no pod is left and the data is kept: set spec.stopped to false to go on";
        (true, STOPPED, message.to_owned())
    } else if verdict.paused {
        let message = "fully rolled out, and left as it is until spec.paused is false";
        (true, PAUSED, message.to_owned())
    } else {
        let message = format!("generation {generation} is fully rolled out");
        (true, "Ready", message)
    }
}

/// What keeps the stack from being ready: the error, else what stays until
/// somebody acts, else that it is paused and has changes waiting, else the first
/// part that is not there yet.
fn problem(verdict: &Verdict<'_>, waiting: bool) -> Option<(&'static str, String)> {
    if let Some(error) = verdict.error {
        return Some((error.reason(), error.to_string()));
    }
    let findings = verdict.observed.findings();
    let first = |wanted: fn(&Finding) -> bool| {
        findings
            .iter()
            .map(|(_, finding)| *finding)
            .find(|finding| wanted(finding))
            .map(|finding| (finding.reason, finding.message.clone()))
    };
    let waiting = || {
        let message = "spec.paused holds this generation back: set it to false to apply it; until then the objects are left as they are";
        waiting.then(|| (PAUSED, message.to_owned()))
    };
    let stopping = || {
        let message = "the stack is being stopped from the outside in, and the API or the database still runs";
        let still = verdict.stopped && !verdict.observed.is_stopped();
        still.then(|| (STOPPING, message.to_owned()))
    };
    first(|finding| finding.stalled)
        .or_else(waiting)
        .or_else(|| first(|finding| finding.ready != Some(true)))
        .or_else(stopping)
}

/// A condition whose time moves only when its status does.
fn condition(
    previous: Option<&Condition>,
    of: ConditionType,
    is: Option<bool>,
    reason: &'static str,
    message: String,
    generation: i64,
    now: Timestamp,
) -> Condition {
    let status = match is {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    let last_transition_time = match previous {
        Some(previous) if previous.status == status => previous.last_transition_time.clone(),
        // To the second, which is what the API keeps.
        _ => Time(Timestamp::from_second(now.as_second()).unwrap_or(now)),
    };
    Condition {
        type_: of.to_string(),
        status: status.to_owned(),
        observed_generation: Some(generation),
        last_transition_time,
        reason: reason.to_owned(),
        message,
    }
}

#[cfg(test)]
mod tests;
