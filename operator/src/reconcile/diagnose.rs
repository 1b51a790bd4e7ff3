//! From pods, claims and events to the one sentence that a person needs.
//!
//! Messages are kept free of what changes from one attempt to the next, such
//! as back-off times: a status that is rewritten all the time says nothing.

use k8s_openapi::api::core::v1::{
    ContainerStateTerminated, ContainerStatus, Event, PersistentVolumeClaim, Pod,
};
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
    let pods: Vec<_> = of_component(component, details).collect();
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

/// The pods of a component.
pub(super) fn of_component(component: Component, details: &Details) -> impl Iterator<Item = &Pod> {
    details.pods.iter().filter(move |pod| {
        pod.labels()
            .get(COMPONENT)
            .is_some_and(|is| is == component.as_str())
    })
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
        let (reason, message) = waiting(container)?;
        let problem = match reason {
            "ErrImagePull"
            | "ImagePullBackOff"
            | "ErrImageNeverPull"
            | "ImageInspectError"
            | "RegistryUnavailable"
            | "SignatureValidationFailed" => "cannot be pulled",
            "InvalidImageName" => "is no valid image name",
            _ => return None,
        };
        let why = match pull_failure(message) {
            Some(why) => format!(": {}", shorten(why)),
            None => String::new(),
        };
        let field = match component {
            Component::Postgres => "spec.postgres.managed.image",
            Component::Nginx => "spec.nginx.image",
            _ => "spec.api.image",
        };
        Some(Cause {
            reason: "ImagePullFailed",
            message: format!(
                "image {image} {problem} (pod {pod_name}, container {name}){why}: correct {field}, or make the image available to the nodes",
                image = container.image,
                name = container.name,
            ),
            stalled: true,
        })
    })
}

/// What the kubelet says of a failed pull. Between two attempts it says that it
/// waits, and then, since Kubernetes 1.32, the same words again.
fn pull_failure(message: &str) -> Option<&str> {
    let said = match message.strip_prefix("Back-off pulling image ") {
        Some(waits) => waits.split_once("\": ")?.1,
        None => message,
    };
    let said = said.strip_prefix("ErrImagePull: ").unwrap_or(said);
    Some(said).filter(|said| !said.is_empty())
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
        let how = ended.map_or_else(String::new, how_it_ended);
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

/// How a container ended last: its exit code, what the node calls it, and its
/// last words.
fn how_it_ended(ended: &ContainerStateTerminated) -> String {
    let code = ended.exit_code;
    let how = match &ended.reason {
        Some(reason) => format!(": exit code {code} ({reason})"),
        None => format!(": exit code {code}"),
    };
    if ended.reason.as_deref() == Some("OOMKilled") {
        return how + ": it needs more memory than its limit";
    }
    match shorten(ended.message.as_deref().unwrap_or_default()) {
        said if said.is_empty() => how,
        said => format!("{how}: {said}"),
    }
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
mod tests;
