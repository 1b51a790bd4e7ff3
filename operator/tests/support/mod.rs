//! What tests on a real API server share.

#![allow(dead_code, reason = "each test takes what it needs")]

pub(crate) mod account;
pub(crate) mod requests;

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt as _;
use k8s_openapi::{
    api::{core::v1::Namespace, storage::v1::StorageClass},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Client, Config, ResourceExt as _,
    api::{Api, DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

/// The cluster that `KUBECONFIG` names. Nothing else is looked at: a test must
/// not end up in a cluster that somebody's `~/.kube/config` happens to name.
pub(crate) async fn config() -> Config {
    assert!(
        std::env::var_os("KUBECONFIG").is_some_and(|path| !path.is_empty()),
        "these tests need an API server: set KUBECONFIG, or run `make test`, or \
         `testbed/testbed up 0` and then `eval \"$(testbed/testbed env)\"`"
    );
    Config::from_kubeconfig(&kube::config::KubeConfigOptions::default())
        .await
        .expect("KUBECONFIG must name a readable kubeconfig")
}

/// Makes sure that the API server knows AuthStacks as this build defines them.
pub(crate) async fn define(config: &Config) {
    let client = Client::try_from(config.clone()).unwrap();
    let definitions = Api::<CustomResourceDefinition>::all(client);
    let definition = authstack_crds::crd();
    let name = definition.name_any();
    let params = PatchParams::apply("authstack-tests").force();
    definitions
        .patch(&name, &params, &Patch::Apply(&definition))
        .await
        .unwrap();
    eventually(
        "the definition is established",
        Duration::from_secs(10),
        async || {
            let status = definitions.get(&name).await.unwrap().status;
            let conditions = status.and_then(|status| status.conditions);
            let is_established =
                |kind: &str, status: &str| kind == "Established" && status == "True";
            conditions
                .into_iter()
                .flatten()
                .any(|one| is_established(&one.type_, &one.status))
        },
    )
    .await;
}

/// A default StorageClass, without which no claim is as it is on a cluster that
/// people use; it waits for a pod that is never scheduled.
pub(crate) async fn default_storage_class(config: &Config) {
    let class = json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "default",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    });
    let classes = Api::<StorageClass>::all(Client::try_from(config.clone()).unwrap());
    let params = PatchParams::apply("tests").force();
    classes
        .patch("default", &params, &Patch::Apply(&class))
        .await
        .unwrap();
}

/// Runs a test in a namespace of its own, which is gone afterwards, also when
/// the test fails.
pub(crate) async fn in_namespace<F>(prefix: &str, test: impl FnOnce(Config, String) -> F)
where
    F: Future<Output = ()>,
{
    let config = config().await;
    let client = Client::try_from(config.clone()).unwrap();
    let namespaces = Api::<Namespace>::all(client);
    let mut namespace = Namespace::default();
    namespace.metadata.generate_name = Some(format!("{prefix}-"));
    let created = namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .expect("the API server must answer and allow namespaces");
    let name = created.metadata.name.unwrap();

    // On the heap: a test's future is large.
    let test = Box::pin(test(config, name.clone()));
    let outcome = AssertUnwindSafe(test).catch_unwind().await;
    let _ = namespaces.delete(&name, &DeleteParams::default()).await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// Waits until something holds, at most `limit`.
pub(crate) async fn eventually<F>(what: &str, limit: Duration, mut holds: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(limit, waiting).await;
    assert!(waited.is_ok(), "not within {limit:?}: {what}");
}
