//! The API server of these tests, and requests as kubectl sends them.

use std::time::Duration;

use authstack_crds::{AuthStack, crd};
use k8s_openapi::{
    api::core::v1::Namespace,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Client, Config, ResourceExt as _,
    api::{Api, DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// Each test has a runtime and so a client of its own; the definition is
/// applied once.
static APPLIED: OnceCell<()> = OnceCell::const_new();

/// A client of the cluster that `KUBECONFIG` names, which has the definition.
/// Nothing else is looked at: a test must not end up in a cluster that
/// somebody's `~/.kube/config` happens to name.
pub(crate) async fn client() -> Client {
    assert!(
        std::env::var_os("KUBECONFIG").is_some_and(|path| !path.is_empty()),
        "these tests need an API server: set KUBECONFIG, or run `make test`, or \
         `testbed/testbed up 0` and then `eval \"$(testbed/testbed env)\"`"
    );
    let config = Config::from_kubeconfig(&kube::config::KubeConfigOptions::default())
        .await
        .expect("KUBECONFIG must name a readable kubeconfig");
    let client = Client::try_from(config).unwrap();
    APPLIED.get_or_init(|| apply_definition(&client)).await;
    client
}

async fn apply_definition(client: &Client) {
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    let definition = crd();
    let name = definition.name_any();
    let before = definitions
        .get_opt(&name)
        .await
        .expect("the API server must answer");
    let params = PatchParams::apply("authstack-tests").force();
    let after = definitions
        .patch(&name, &params, &Patch::Apply(&definition))
        .await
        .expect("the API server must take the definition");
    for _ in 0..200 {
        let status = definitions.get(&name).await.unwrap().status;
        let conditions = status
            .and_then(|status| status.conditions)
            .unwrap_or_default();
        if conditions
            .iter()
            .any(|one| one.type_ == "Established" && one.status == "True")
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    if before.and_then(|before| before.metadata.generation) != after.metadata.generation {
        // Nothing tells when the server has begun to serve a changed schema.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// A manifest.
pub(crate) fn manifest(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "auth.dataviv.com/v1alpha1",
        "kind": "AuthStack",
        "metadata": {"name": name},
        "spec": spec,
    })
}

/// Sends a manifest as `kubectl apply --dry-run=server` does for an object
/// that is not there: all checks, strict about unknown fields, and no object.
/// The answer is the object as it would be stored, or the refusal.
pub(crate) async fn check(client: &Client, manifest: &Value) -> Result<Value, String> {
    let url = "/apis/auth.dataviv.com/v1alpha1/namespaces/default/authstacks\
               ?dryRun=All&fieldValidation=Strict";
    let request = http::Request::post(url)
        .header("content-type", "application/json")
        .body(serde_json::to_vec(manifest).unwrap())
        .unwrap();
    refusal(client.request(request).await)
}

/// Turns a refusal into its message; any other failure fails the test.
pub(crate) fn refusal<T>(answer: Result<T, kube::Error>) -> Result<T, String> {
    answer.map_err(|error| match error {
        kube::Error::Api(status) if status.code == 422 || status.code == 400 => {
            status.message.clone()
        }
        other => panic!("not a refusal: {other}"),
    })
}

/// Runs a test in a namespace of its own, which is gone afterwards, also when
/// the test fails.
pub(crate) async fn in_namespace<F>(test: impl FnOnce(Api<AuthStack>) -> F)
where
    F: Future<Output = ()>,
{
    use futures::FutureExt as _;
    let client = client().await;
    let namespaces = Api::<Namespace>::all(client.clone());
    let mut namespace = Namespace::default();
    namespace.metadata.generate_name = Some("schema-".to_owned());
    let created = namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap();
    let name = created.name_any();
    let stacks = Api::namespaced(client, &name);
    let outcome = std::panic::AssertUnwindSafe(test(stacks))
        .catch_unwind()
        .await;
    let _ = namespaces.delete(&name, &DeleteParams::default()).await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// Creates a stack.
pub(crate) async fn create(stacks: &Api<AuthStack>, name: &str, spec: &Value) -> AuthStack {
    let stack = serde_json::from_value(manifest(name, spec)).unwrap();
    stacks.create(&PostParams::default(), &stack).await.unwrap()
}
