//! The controller on a real API server, as the operator's own account with the
//! rights that `config/rbac` gives it. There are no nodes: what pods do is the
//! end-to-end tests' matter.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use authstack_crds::{AuthStack, ConditionType};
use authstack_operator::args::{Images, WatchNamespaces};
use authstack_operator::client::bounded;
use authstack_operator::controller::{self, Settings};
use authstack_operator::health::Health;
use http::{Method, Request};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config, Resource, ResourceExt as _};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use support::account::operator_account;
use support::{define, eventually, in_namespace};

const SOON: Duration = Duration::from_secs(20);

/// A namespace with a controller at work in it.
struct Site {
    admin: Client,
    namespace: String,
    writes: Arc<AtomicUsize>,
    stop: CancellationToken,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Site {
    async fn new(config: &Config, namespace: &str) -> Self {
        define(config).await;
        let account = operator_account(config, namespace).await;
        let site = Self {
            admin: Client::try_from(config.clone()).unwrap(),
            namespace: namespace.to_owned(),
            writes: Arc::default(),
            stop: CancellationToken::new(),
        };
        let writes = Arc::clone(&site.writes);
        let counting = tower::util::MapRequestLayer::new(move |request: Request<Body>| {
            if *request.method() != Method::GET {
                writes.fetch_add(1, Ordering::SeqCst);
            }
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
        tokio::spawn(async move {
            controller::run(client, settings, &Health::default(), &stop).await;
        });
        site
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.admin.clone(), &self.namespace)
    }

    /// Applies a stack as `kubectl apply --server-side` does.
    async fn apply(&self, name: &str, spec: Value) {
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

    async fn get<K>(&self, name: &str) -> Option<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        self.api::<K>().get_opt(name).await.unwrap()
    }

    async fn merge<K>(&self, name: &str, patch: Value)
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

    async fn delete<K>(&self, name: &str)
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
    async fn condition(&self, stack: &str, of: ConditionType, wanted: (&str, &str)) -> String {
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
            *seen.lock().unwrap() = is.message.clone();
            is.observed_generation == generation
                && (is.status.as_str(), is.reason.as_str()) == wanted
        })
        .await;
        seen.into_inner().unwrap()
    }

    /// Waits until the children of a stack are there.
    async fn built(&self, stack: &str) {
        let name = format!("{stack}-nginx");
        eventually("nginx's Deployment is there", SOON, async || {
            self.get::<Deployment>(&name).await.is_some()
        })
        .await;
        // The last child; without an Ingress it is enough that nothing moves.
        self.quiet().await;
    }

    /// Waits until the operator has written nothing for two seconds.
    async fn quiet(&self) {
        let last = std::sync::Mutex::new((usize::MAX, std::time::Instant::now()));
        eventually("the operator rests", Duration::from_secs(40), async || {
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
async fn names<K>(site: &Site) -> Vec<String>
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

#[tokio::test]
async fn an_empty_spec_becomes_all_children_and_then_nothing_is_written() {
    in_namespace("children", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({})).await;
        site.built("shop").await;
        assert_eq!(names::<Secret>(&site).await, ["shop-credentials"]);
        assert_eq!(
            names::<ConfigMap>(&site).await,
            ["shop-nginx", "shop-postgres"]
        );
        assert_eq!(
            names::<Service>(&site).await,
            [
                "shop-api",
                "shop-nginx",
                "shop-postgres",
                "shop-postgres-headless"
            ]
        );
        assert_eq!(
            names::<ServiceAccount>(&site).await,
            ["shop-api", "shop-nginx", "shop-postgres"]
        );
        assert_eq!(names::<StatefulSet>(&site).await, ["shop-postgres"]);
        assert_eq!(names::<Deployment>(&site).await, ["shop-api", "shop-nginx"]);
        assert_eq!(names::<Ingress>(&site).await, ["shop"]);
        site.condition("shop", ConditionType::Ready, ("False", "Progressing"))
            .await;

        let before = site.writes.load(Ordering::SeqCst);
        // A trigger that changes nothing: the reconcile must find nothing to do.
        site.merge::<Deployment>(
            "shop-api",
            json!({"metadata": {"annotations": {"deployment.kubernetes.io/note": "1"}}}),
        )
        .await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(site.writes.load(Ordering::SeqCst), before);
    })
    .await;
}

#[tokio::test]
async fn what_the_operator_set_comes_back_and_what_others_added_stays() {
    in_namespace("drift", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({})).await;
        site.built("shop").await;

        let service = site.get::<Service>("shop-api").await.unwrap();
        site.delete::<Service>("shop-api").await;
        eventually("the Service is back", SOON, async || {
            site.get::<Service>("shop-api")
                .await
                .is_some_and(|is| is.uid() != service.uid())
        })
        .await;

        site.merge::<ConfigMap>(
            "shop-nginx",
            json!({"data": {"nginx.conf": "", "extra": "1"}}),
        )
        .await;
        eventually("the configuration is back", SOON, async || {
            let data = site
                .get::<ConfigMap>("shop-nginx")
                .await
                .unwrap()
                .data
                .unwrap();
            !data["nginx.conf"].is_empty() && data["extra"] == "1"
        })
        .await;

        let restart = json!({"metadata": {"labels": {"team": "a"}}, "spec": {
            "replicas": 7,
            "template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}},
        }});
        site.merge::<Deployment>("shop-api", restart).await;
        eventually(
            "the replicas are back, the restart is not undone",
            SOON,
            async || {
                let deployment = site.get::<Deployment>("shop-api").await.unwrap();
                let template = deployment.spec.clone().unwrap().template.metadata.unwrap();
                deployment.labels().get("team").is_some()
                    && deployment.spec.as_ref().unwrap().replicas == Some(3)
                    && template
                        .annotations
                        .unwrap()
                        .contains_key("kubectl.kubernetes.io/restartedAt")
            },
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_change_of_the_manifest_reaches_the_children_and_removals_too() {
    in_namespace("change", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply(
            "shop",
            json!({"ingress": {"host": "a.example.com", "annotations": {"a/b": "c"}}}),
        )
        .await;
        site.built("shop").await;
        let ingress = async || site.get::<Ingress>("shop").await.unwrap();
        assert_eq!(
            ingress().await.annotations().get("a/b").map(String::as_str),
            Some("c")
        );

        // The first apply after a create must be able to take a field away.
        site.apply("shop", json!({"api": {"replicas": 4}})).await;
        eventually("annotation and host are gone", SOON, async || {
            let ingress = ingress().await;
            let rule = ingress.spec.as_ref().unwrap().rules.as_ref().unwrap()[0].clone();
            ingress.annotations().get("a/b").is_none() && rule.host.is_none()
        })
        .await;
        eventually("there are four", SOON, async || {
            site.get::<Deployment>("shop-api")
                .await
                .unwrap()
                .spec
                .unwrap()
                .replicas
                == Some(4)
        })
        .await;
        let nginx = site.get::<Deployment>("shop-nginx").await.unwrap();

        site.apply("shop", json!({"ingress": {"enabled": false}}))
            .await;
        eventually("the Ingress is gone", SOON, async || {
            site.get::<Ingress>("shop").await.is_none()
        })
        .await;
        site.condition("shop", ConditionType::IngressReady, ("True", "Disabled"))
            .await;

        // nginx's configuration names the public URL, which is the default again.
        let template = |deployment: &Deployment| deployment.spec.as_ref().unwrap().template.clone();
        let now = site.get::<Deployment>("shop-nginx").await.unwrap();
        assert_eq!(
            template(&nginx),
            template(&now),
            "nothing that nginx reads changed"
        );
    })
    .await;
}

#[tokio::test]
async fn the_scale_subresource_scales_the_api() {
    in_namespace("scale", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({})).await;
        site.built("shop").await;
        let scale = json!({"spec": {"replicas": 5}});
        let stacks = site.api::<AuthStack>();
        stacks
            .patch_scale("shop", &PatchParams::default(), &Patch::Merge(&scale))
            .await
            .unwrap();
        eventually("the API is scaled", SOON, async || {
            site.get::<Deployment>("shop-api")
                .await
                .unwrap()
                .spec
                .unwrap()
                .replicas
                == Some(5)
        })
        .await;
        let selector = stacks
            .get_scale("shop")
            .await
            .unwrap()
            .status
            .unwrap()
            .selector
            .unwrap();
        assert!(
            selector.contains("app.kubernetes.io/component=api"),
            "{selector}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_name_that_is_taken_is_left_alone_and_the_rest_goes_on() {
    in_namespace("taken", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        let foreign: ConfigMap = serde_json::from_value(json!({
            "metadata": {"name": "shop-nginx"}, "data": {"mine": "yes"},
        }))
        .unwrap();
        site.api::<ConfigMap>()
            .create(&PostParams::default(), &foreign)
            .await
            .unwrap();
        site.apply("shop", json!({})).await;
        let message = site
            .condition("shop", ConditionType::Stalled, ("True", "NameTaken"))
            .await;
        assert!(message.contains("ConfigMap shop-nginx"), "{message}");
        site.condition("shop", ConditionType::NginxReady, ("False", "NameTaken"))
            .await;
        assert!(site.get::<Deployment>("shop-api").await.is_some());
        let kept = site.get::<ConfigMap>("shop-nginx").await.unwrap();
        assert_eq!(kept.data.as_ref().unwrap()["mine"], "yes");
        assert!(kept.owner_references().is_empty() && kept.labels().is_empty());
        eventually("the stall is an Event", SOON, async || {
            let events = site
                .api::<Event>()
                .list(&ListParams::default())
                .await
                .unwrap();
            events.items.iter().any(|event| {
                event.reason.as_deref() == Some("NameTaken")
                    && event.regarding.as_ref().unwrap().name.as_deref() == Some("shop")
            })
        })
        .await;

        // Nothing of ours watches a foreign object; the next look finds it gone.
        site.delete::<ConfigMap>("shop-nginx").await;
        site.condition("shop", ConditionType::Stalled, ("False", "NoProblem"))
            .await;
    })
    .await;
}

#[tokio::test]
async fn credentials_are_never_made_again_beside_a_volume() {
    in_namespace("credentials", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({})).await;
        site.built("shop").await;
        let secret = site.get::<Secret>("shop-credentials").await.unwrap();
        eventually("the claim is there", SOON, async || {
            site.get::<PersistentVolumeClaim>("data-shop-postgres-0")
                .await
                .is_some()
        })
        .await;
        let database = site.get::<StatefulSet>("shop-postgres").await.unwrap();

        site.delete::<Secret>("shop-credentials").await;
        let message = site
            .condition(
                "shop",
                ConditionType::Stalled,
                ("True", "CredentialsMissing"),
            )
            .await;
        assert!(message.contains("data-shop-postgres-0"), "{message}");
        site.condition(
            "shop",
            ConditionType::CredentialsReady,
            ("False", "CredentialsMissing"),
        )
        .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(site.get::<Secret>("shop-credentials").await.is_none());
        let after = site.get::<StatefulSet>("shop-postgres").await.unwrap();
        assert_eq!(database.spec, after.spec);
        assert_eq!(database.uid(), after.uid());

        // A Secret from a backup is the way out.
        let mut restored = secret.clone();
        restored.metadata.resource_version = None;
        restored.metadata.uid = None;
        site.api::<Secret>()
            .create(&PostParams::default(), &restored)
            .await
            .unwrap();
        site.condition("shop", ConditionType::Stalled, ("False", "NoProblem"))
            .await;
        site.condition("shop", ConditionType::CredentialsReady, ("True", "Ready"))
            .await;
        assert_eq!(
            site.get::<Secret>("shop-credentials").await.unwrap().data,
            secret.data
        );

        site.merge::<Secret>("shop-credentials", json!({"data": {"secret-key": null}}))
            .await;
        let message = site
            .condition(
                "shop",
                ConditionType::Stalled,
                ("True", "CredentialsInvalid"),
            )
            .await;
        assert!(message.contains("secret-key"), "{message}");
    })
    .await;
}

#[tokio::test]
async fn what_is_retained_is_taken_up_again_and_what_is_not_goes() {
    in_namespace("delete", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({})).await;
        site.built("shop").await;
        let secret = site.get::<Secret>("shop-credentials").await.unwrap();
        let claim = async || {
            site.get::<PersistentVolumeClaim>("data-shop-postgres-0")
                .await
        };
        eventually("the claim is there", SOON, async || claim().await.is_some()).await;
        let volume = claim().await.unwrap();

        site.delete::<AuthStack>("shop").await;
        let gone = async || {
            names::<Service>(&site).await.is_empty()
                && names::<ConfigMap>(&site).await.is_empty()
                && names::<ServiceAccount>(&site).await.is_empty()
                && names::<StatefulSet>(&site).await.is_empty()
                && names::<Deployment>(&site).await.is_empty()
                && names::<Ingress>(&site).await.is_empty()
        };
        eventually("the children go", SOON, gone).await;
        assert_eq!(
            site.get::<Secret>("shop-credentials").await.unwrap().data,
            secret.data
        );
        assert!(claim().await.unwrap().metadata.deletion_timestamp.is_none());

        // Another major version cannot read the volume.
        site.apply("shop", json!({"postgres": {"managed": {"major": 16}}}))
            .await;
        let message = site
            .condition("shop", ConditionType::Stalled, ("True", "MajorMismatch"))
            .await;
        assert!(message.contains("PostgreSQL 18"), "{message}");
        site.delete::<AuthStack>("shop").await;

        site.apply("shop", json!({"deletionPolicy": "Delete"}))
            .await;
        site.built("shop").await;
        let adopted = site.get::<Secret>("shop-credentials").await.unwrap();
        assert_eq!((adopted.uid(), adopted.data), (secret.uid(), secret.data));
        assert_eq!(claim().await.unwrap().uid(), volume.uid());

        site.delete::<AuthStack>("shop").await;
        eventually("everything goes", SOON, async || {
            gone().await
                && site.get::<Secret>("shop-credentials").await.is_none()
                // A claim that no pod holds goes at once.
                && claim().await.is_none()
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_change_of_mind_about_deletion_is_kept() {
    in_namespace("policy", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        let owners = async || {
            site.get::<Secret>("shop-credentials")
                .await
                .unwrap()
                .owner_references()
                .len()
        };
        let retention = async || {
            let spec = site
                .get::<StatefulSet>("shop-postgres")
                .await
                .unwrap()
                .spec
                .unwrap();
            spec.persistent_volume_claim_retention_policy
                .unwrap()
                .when_deleted
                .unwrap()
        };
        for (policy, owned) in [("Delete", 1), ("Retain", 0), ("Delete", 1)] {
            site.apply("shop", json!({"deletionPolicy": policy})).await;
            site.built("shop").await;
            eventually(policy, SOON, async || {
                owners().await == owned && retention().await == policy
            })
            .await;
        }
    })
    .await;
}

#[tokio::test]
async fn missing_references_are_said_and_heal() {
    in_namespace("references", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply(
            "shop",
            json!({
                "ingress": {"host": "a.example.com", "tls": {"secretName": "shop-tls"}},
                "postgres": {"external": {"urlSecretRef": {"name": "db", "key": "url"}}},
            }),
        )
        .await;
        let message = site
            .condition(
                "shop",
                ConditionType::IngressReady,
                ("False", "SecretNotFound"),
            )
            .await;
        assert!(
            message.contains("Secret shop-tls does not exist"),
            "{message}"
        );
        let message = site
            .condition(
                "shop",
                ConditionType::DatabaseReady,
                ("False", "SecretNotFound"),
            )
            .await;
        assert!(message.contains("Secret db does not exist"), "{message}");
        site.condition("shop", ConditionType::Stalled, ("True", "SecretNotFound"))
            .await;
        assert!(names::<StatefulSet>(&site).await.is_empty());

        let create = async |name: &str, data: Value| {
            let secret = json!({"metadata": {"name": name}, "stringData": data});
            let secret: Secret = serde_json::from_value(secret).unwrap();
            site.api::<Secret>()
                .create(&PostParams::default(), &secret)
                .await
                .unwrap();
        };
        create(
            "shop-tls",
            json!({"tls.crt": "certificate", "tls.key": "key"}),
        )
        .await;
        site.condition(
            "shop",
            ConditionType::IngressReady,
            ("True", "AddressPending"),
        )
        .await;
        create("db", json!({"other": "x"})).await;
        eventually("the missing key is named", SOON, async || {
            let status = site.get::<AuthStack>("shop").await.unwrap().status.unwrap();
            status
                .condition(ConditionType::DatabaseReady)
                .unwrap()
                .message
                .contains("no key url")
        })
        .await;
        let checksum = async || {
            let template = site
                .get::<Deployment>("shop-api")
                .await
                .unwrap()
                .spec
                .unwrap()
                .template;
            template.metadata.unwrap().annotations.unwrap()["auth.dataviv.com/config-checksum"]
                .clone()
        };
        let before = checksum().await;
        site.merge::<Secret>(
            "db",
            json!({"stringData": {"url": "postgres://app:hunter2@db/auth"}}),
        )
        .await;
        site.condition("shop", ConditionType::Stalled, ("False", "NoProblem"))
            .await;
        assert_ne!(
            checksum().await,
            before,
            "pods that read the URL are replaced"
        );
        let stack = serde_json::to_string(&site.get::<AuthStack>("shop").await).unwrap();
        assert!(!stack.contains("hunter2"));
    })
    .await;
}

#[tokio::test]
async fn a_storage_class_that_does_not_exist_is_said() {
    in_namespace("storage", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        let class = format!("{namespace}-fast");
        site.apply(
            "shop",
            json!({"postgres": {"managed": {"storage": {"storageClassName": class}}}}),
        )
        .await;
        let message = site
            .condition(
                "shop",
                ConditionType::DatabaseReady,
                ("False", "StorageClassNotFound"),
            )
            .await;
        assert!(message.contains(&class), "{message}");
        site.condition(
            "shop",
            ConditionType::Stalled,
            ("True", "StorageClassNotFound"),
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn an_unknown_version_touches_nothing() {
    in_namespace("version", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({})).await;
        site.built("shop").await;
        let before = site.get::<Deployment>("shop-api").await.unwrap();
        site.apply("shop", json!({"version": "9.0.0", "api": {"replicas": 9}}))
            .await;
        let message = site
            .condition(
                "shop",
                ConditionType::Stalled,
                ("True", "UnsupportedVersion"),
            )
            .await;
        assert!(message.contains("0.1.0"), "{message}");
        let after = site.get::<Deployment>("shop-api").await.unwrap();
        assert_eq!(before.metadata.generation, after.metadata.generation);
        // And what is true of the children is still said.
        site.condition("shop", ConditionType::ApiReady, ("False", "Progressing"))
            .await;
        site.apply("shop", json!({})).await;
        site.condition("shop", ConditionType::Stalled, ("False", "NoProblem"))
            .await;
    })
    .await;
}

#[tokio::test]
async fn stacks_do_not_wait_for_each_other() {
    in_namespace("many", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("bad", json!({"version": "9.0.0"})).await;
        for index in 0..20 {
            site.apply(&format!("shop-{index}"), json!({})).await;
        }
        eventually(
            "all Ingresses are there",
            Duration::from_secs(60),
            async || names::<Ingress>(&site).await.len() == 20,
        )
        .await;
        site.condition(
            "bad",
            ConditionType::Stalled,
            ("True", "UnsupportedVersion"),
        )
        .await;
    })
    .await;
}
