//! What a person wants to see when a wait was in vain.

use authstack_crds::AuthStack;
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};

/// Conditions, pods and the last warnings of a namespace.
pub(crate) async fn report(client: &Client, namespace: &str) -> String {
    let everything = ListParams::default();
    let mut lines = Vec::new();
    let stacks: Api<AuthStack> = Api::namespaced(client.clone(), namespace);
    for stack in stacks.list(&everything).await.into_iter().flatten() {
        let generation = stack.metadata.generation.unwrap_or_default();
        lines.push(format!(
            "AuthStack {}, generation {generation}",
            stack.name_any()
        ));
        for is in stack.status.iter().flat_map(|status| &status.conditions) {
            lines.push(format!(
                "  {}={} {} ({}): {}",
                is.type_,
                is.status,
                is.reason,
                is.observed_generation.unwrap_or_default(),
                is.message
            ));
        }
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    for found in pods.list(&everything).await.into_iter().flatten() {
        lines.push(pod(&found));
    }
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let warnings = events
        .list(&ListParams::default().fields("type=Warning"))
        .await
        .map_or_else(|_| Vec::new(), |list| list.items);
    for event in warnings.iter().rev().take(10) {
        lines.push(format!(
            "Warning about {} {}: {}: {}",
            event.involved_object.kind.as_deref().unwrap_or_default(),
            event.involved_object.name.as_deref().unwrap_or_default(),
            event.reason.as_deref().unwrap_or_default(),
            event.message.as_deref().unwrap_or_default(),
        ));
    }
    lines.join("\n")
}

fn pod(pod: &Pod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    let init = status.init_container_statuses.into_iter().flatten();
    let main = status.container_statuses.into_iter().flatten();
    let containers: Vec<_> = init.chain(main).map(|one| container(&one)).collect();
    let going = pod.metadata.deletion_timestamp.is_some();
    format!(
        "Pod {} {}{}: {}",
        pod.name_any(),
        status.phase.unwrap_or_default(),
        if going { ", going" } else { "" },
        containers.join("; ")
    )
}

fn container(container: &ContainerStatus) -> String {
    let state = container.state.as_ref();
    let waiting = state.and_then(|state| state.waiting.as_ref());
    let ended = state.and_then(|state| state.terminated.as_ref());
    let what = match (waiting, ended) {
        (Some(waiting), _) => waiting.reason.clone().unwrap_or_default(),
        (_, Some(ended)) => format!("ended with {}", ended.exit_code),
        _ if container.ready => "ready".to_owned(),
        _ => "not ready".to_owned(),
    };
    format!(
        "{} {what}, {} restarts",
        container.name, container.restart_count
    )
}
