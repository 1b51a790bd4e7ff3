//! A namespace of a test's own.

use std::fmt::Debug;
use std::time::Duration;

use authstack_crds::{AuthStack, ConditionType};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::api::{
    Api, AttachParams, DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams,
};
use kube::{Client, Resource, ResourceExt as _};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::cluster::{self, Permit, cluster};
use crate::gateway::Gateway;
use crate::removal;
use crate::report::report;
use crate::{PATIENCE, forward};

/// A namespace of a test's own, in which only `restricted` pods may run. It is
/// removed at the end, with its volumes, also when the test fails.
pub struct Site {
    /// The cluster.
    pub client: Client,
    /// The namespace's name, which is unique.
    pub namespace: String,
    /// Held until the namespace is gone.
    _permit: Permit,
}

/// What a program in a container printed.
#[derive(Debug)]
pub struct Exec {
    /// Whether it ended with 0.
    pub succeeded: bool,
    /// Its standard output and, after it, its standard error.
    pub output: String,
}

impl Site {
    /// A namespace for a test that runs beside others.
    pub async fn new(name: &str) -> Self {
        // First of all, so that without a cluster it says so at once.
        let client = cluster().await;
        let permit = cluster::beside_others().await;
        Self::create(client, permit, name).await
    }

    /// A namespace for a test that no other test's stack may disturb.
    pub async fn alone(name: &str) -> Self {
        let client = cluster().await;
        let permit = cluster::alone().await;
        Self::create(client, permit, name).await
    }

    async fn create(client: Client, permit: Permit, name: &str) -> Self {
        let mut namespace = Namespace::default();
        namespace.metadata.generate_name = Some(format!("e2e-{name}-"));
        let enforce = "pod-security.kubernetes.io/enforce".to_owned();
        namespace.metadata.labels = Some([(enforce, "restricted".to_owned())].into());
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let created = namespaces
            .create(&PostParams::default(), &namespace)
            .await
            .expect("the cluster must answer and allow namespaces");
        Self {
            client,
            namespace: created.name_any(),
            _permit: permit,
        }
    }

    /// The objects of a kind in the namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Applies a stack as `kubectl apply --server-side` does.
    pub async fn apply(&self, stack: &str, spec: Value) {
        let object = json!({
            "apiVersion": "auth.dataviv.com/v1alpha1",
            "kind": "AuthStack",
            "metadata": {"name": stack},
            "spec": spec,
        });
        let params = PatchParams::apply("kubectl").force();
        self.api::<AuthStack>()
            .patch(stack, &params, &Patch::Apply(&object))
            .await
            .unwrap();
    }

    /// An object, if it is there.
    pub async fn find<K>(&self, name: &str) -> Option<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        self.api::<K>().get_opt(name).await.unwrap()
    }

    /// Deletes an object, whose children then follow.
    pub async fn delete<K>(&self, name: &str)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let params = DeleteParams::background();
        self.api::<K>().delete(name, &params).await.unwrap();
    }

    /// Waits until `look` finds something, at most `limit`; then fails with
    /// what can be said of the namespace.
    pub async fn until<T>(
        &self,
        what: &str,
        limit: Duration,
        mut look: impl AsyncFnMut() -> Option<T>,
    ) -> T {
        let waiting = async {
            loop {
                if let Some(found) = look().await {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        if let Ok(found) = tokio::time::timeout(limit, waiting).await {
            return found;
        }
        let report = report(&self.client, &self.namespace).await;
        panic!("not within {limit:?}: {what}\n{report}")
    }

    /// Waits until a condition of a stack, at its present generation, has a
    /// status and a reason.
    pub async fn condition(
        &self,
        stack: &str,
        of: ConditionType,
        wanted: (&str, &str),
    ) -> Condition {
        let what = format!("{stack}: {of}={} {}", wanted.0, wanted.1);
        self.until(&what, PATIENCE, async || {
            let stack: AuthStack = self.find(stack).await?;
            let is = stack.status?.condition(of)?.clone();
            let here = is.observed_generation == stack.metadata.generation;
            (here && (is.status.as_str(), is.reason.as_str()) == wanted).then_some(is)
        })
        .await
    }

    /// What a condition of a stack is now: its status and reason.
    pub async fn now(&self, stack: &str, of: ConditionType) -> (String, String) {
        let found: AuthStack = self.find(stack).await.unwrap();
        let status = found.status.unwrap_or_default();
        let is = status.condition(of);
        is.map(|is| (is.status.clone(), is.reason.clone()))
            .unwrap_or_default()
    }

    /// Waits until a stack is Ready.
    pub async fn ready(&self, stack: &str) {
        self.condition(stack, ConditionType::Ready, ("True", "Ready"))
            .await;
    }

    /// A client of a stack's nginx, from the moment something listens there.
    pub async fn gateway(&self, stack: &str) -> Gateway {
        let base = forward::address(&self.client, &self.namespace, stack).await;
        let gateway = Gateway::new(&base);
        // The nodes learn of nginx's pods when the operator does, not before.
        self.until("nginx answers", PATIENCE, async || {
            gateway.get("/").await.ok()
        })
        .await;
        gateway
    }

    /// A client of a stack that is Ready and serves.
    pub async fn serving(&self, stack: &str) -> Gateway {
        self.ready(stack).await;
        let gateway = self.gateway(stack).await;
        self.serves(&gateway).await;
        gateway
    }

    /// Waits until the service and its database answer through nginx.
    pub async fn serves(&self, gateway: &Gateway) {
        self.until("GET /auth/ is answered 200", PATIENCE, async || {
            let answer = gateway.get("/auth/").await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
    }

    /// The pods of a part of a stack, also those that are on their way out.
    pub async fn all_pods(&self, stack: &str, component: &str) -> Vec<Pod> {
        let labels =
            format!("app.kubernetes.io/instance={stack},app.kubernetes.io/component={component}");
        let params = ListParams::default().labels(&labels);
        self.api::<Pod>().list(&params).await.unwrap().items
    }

    /// The pods of a part of a stack that are not on their way out.
    pub async fn pods(&self, stack: &str, component: &str) -> Vec<Pod> {
        let mut pods = self.all_pods(stack, component).await;
        pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
        pods
    }

    /// What tells a part's pods and their containers' lives apart: uids, and
    /// how often their containers were started again.
    pub async fn lives(&self, stack: &str, component: &str) -> Vec<(String, i32)> {
        let pods = self.pods(stack, component).await;
        let mut lives: Vec<_> = pods
            .into_iter()
            .map(|pod| {
                let statuses = pod.status.and_then(|status| status.container_statuses);
                let restarts = statuses.iter().flatten().map(|one| one.restart_count);
                (pod.metadata.uid.unwrap_or_default(), restarts.sum())
            })
            .collect();
        lives.sort();
        lives
    }

    /// What the pods of a part of a stack printed.
    pub async fn logs(&self, stack: &str, component: &str) -> String {
        let mut logs = String::new();
        for pod in self.pods(stack, component).await {
            let params = LogParams::default();
            // A pod may just be going, and its log with it.
            let log = self.api::<Pod>().logs(&pod.name_any(), &params).await;
            logs += &log.unwrap_or_default();
        }
        logs
    }

    /// Runs a shell script in a pod's first container.
    pub async fn exec(&self, pod: &str, script: &str) -> Exec {
        let params = AttachParams::default();
        let command = ["sh", "-c", script];
        let mut process = self.api::<Pod>().exec(pod, command, &params).await.unwrap();
        let status = process.take_status().unwrap();
        let (mut stdout, mut stderr) = (process.stdout().unwrap(), process.stderr().unwrap());
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        // Together: the process waits for whichever is not read.
        let (read, also_read) = tokio::join!(
            stdout.read_to_end(&mut output),
            stderr.read_to_end(&mut errors)
        );
        read.and(also_read).unwrap();
        output.append(&mut errors);
        Exec {
            succeeded: status.await.and_then(|status| status.status).as_deref() == Some("Success"),
            output: String::from_utf8_lossy(&output).into_owned(),
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let namespace = self.namespace.clone();
        // A thread and a runtime of its own: here it may be in the middle of a
        // panic, and in any case is no place to wait in.
        let removal = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(removal::remove(&namespace));
        });
        let removed = removal.join();
        if !std::thread::panicking() {
            removed.expect("the namespace must be removable");
        }
    }
}
