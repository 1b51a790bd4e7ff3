//! A namespace with a controller at work in it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use authstack_crds::{AuthStack, ConditionType};
use authstack_operator::args::{Images, WatchNamespaces};
use authstack_operator::client::bounded;
use authstack_operator::controller::{self, Settings};
use authstack_operator::health::Health;
use http::{Method, Request};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config, Resource};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::support::account::{impersonating, operator_account};
use super::support::{default_storage_class, define};
pub(crate) use super::support::{eventually, in_namespace};

/// Long enough for a busy machine; what is waited for comes sooner.
pub(crate) const SOON: Duration = Duration::from_mins(3);

/// A namespace with a controller at work in it.
pub(crate) struct Site {
    admin: Client,
    pub(crate) namespace: String,
    pub(crate) writes: Arc<AtomicUsize>,
    /// The path of every request.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    stop: CancellationToken,
    controller: Option<JoinHandle<()>>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Site {
    /// With an operator that has the rights of `config/rbac`, here.
    pub(crate) async fn new(config: &Config, namespace: &str) -> Self {
        let account = operator_account(config, namespace).await;
        Self::acting_as(config, namespace, account).await
    }

    /// With an operator that acts as `account`.
    pub(crate) async fn acting_as(config: &Config, namespace: &str, account: Config) -> Self {
        define(config).await;
        default_storage_class(config).await;
        Self::controlled(config, account, namespace)
    }

    /// The same namespace with another controller, which remembers nothing.
    pub(crate) fn restarted(self, config: &Config) -> Self {
        self.stop.cancel();
        let account = impersonating(config, &self.namespace);
        Self::controlled(config, account, &self.namespace)
    }

    fn controlled(config: &Config, account: Config, namespace: &str) -> Self {
        let mut site = Self::without_operator(config, namespace);
        let (writes, asked) = (Arc::clone(&site.writes), Arc::clone(&site.asked));
        let counting = tower::util::MapRequestLayer::new(move |request: Request<Body>| {
            if *request.method() != Method::GET {
                writes.fetch_add(1, Ordering::SeqCst);
            }
            asked.lock().unwrap().push(request.uri().path().to_owned());
            request
        });
        let builder = ClientBuilder::try_from(bounded(account)).unwrap();
        let client = builder.with_layer(&counting).build();
        let settings = Settings {
            namespaces: WatchNamespaces::Only([namespace.to_owned()].into()),
            images: Images::default(),
            instance: "test".to_owned(),
        };
        let stop = site.stop.clone();
        site.controller = Some(tokio::spawn(async move {
            controller::run(client, settings, &Health::default(), &stop).await;
        }));
        site
    }

    /// With nobody at work in it.
    pub(crate) fn without_operator(config: &Config, namespace: &str) -> Self {
        Self {
            admin: Client::try_from(config.clone()).unwrap(),
            namespace: namespace.to_owned(),
            writes: Arc::default(),
            asked: Arc::default(),
            stop: CancellationToken::new(),
            controller: None,
        }
    }

    /// Waits until the operator has ended.
    pub(crate) async fn leave(mut self) {
        self.stop.cancel();
        if let Some(controller) = self.controller.take() {
            controller.await.unwrap();
        }
    }

    /// A client with every right.
    pub(crate) fn admin(&self) -> Client {
        self.admin.clone()
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.admin.clone(), &self.namespace)
    }

    /// Applies a stack as `kubectl apply --server-side` does.
    pub(crate) async fn apply(&self, name: &str, spec: Value) {
        let object = json!({
            "apiVersion": "auth.dataviv.com/v1alpha1",
            "kind": "AuthStack",
            "metadata": {"name": name},
            "spec": spec,
        });
        let params = PatchParams::apply("kubectl").force();
        self.api::<AuthStack>()
            .patch(name, &params, &Patch::Apply(&object))
            .await
            .unwrap();
    }

    pub(crate) async fn get<K>(&self, name: &str) -> Option<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        self.api::<K>().get_opt(name).await.unwrap()
    }

    pub(crate) async fn merge<K>(&self, name: &str, patch: Value)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        let params = PatchParams::default();
        self.api::<K>()
            .patch(name, &params, &Patch::Merge(&patch))
            .await
            .unwrap();
    }

    pub(crate) async fn delete<K>(&self, name: &str)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        self.api::<K>()
            .delete(name, &DeleteParams::background())
            .await
            .unwrap();
    }

    /// Waits until a condition has a status and a reason; returns its message.
    pub(crate) async fn condition(
        &self,
        stack: &str,
        of: ConditionType,
        wanted: (&str, &str),
    ) -> String {
        let what = format!("{stack}: {of}={} {}", wanted.0, wanted.1);
        let seen = std::sync::Mutex::new(String::new());
        eventually(&what, SOON, async || {
            let stack = self.get::<AuthStack>(stack).await;
            let generation = stack.as_ref().and_then(|stack| stack.metadata.generation);
            let Some(status) = stack.and_then(|stack| stack.status) else {
                return false;
            };
            let Some(is) = status.condition(of) else {
                return false;
            };
            seen.lock().unwrap().clone_from(&is.message);
            is.observed_generation == generation
                && (is.status.as_str(), is.reason.as_str()) == wanted
        })
        .await;
        seen.into_inner().unwrap()
    }

    /// Creates a Secret that somebody other than the operator owns.
    pub(crate) async fn secret(&self, name: &str, data: Value) {
        let secret = json!({"metadata": {"name": name}, "stringData": data});
        let secret: Secret = serde_json::from_value(secret).unwrap();
        let params = PostParams::default();
        self.api::<Secret>().create(&params, &secret).await.unwrap();
    }

    /// Waits until the children of a stack are there.
    pub(crate) async fn built(&self, stack: &str) {
        let name = format!("{stack}-nginx");
        eventually("nginx's Deployment is there", SOON, async || {
            self.get::<Deployment>(&name).await.is_some()
        })
        .await;
        self.told(stack).await;
        self.quiet().await;
    }

    /// Waits for what is written after all children: the status of this generation.
    pub(crate) async fn told(&self, stack: &str) {
        eventually("the status is of this generation", SOON, async || {
            let stack = self.get::<AuthStack>(stack).await.unwrap();
            let seen = stack.status.and_then(|status| status.observed_generation);
            seen == stack.metadata.generation
        })
        .await;
    }

    /// Waits until the operator has written nothing for two seconds.
    pub(crate) async fn quiet(&self) {
        let last = std::sync::Mutex::new((usize::MAX, std::time::Instant::now()));
        eventually("the operator rests", SOON, async || {
            let now = self.writes.load(Ordering::SeqCst);
            let mut last = last.lock().unwrap();
            if last.0 != now {
                *last = (now, std::time::Instant::now());
            }
            last.1.elapsed() > Duration::from_secs(2)
        })
        .await;
    }
}

/// Names of all objects of a kind that the operator labelled.
pub(crate) async fn names<K>(site: &Site) -> Vec<String>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let ours = ListParams::default().labels("app.kubernetes.io/managed-by=authstack-operator");
    let list = site.api::<K>().list(&ours).await.unwrap();
    list.items.iter().map(kube::ResourceExt::name_any).collect()
}
