//! How many stacks there are, by condition: counted as the watch tells of them.

use std::collections::HashMap;

use authstack_crds::{AuthStackStatus, ConditionType};
use metrics::gauge;

use super::MANAGED_STACKS;
use crate::reconcile::children::StackKey;

/// The conditions that are counted.
const COUNTED: [ConditionType; 3] = [
    ConditionType::Ready,
    ConditionType::Reconciling,
    ConditionType::Stalled,
];
const STATUSES: [&str; 3] = ["True", "False", "Unknown"];

type Statuses = [&'static str; COUNTED.len()];

/// The stacks of one scope. When it is dropped they count no longer.
#[derive(Debug)]
pub struct Census {
    stacks: HashMap<StackKey, Statuses>,
}

impl Default for Census {
    /// No stack yet; every series is there.
    fn default() -> Self {
        for status in STATUSES {
            count([status; COUNTED.len()], 0.0);
        }
        Self {
            stacks: HashMap::new(),
        }
    }
}

impl Census {
    /// Takes note of a stack; one without a status is in unknown condition.
    pub fn note(&mut self, stack: StackKey, status: Option<&AuthStackStatus>) {
        let statuses = COUNTED.map(|of| {
            let condition = status.and_then(|status| status.condition(of));
            let found = condition.map(|condition| condition.status.as_str());
            let known = STATUSES.into_iter().find(|known| Some(*known) == found);
            known.unwrap_or("Unknown")
        });
        if let Some(before) = self.stacks.insert(stack, statuses) {
            count(before, -1.0);
        }
        count(statuses, 1.0);
    }

    /// Takes note that a stack is gone.
    pub fn remove(&mut self, stack: &StackKey) {
        if let Some(before) = self.stacks.remove(stack) {
            count(before, -1.0);
        }
    }

    /// The stacks that were noted.
    #[must_use]
    pub fn stacks(&self) -> Vec<StackKey> {
        self.stacks.keys().cloned().collect()
    }
}

impl Drop for Census {
    fn drop(&mut self) {
        for statuses in self.stacks.values() {
            count(*statuses, -1.0);
        }
    }
}

fn count(statuses: Statuses, by: f64) {
    for (of, status) in COUNTED.iter().zip(statuses) {
        let condition = of.to_string();
        gauge!(MANAGED_STACKS, "condition" => condition, "status" => status).increment(by);
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

    use super::*;

    fn status(ready: &str) -> AuthStackStatus {
        AuthStackStatus {
            conditions: vec![Condition {
                type_: ConditionType::Ready.to_string(),
                status: ready.to_owned(),
                reason: String::new(),
                message: String::new(),
                observed_generation: None,
                last_transition_time: Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH),
            }],
            ..AuthStackStatus::default()
        }
    }

    #[test]
    fn each_stack_counts_once_in_the_condition_that_it_is_in() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let counts = || -> Vec<f64> {
            let text = handle.render();
            let of = |status: &str| {
                format!("{MANAGED_STACKS}{{condition=\"Ready\",status=\"{status}\"}} ")
            };
            let value = |status: &str| {
                let (prefix, mut lines) = (of(status), text.lines());
                let found = lines.find_map(|line| line.strip_prefix(prefix.as_str()));
                found.unwrap().parse().unwrap()
            };
            STATUSES.map(value).into()
        };
        let key = |name: &str| StackKey {
            namespace: "space".to_owned(),
            name: name.to_owned(),
        };
        metrics::with_local_recorder(&recorder, || {
            let mut census = Census::default();
            assert_eq!(counts(), [0.0, 0.0, 0.0]);
            census.note(key("a"), None);
            census.note(key("b"), Some(&status("False")));
            assert_eq!(counts(), [0.0, 1.0, 1.0]);
            census.note(key("a"), Some(&status("True")));
            census.note(key("a"), Some(&status("True")));
            assert_eq!(counts(), [1.0, 1.0, 0.0]);
            census.remove(&key("b"));
            census.remove(&key("c"));
            assert_eq!(counts(), [1.0, 0.0, 0.0]);
            drop(census);
            assert_eq!(counts(), [0.0, 0.0, 0.0]);
        });
    }
}
