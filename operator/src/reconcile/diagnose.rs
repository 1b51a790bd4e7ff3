//! From pods, claims and events to the one sentence that a person needs.
//!
//! Messages are kept free of what changes from one attempt to the next, such
//! as back-off times: a status that is rewritten all the time says nothing.

use k8s_openapi::api::core::v1::{ContainerStatus, Event, PersistentVolumeClaim, Pod};
use kube::ResourceExt as _;

use super::inspect::Details;
use super::labels::COMPONENT;
use super::names::Component;

/// What holds a component back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// For programs.
    pub reason: &'static str,
    /// For people: what is wrong, where, and what to do.
    pub message: String,
    /// Whether it stays until somebody acts.
    pub stalled: bool,
}

/// What holds a component back, if its pods or its volume say so.
#[must_use]
pub fn diagnose(component: Component, details: &Details) -> Option<Cause> {
    let of_component = |pod: &&Pod| {
        pod.labels()
            .get(COMPONENT)
            .is_some_and(|is| is == component.as_str())
    };
    let pods: Vec<_> = details.pods.iter().filter(of_component).collect();
    let volume = || {
        (component == Component::Postgres)
            .then(|| volume(&details.claims, &details.events))
            .flatten()
    };
    let unmade = || {
        (component == Component::Postgres && pods.is_empty())
            .then(|| unmade(&details.events))
            .flatten()
    };
    let by_pods = |what: fn(&Pod, Component) -> Option<Cause>| {
        pods.iter().find_map(|pod| what(pod, component))
    };
    by_pods(image)
        .or_else(|| by_pods(config))
        .or_else(volume)
        .or_else(unmade)
        .or_else(|| by_pods(crash))
        .or_else(|| by_pods(schedule))
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let init = status.and_then(|status| status.init_container_statuses.as_ref());
    let main = status.and_then(|status| status.container_statuses.as_ref());
    init.into_iter().chain(main).flatten()
}

fn waiting(container: &ContainerStatus) -> Option<(&str, &str)> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    Some((
        waiting.reason.as_deref()?,
        waiting.message.as_deref().unwrap_or_default(),
    ))
}

/// An image that cannot be had.
fn image(pod: &Pod, component: Component) -> Option<Cause> {
    let pod_name = pod.name_any();
    containers(pod).find_map(|container| {
        let (reason, _) = waiting(container)?;
        let problem = match reason {
            "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" => "cannot be pulled",
            "InvalidImageName" => "is no valid image name",
            _ => return None,
        };
        let field = match component {
            Component::Postgres => "spec.postgres.managed.image",
            Component::Nginx => "spec.nginx.image",
            _ => "spec.api.image",
        };
        Some(Cause {
            reason: "ImagePullFailed",
            message: format!(
                "image {image} {problem} (pod {pod_name}, container {name}): correct {field}, or make the image available to the nodes",
                image = container.image,
                name = container.name,
            ),
            stalled: true,
        })
    })
}

/// A Secret or ConfigMap that a container needs and cannot have.
fn config(pod: &Pod, _: Component) -> Option<Cause> {
    let pod_name = pod.name_any();
    containers(pod).find_map(|container| {
        let (reason, message) = waiting(container)?;
        matches!(
            reason,
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError"
        )
        .then(|| Cause {
            reason: "ContainerConfigError",
            message: format!(
                "container {} of pod {pod_name} cannot start: {}",
                container.name,
                shorten(message)
            ),
            stalled: true,
        })
    })
}

/// A volume that nobody makes.
fn volume(claims: &[PersistentVolumeClaim], events: &[Event]) -> Option<Cause> {
    let pending = claims.iter().find(|claim| {
        let phase = claim
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        phase != Some("Bound")
    })?;
    let name = pending.name_any();
    let event = events
        .iter()
        .filter(|event| event.involved_object.uid == pending.metadata.uid)
        .filter(|event| {
            matches!(
                event.reason.as_deref(),
                Some("ProvisioningFailed" | "FailedBinding")
            )
        })
        .max_by_key(|event| event.last_timestamp.clone())?;
    let said = shorten(event.message.as_deref().unwrap_or_default());
    let class = pending
        .spec
        .as_ref()
        .and_then(|spec| spec.storage_class_name.as_deref());
    let (reason, advice) = match class {
        Some(class) if said.contains("not found") => (
            "StorageClassNotFound",
            format!("create the StorageClass {class}, or delete the AuthStack and its claim and name another in spec.postgres.managed.storage.storageClassName"),
        ),
        None => (
            "StorageClassNotFound",
            "mark a StorageClass as the cluster's default, or name one in spec.postgres.managed.storage.storageClassName".to_owned(),
        ),
        Some(class) => (
            "VolumePending",
            format!("look at what the StorageClass {class} needs"),
        ),
    };
    Some(Cause {
        reason,
        message: format!("PersistentVolumeClaim {name} gets no volume: {said}: {advice}"),
        stalled: true,
    })
}

/// A pod that the StatefulSet's controller may not make.
fn unmade(events: &[Event]) -> Option<Cause> {
    let event = events
        .iter()
        .filter(|event| event.reason.as_deref() == Some("FailedCreate"))
        .max_by_key(|event| event.last_timestamp.clone())?;
    Some(Cause {
        reason: "PodsRefused",
        message: format!(
            "the cluster refuses the pod: {}",
            shorten(event.message.as_deref().unwrap_or_default())
        ),
        stalled: true,
    })
}

/// A program that ends again and again. It may be waiting for something that
/// comes back, so it is no reason to call a human by itself.
fn crash(pod: &Pod, _: Component) -> Option<Cause> {
    let pod_name = pod.name_any();
    containers(pod).find_map(|container| {
        if waiting(container)?.0 != "CrashLoopBackOff" {
            return None;
        }
        let ended = container
            .last_state
            .as_ref()
            .and_then(|state| state.terminated.as_ref());
        let how = ended.map_or_else(String::new, |ended| {
            let said = shorten(ended.message.as_deref().unwrap_or_default());
            match (ended.reason.as_deref(), said.is_empty()) {
                (Some("OOMKilled"), _) => ": it needs more memory than its limit".to_owned(),
                (_, true) => format!(": exit code {}", ended.exit_code),
                (_, false) => format!(": exit code {}: {said}", ended.exit_code),
            }
        });
        Some(Cause {
            reason: "ContainerCrashing",
            message: format!(
                "container {} of pod {pod_name} keeps ending{how}",
                container.name
            ),
            stalled: false,
        })
    })
}

/// A pod that fits on no node. An autoscaler may be bringing one, so it does not
/// call for a human by itself.
fn schedule(pod: &Pod, _: Component) -> Option<Cause> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions.iter().find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    })?;
    Some(Cause {
        reason: "Unschedulable",
        message: format!(
            "no node takes pod {}: {}",
            pod.name_any(),
            shorten(condition.message.as_deref().unwrap_or_default())
        ),
        stalled: false,
    })
}

/// The last words of a long text, on one line: that is where the error stands.
fn shorten(text: &str) -> String {
    const MOST: usize = 400;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let count = line.chars().count();
    if count <= MOST {
        return line;
    }
    let tail: String = line.chars().skip(count - MOST).collect();
    format!("… {tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(yaml: &str) -> Pod {
        let head = "metadata: {name: shop-api-1, labels: {app.kubernetes.io/component: api}}\n";
        serde_yaml::from_str(&format!("{head}status: {yaml}")).unwrap()
    }

    fn of_pod(yaml: &str) -> Option<Cause> {
        let details = Details {
            pods: vec![pod(yaml)],
            ..Details::default()
        };
        diagnose(Component::Api, &details)
    }

    fn container(state: &str) -> String {
        format!(
            "{{containerStatuses: [{{name: api, image: 'x/api:1', imageID: '', ready: false, restartCount: 1, {state}}}]}}"
        )
    }

    #[test]
    fn an_image_that_cannot_be_pulled() {
        let first = of_pod(&container(
            "state: {waiting: {reason: ErrImagePull, message: a}}",
        ));
        let later = of_pod(&container(
            "state: {waiting: {reason: ImagePullBackOff, message: b}}",
        ));
        assert_eq!(first, later, "one problem is one message");
        let cause = first.unwrap();
        assert_eq!(cause.reason, "ImagePullFailed");
        assert!(cause.stalled);
        assert!(cause.message.contains("x/api:1"), "{}", cause.message);
        assert!(
            cause.message.contains("spec.api.image"),
            "{}",
            cause.message
        );
    }

    #[test]
    fn a_program_that_keeps_ending_says_its_last_words() {
        let cause = of_pod(&container(
            "state: {waiting: {reason: CrashLoopBackOff, message: wait}}, lastState: {terminated: {exitCode: 3, message: 'line one\n\n line two'}}",
        ))
        .unwrap();
        assert_eq!(cause.reason, "ContainerCrashing");
        assert!(
            cause.message.ends_with("exit code 3: line one line two"),
            "{}",
            cause.message
        );
        assert!(!cause.stalled, "the database may come back");
    }

    #[test]
    fn a_pod_that_fits_nowhere() {
        let cause = of_pod(
            "{conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, message: 0/1 nodes}]}",
        )
        .unwrap();
        assert_eq!(cause.reason, "Unschedulable");
    }

    #[test]
    fn a_pod_that_just_starts_is_no_cause() {
        assert_eq!(
            of_pod(&container("state: {waiting: {reason: PodInitializing}}")),
            None
        );
        assert_eq!(of_pod(&container("state: {running: {}}")), None);
        assert_eq!(of_pod("{}"), None);
    }

    #[test]
    fn another_component_s_pod_is_not_blamed() {
        let details = Details {
            pods: vec![pod(&container("state: {waiting: {reason: ErrImagePull}}"))],
            ..Details::default()
        };
        assert_eq!(diagnose(Component::Nginx, &details), None);
    }

    fn of_claim(class: &str, said: &str) -> Option<Cause> {
        let claim = format!(
            "metadata: {{name: data-shop-postgres-0, uid: u}}\nspec: {class}\nstatus: {{phase: Pending}}"
        );
        let event = format!(
            "metadata: {{}}\ninvolvedObject: {{uid: u}}\nreason: ProvisioningFailed\nmessage: '{said}'"
        );
        let details = Details {
            claims: vec![serde_yaml::from_str(&claim).unwrap()],
            events: vec![serde_yaml::from_str(&event).unwrap()],
            ..Details::default()
        };
        diagnose(Component::Postgres, &details)
    }

    #[test]
    fn a_volume_that_nobody_makes() {
        let named = "{storageClassName: fast}";
        let cause = of_claim(named, "storageclass \"fast\" not found").unwrap();
        assert_eq!(cause.reason, "StorageClassNotFound");
        assert!(
            cause.message.contains("create the StorageClass fast"),
            "{}",
            cause.message
        );
        assert_eq!(of_claim(named, "no space").unwrap().reason, "VolumePending");
        let none = of_claim("{}", "no storage class is set").unwrap();
        assert!(none.message.contains("default"), "{}", none.message);
    }

    #[test]
    fn long_words_keep_their_end() {
        let short = shorten(&format!("{}the error", "x ".repeat(1_000)));
        assert!(short.starts_with('…') && short.ends_with("the error"));
        assert!(short.chars().count() <= 402);
    }
}
