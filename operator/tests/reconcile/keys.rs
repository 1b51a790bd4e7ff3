//! Signing keys, settings that stand elsewhere, and what clients are told.

use authstack_crds::{AuthStack, ConditionType};
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt as _;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::site::{SOON, Site, eventually, in_namespace};

const STALLED: ConditionType = ConditionType::Stalled;

fn file(secret: &Secret) -> Value {
    serde_json::from_slice(&secret.data.as_ref().unwrap()["keys.json"].0).unwrap()
}

#[tokio::test]
async fn signing_keys_are_made_once_and_what_is_added_to_them_stays() {
    in_namespace("keys", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({})).await;
        site.built("shop").await;
        let made = site.get::<Secret>("shop-signing-keys").await.unwrap();
        let keys = file(&made);
        assert_eq!(keys["keys"][0]["state"], "active");
        assert!(
            made.owner_references().is_empty(),
            "sessions outlive a stack that comes back"
        );

        let mut more = keys.clone();
        more["keys"]
            .as_array_mut()
            .unwrap()
            .push(json!({"kid": "by hand"}));
        let mut changed = made.clone();
        changed.data.as_mut().unwrap().insert(
            "keys.json".to_owned(),
            ByteString(more.to_string().into_bytes()),
        );
        let before = site.get::<Deployment>("shop-api").await.unwrap();
        let secrets = site.api::<Secret>();
        secrets
            .replace("shop-signing-keys", &PostParams::default(), &changed)
            .await
            .unwrap();
        // Something else that the operator does certainly comes after it.
        site.apply("shop", json!({"nginx": {"replicas": 3}})).await;
        eventually("nginx has three pods", SOON, async || {
            let nginx = site.get::<Deployment>("shop-nginx").await.unwrap();
            nginx.spec.unwrap().replicas == Some(3)
        })
        .await;
        assert_eq!(file(&site.get("shop-signing-keys").await.unwrap()), more);
        let after = site.get::<Deployment>("shop-api").await.unwrap();
        assert_eq!(
            before.spec, after.spec,
            "no pod of the API starts again for it"
        );

        // Pods sign with it: it is not silently made anew.
        site.delete::<Secret>("shop-signing-keys").await;
        let message = site
            .condition("shop", STALLED, ("True", "SigningKeysMissing"))
            .await;
        assert!(
            message.contains("delete the Deployment shop-api"),
            "{message}"
        );
        site.delete::<Deployment>("shop-api").await;
        site.condition("shop", STALLED, ("False", "NoProblem"))
            .await;
        let anew = site.get::<Secret>("shop-signing-keys").await.unwrap();
        assert_ne!(file(&anew), keys);
    })
    .await;
}

#[tokio::test]
async fn settings_that_stand_elsewhere_are_waited_for_and_followed() {
    in_namespace("settings", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        let spec = json!({"api": {"envFrom": [{"configMapRef": {"name": "cors"}}]}});
        site.apply("shop", spec).await;
        let message = site
            .condition("shop", STALLED, ("True", "ReferenceNotFound"))
            .await;
        assert!(
            message.contains("ConfigMap cors does not exist"),
            "{message}"
        );

        let map = |origin: &str| {
            let map = json!({"metadata": {"name": "cors"}, "data": {"CORS_ORIGINS": origin}});
            serde_json::from_value::<ConfigMap>(map).unwrap()
        };
        let maps = site.api::<ConfigMap>();
        maps.create(&PostParams::default(), &map("https://a.example.com"))
            .await
            .unwrap();
        site.condition("shop", STALLED, ("False", "NoProblem"))
            .await;
        let checksum = async || {
            let api = site.get::<Deployment>("shop-api").await.unwrap();
            let metadata = api.spec.unwrap().template.metadata.unwrap();
            metadata.annotations.unwrap()["auth.dataviv.com/config-checksum"].clone()
        };
        let before = checksum().await;
        maps.replace(
            "cors",
            &PostParams::default(),
            &map("https://b.example.com"),
        )
        .await
        .unwrap();
        eventually("the pods are to start again", SOON, async || {
            checksum().await != before
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_shared_secret_must_be_there_and_be_long_enough() {
    in_namespace("shared", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        let reference = json!({"name": "old-service", "key": "SECRET_KEY"});
        let signing = json!({"algorithm": "HS256", "secretKeyRef": reference});
        site.apply("shop", json!({"tokens": {"signing": signing}}))
            .await;
        let message = site
            .condition("shop", STALLED, ("True", "ReferenceNotFound"))
            .await;
        assert!(
            message.contains("Secret old-service does not exist"),
            "{message}"
        );

        let secret = |key: &str| {
            let secret =
                json!({"metadata": {"name": "old-service"}, "stringData": {"SECRET_KEY": key}});
            serde_json::from_value::<Secret>(secret).unwrap()
        };
        let secrets = site.api::<Secret>();
        secrets
            .create(&PostParams::default(), &secret("too short"))
            .await
            .unwrap();
        eventually("its length is minded", SOON, async || {
            let stack = site.get::<AuthStack>("shop").await.unwrap();
            let stalled = stack.status.unwrap().condition(STALLED).cloned();
            stalled.is_some_and(|is| is.message.contains("fewer than 32 bytes"))
        })
        .await;
        let stack = site.get::<AuthStack>("shop").await.unwrap();
        let text = serde_json::to_string(&stack).unwrap();
        assert!(!text.contains("too short"), "{text}");
        secrets
            .replace(
                "old-service",
                &PostParams::default(),
                &secret(&"k".repeat(32)),
            )
            .await
            .unwrap();
        site.condition("shop", STALLED, ("False", "NoProblem"))
            .await;
        assert!(site.get::<Secret>("shop-signing-keys").await.is_none());
    })
    .await;
}

#[tokio::test]
async fn clients_are_told_where_the_stack_is() {
    in_namespace("binding", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        let ingress = json!({"host": "auth.example.com", "tls": {"secretName": "tls"}});
        site.apply("shop", json!({"ingress": ingress})).await;
        site.built("shop").await;
        eventually("the status names the binding", SOON, async || {
            let stack = site.get::<AuthStack>("shop").await.unwrap();
            let binding = stack.status.and_then(|status| status.binding);
            binding.is_some_and(|binding| binding.name == "shop-binding")
        })
        .await;
        let secret = site.get::<Secret>("shop-binding").await.unwrap();
        assert_eq!(secret.type_.as_deref(), Some("servicebinding.io/oidc"));
        let data = secret.data.unwrap();
        let is = |key: &str| String::from_utf8(data[key].0.clone()).unwrap();
        assert_eq!(is("type"), "oidc");
        assert_eq!(is("issuer"), "https://auth.example.com");
        assert_eq!(
            is("jwks-uri"),
            "https://auth.example.com/.well-known/jwks.json"
        );
        assert_eq!(
            is("internal-uri"),
            format!("http://shop-nginx.{namespace}.svc")
        );
    })
    .await;
}
