//! A certificate that is not there is named, and creating it is enough.

use authstack_crds::ConditionType::{ApiReady, IngressReady, Ready};
use authstack_e2e::{Site, small};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{ObjectMeta, PostParams};
use serde_json::json;

#[tokio::test]
async fn a_missing_certificate_is_named_and_can_be_made() {
    let site = Site::new("tls").await;
    let tls = json!({"secretName": "shop-cert"});
    let ingress = json!({"host": "shop.example.com", "tls": tls});
    site.apply("shop", small(json!({"ingress": ingress}))).await;
    let reason = ("False", "SecretNotFound");
    let missing = site.condition("shop", IngressReady, reason).await;
    for word in ["shop-cert", "kubernetes.io/tls", "shop.example.com"] {
        assert!(missing.message.contains(word), "{}", missing.message);
    }
    // It holds up nothing but itself.
    site.condition("shop", ApiReady, ("True", "Ready")).await;
    assert_eq!(site.now("shop", Ready).await.0, "False");

    let made = rcgen::generate_simple_self_signed(["shop.example.com".to_owned()]).unwrap();
    let value = |text: String| ByteString(text.into_bytes());
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some("shop-cert".to_owned()),
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/tls".to_owned()),
        data: Some(
            [
                ("tls.crt".to_owned(), value(made.cert.pem())),
                (
                    "tls.key".to_owned(),
                    value(made.signing_key.serialize_pem()),
                ),
            ]
            .into(),
        ),
        ..Secret::default()
    };
    let secrets = site.api::<Secret>();
    secrets
        .create(&PostParams::default(), &secret)
        .await
        .unwrap();
    site.ready("shop").await;
    let ingress: Ingress = site.find("shop").await.unwrap();
    let tls = ingress.spec.and_then(|spec| spec.tls).unwrap_or_default();
    assert_eq!(tls[0].secret_name.as_deref(), Some("shop-cert"));
}
