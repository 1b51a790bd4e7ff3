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
use super::observe::Observed;

/// What a reconcile came to.
pub struct Verdict<'a> {
    /// The generation that was looked at.
    pub generation: i64,
    /// The manifest's version.
    pub version: &'a str,
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
    let conditions = conditions(verdict);
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
fn conditions(verdict: &Verdict<'_>) -> Vec<Row> {
    let observed = verdict.observed;
    let problem = problem(verdict);
    let stalled = match (&problem, verdict.error) {
        (_, Some(error)) => !error.is_retryable(),
        (Some(_), None) => observed
            .findings()
            .iter()
            .any(|(_, finding)| finding.stalled),
        (None, None) => false,
    };
    let (ready, reason, message) = match &problem {
        None => (
            true,
            "Ready",
            format!("generation {} is fully rolled out", verdict.generation),
        ),
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
            "Idle",
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

/// What keeps the stack from being ready: the error, else what stays until
/// somebody acts, else the first part that is not there yet.
fn problem(verdict: &Verdict<'_>) -> Option<(&'static str, String)> {
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
    first(|finding| finding.stalled).or_else(|| first(|finding| finding.ready != Some(true)))
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
