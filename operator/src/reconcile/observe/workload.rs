//! Pods, as their workload's controller counts them and as they are seen.

use super::{STOPPED, STOPPING, rollout};
use crate::reconcile::children::{Live, Rollout};
use crate::reconcile::diagnose::{diagnose, of_component};
use crate::reconcile::finding::Finding;
use crate::reconcile::inspect::Details;
use crate::reconcile::names::Component;

/// Not rolled out, or stopped: only the pods themselves tell that none is left.
pub(super) fn is_worth_a_look(rollout: &Rollout) -> bool {
    rollout.wanted == 0 || !rollout.is_complete()
}

/// What is true of a part's pods.
pub(super) fn workload(component: Component, live: Option<&Live>, details: &Details) -> Finding {
    let noun = match component {
        Component::Postgres => "PostgreSQL",
        Component::Nginx => "nginx",
        _ => "the API",
    };
    let Some(rollout) = live.and_then(rollout) else {
        return Finding::unknown("Unknown", format!("{noun} has not been seen yet"));
    };
    if rollout.wanted == 0 {
        return stopped(noun, pods_left(component, rollout, details));
    }
    if rollout.is_complete() {
        let message = match (component, rollout.wanted) {
            (Component::Postgres, _) => "PostgreSQL accepts connections".to_owned(),
            (_, 1) => format!("1 pod of {noun} is ready"),
            (_, wanted) => format!("{wanted} pods of {noun} are ready"),
        };
        return Finding::ready("Ready", message);
    }
    if let Some(cause) = diagnose(component, details) {
        return cause.into();
    }
    if let Some(failure) = &rollout.failure {
        return Finding::stalled(
            "PodsRefused",
            format!("the cluster refuses pods of {noun}: {failure}"),
        );
    }
    Finding::not_ready("Progressing", progress(noun, rollout))
}

/// A part of which no pod is wanted.
fn stopped(noun: &str, left: usize) -> Finding {
    match left {
        0 => Finding::ready(STOPPED, format!("{noun} is stopped: no pod is left")),
        1 => Finding::not_ready(STOPPING, format!("1 pod of {noun} is being stopped")),
        _ => Finding::not_ready(STOPPING, format!("{left} pods of {noun} are being stopped")),
    }
}

/// Pods of a stopped part, those included that its controller no longer counts.
fn pods_left(component: Component, rollout: &Rollout, details: &Details) -> usize {
    let counted = rollout.existing.saturating_add(rollout.stopping);
    let counted = if rollout.current {
        counted
    } else {
        counted.max(1)
    };
    let seen = of_component(component, details).count();
    usize::try_from(counted).unwrap_or_default().max(seen)
}

fn progress(noun: &str, rollout: &Rollout) -> String {
    let Rollout {
        current,
        wanted,
        existing,
        updated,
        ready,
        stopping: _,
        failure: _,
    } = rollout;
    if !current {
        format!("the rollout of {noun} begins")
    } else if updated < wanted {
        format!("{updated} of {wanted} pods of {noun} are at the newest configuration")
    } else if ready < wanted {
        format!("{ready} of {wanted} pods of {noun} are ready")
    } else {
        format!("{} old pods of {noun} are being stopped", existing - wanted)
    }
}
