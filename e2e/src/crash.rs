//! Ends a program as a crash does: no signal that it could answer, no time to
//! say goodbye. Deleting its pod is no such thing, not even without grace: it
//! still gets SIGTERM and two seconds.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, LogParams, PostParams};
use serde_json::json;

use crate::{PATIENCE, Site};

/// Where pods may see their node's processes; the tests' own namespaces let
/// only restricted pods in.
const NAMESPACE: &str = "default";

/// Kills (SIGKILL) the containers of a pod that run `program`. Only the node
/// can: from within, the first process of a container is immune. `image` is one
/// that the node has, with a shell in it.
pub async fn crash(site: &Site, victim: &Pod, program: &str, image: &str) {
    let uid = victim.metadata.uid.as_deref().unwrap();
    // One of the two spellings, by the kubelet's cgroup driver. The kernel
    // keeps 15 characters of a program's name.
    let (pod, name) = (uid.replace('-', "[-_]"), &program[..program.len().min(15)]);
    let script = format!(
        r#"for process in /proc/[0-9]*; do
             if [ "$(cat $process/comm)" = {name} ] && grep -q "pod{pod}" $process/cgroup; then
               kill -KILL "${{process#/proc/}}" && echo killed
             fi
           done 2>/dev/null"#
    );
    let killer: Pod = serde_json::from_value(json!({
        "metadata": {"name": format!("{}-killer", site.namespace)},
        "spec": {
            "hostPID": true,
            "restartPolicy": "Never",
            "nodeName": victim.spec.as_ref().and_then(|spec| spec.node_name.as_ref()),
            "containers": [{
                "name": "killer",
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "command": ["sh", "-c", script],
                "securityContext": {"runAsUser": 0},
            }],
        },
    }))
    .unwrap();
    let pods: Api<Pod> = Api::namespaced(site.client.clone(), NAMESPACE);
    let killer = pods
        .create(&PostParams::default(), &killer)
        .await
        .unwrap()
        .name_any();
    let ended = async || {
        let status = pods.get(&killer).await.unwrap().status.unwrap_or_default();
        let phase = status.phase.unwrap_or_default();
        ["Succeeded", "Failed"]
            .contains(&phase.as_str())
            .then_some(())
    };
    let waiting = async {
        while ended().await.is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        pods.logs(&killer, &LogParams::default()).await
    };
    let log = tokio::time::timeout(PATIENCE, waiting).await;
    let at_once = DeleteParams::default().grace_period(0);
    pods.delete(&killer, &at_once).await.unwrap();
    let log = log.expect("the killer must end").unwrap();
    assert!(log.contains("killed"), "{program} was not found: {log}");
}
