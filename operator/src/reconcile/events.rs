//! Events on the stack: one when it becomes ready, one when it stalls, and
//! nothing in between.

use authstack_crds::{AuthStackStatus, ConditionType};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType};

/// The events that a change of status is worth.
#[must_use]
pub fn transitions(previous: &AuthStackStatus, next: &AuthStackStatus) -> Vec<Event> {
    let mut events = Vec::new();
    let changed = |of: ConditionType| {
        let (before, after) = (previous.condition(of), next.condition(of)?);
        let same = before.is_some_and(|before| {
            before.status == after.status
                && (before.status == "False" || before.reason == after.reason)
        });
        (!same && after.status == "True").then_some(after)
    };
    if let Some(ready) = changed(ConditionType::Ready) {
        events.push(event(EventType::Normal, ready));
    }
    if let Some(stalled) = changed(ConditionType::Stalled) {
        events.push(event(EventType::Warning, stalled));
    }
    events
}

fn event(type_: EventType, condition: &Condition) -> Event {
    // The API takes at most 1 kB.
    let note: String = condition.message.chars().take(900).collect();
    Event {
        type_,
        reason: condition.reason.clone(),
        note: Some(note),
        action: "Reconcile".to_owned(),
        secondary: None,
    }
}
