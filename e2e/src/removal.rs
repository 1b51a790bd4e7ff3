//! The end of a test's namespace.

use std::time::Duration;

use authstack_crds::AuthStack;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolume, Pod};
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams};

use crate::cluster::cluster;

/// Removes a namespace and what its claims held, and waits until both are gone:
/// the next test is to find the cluster at rest.
pub(crate) async fn remove(namespace: &str) {
    let client = cluster().await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let is_ours = |volume: &PersistentVolume| {
        let claim = volume
            .spec
            .as_ref()
            .and_then(|spec| spec.claim_ref.as_ref());
        claim.is_some_and(|claim| claim.namespace.as_deref() == Some(namespace))
    };
    let removing = async {
        end_pods(&client, namespace).await;
        let params = DeleteParams::background();
        namespaces.delete(namespace, &params).await.unwrap();
        loop {
            let left = volumes.list(&ListParams::default()).await.unwrap();
            let emptied = !left.items.iter().any(is_ours);
            if emptied && namespaces.get_opt(namespace).await.unwrap().is_none() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let limit = Duration::from_mins(4);
    let waited = tokio::time::timeout(limit, removing).await;
    assert!(
        waited.is_ok(),
        "namespace {namespace} or its volumes are still there after {limit:?}"
    );
}

/// Deletes the stacks and waits for their pods. Whoever deletes a namespace with
/// pods in it waits for half their grace period, however soon they end.
async fn end_pods(client: &Client, namespace: &str) {
    let everything = ListParams::default();
    let stacks: Api<AuthStack> = Api::namespaced(client.clone(), namespace);
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let params = DeleteParams::background();
    stacks
        .delete_collection(&params, &everything)
        .await
        .unwrap();
    let ending = async {
        while !pods.list(&everything).await.unwrap().items.is_empty() {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    // If they stay, they are the namespace's matter.
    let _ = tokio::time::timeout(Duration::from_mins(1), ending).await;
}
