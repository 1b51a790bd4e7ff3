//! Taking a node out of service, as `kubectl drain` does.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, EvictParams, ListParams};
use kube::{Client, ResourceExt as _};
use tokio::task::JoinSet;

use crate::PATIENCE;
use crate::cluster::cluster;

/// How long until an eviction that a budget refused is asked for again:
/// `kubectl`'s own pause.
const AGAIN: Duration = Duration::from_secs(5);

/// A node on which nothing may start. It is given back at the end at the latest,
/// also when the test fails.
pub struct Cordoned {
    /// The node's name.
    pub name: String,
    client: Client,
}

/// The nodes that pods may be put on.
pub async fn open_nodes(client: &Client) -> Vec<String> {
    let nodes: Api<Node> = Api::all(client.clone());
    let mut all = nodes.list(&ListParams::default()).await.unwrap().items;
    all.retain(|node| {
        let spec = node.spec.clone().unwrap_or_default();
        spec.unschedulable != Some(true) && spec.taints.unwrap_or_default().is_empty()
    });
    all.iter().map(kube::ResourceExt::name_any).collect()
}

impl Cordoned {
    /// Lets nothing more start on a node.
    pub async fn new(client: &Client, name: &str) -> Self {
        let nodes: Api<Node> = Api::all(client.clone());
        nodes.cordon(name).await.unwrap();
        Self {
            name: name.to_owned(),
            client: client.clone(),
        }
    }

    /// Evicts all its pods but those of `DaemonSets`, as their budgets allow,
    /// and waits until they are gone. Says how many there were.
    pub async fn drain(&self) -> usize {
        let everywhere: Api<Pod> = Api::all(self.client.clone());
        let here = ListParams::default().fields(&format!("spec.nodeName={}", self.name));
        let mut pods = everywhere.list(&here).await.unwrap().items;
        pods.retain(is_evicted);
        let count = pods.len();
        let mut evictions = JoinSet::new();
        for pod in pods {
            evictions.spawn(evict(self.client.clone(), pod));
        }
        let evicted = tokio::time::timeout(PATIENCE, evictions.join_all()).await;
        assert!(evicted.is_ok(), "{} is not empty yet", self.name);
        count
    }

    /// Gives the node back.
    pub async fn uncordon(&self) {
        let nodes: Api<Node> = Api::all(self.client.clone());
        nodes.uncordon(&self.name).await.unwrap();
    }
}

impl Drop for Cordoned {
    fn drop(&mut self) {
        let name = self.name.clone();
        // Like a site's end: here it may be in the middle of a panic.
        let release = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let nodes: Api<Node> = Api::all(cluster().await);
                nodes.uncordon(&name).await.unwrap();
            });
        });
        let _ = release.join();
    }
}

/// Not what its node's kubelet or a `DaemonSet` would put there again.
fn is_evicted(pod: &Pod) -> bool {
    let of_the_node = pod
        .annotations()
        .contains_key("kubernetes.io/config.mirror");
    let mut owners = pod.owner_references().iter();
    !of_the_node && !owners.any(|owner| owner.kind == "DaemonSet")
}

async fn evict(client: Client, pod: Pod) {
    let (name, uid) = (pod.name_any(), pod.uid());
    let pods: Api<Pod> = Api::namespaced(client, &pod.namespace().unwrap());
    loop {
        match pods.evict(&name, &EvictParams::default()).await {
            Ok(_) => break,
            Err(kube::Error::Api(refusal)) if refusal.is_not_found() => return,
            // A budget says no for now.
            Err(kube::Error::Api(refusal)) if refusal.code == 429 => {
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => panic!("{name}: {error}"),
        }
    }
    // A StatefulSet makes another one of the same name.
    while pods
        .get_opt(&name)
        .await
        .unwrap()
        .is_some_and(|pod| pod.uid() == uid)
    {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// How many of these pods are on which node.
pub fn by_node(pods: &[Pod]) -> BTreeMap<String, usize> {
    let mut nodes = BTreeMap::new();
    for pod in pods {
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
        *nodes.entry(node.unwrap_or_default()).or_default() += 1;
    }
    nodes
}
