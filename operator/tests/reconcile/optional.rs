//! Kinds that the cluster may lack: said where they are missing, used as soon as
//! they are there.

use std::time::{Duration, Instant};

use authstack_crds::{AuthStack, ConditionType};
use authstack_operator::foreign::cert_manager::Certificate;
use authstack_operator::foreign::gateway::HTTPRoute;
use authstack_operator::foreign::prometheus::PodMonitor;
use authstack_operator::reconcile::optional::Optional;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::rbac::v1::Role;
use kube::api::{Patch, PatchParams};
use kube::{Resource, ResourceExt as _};
use serde_json::{Value, json};

use super::definition::Definition;
use super::site::{SOON, Site, eventually, in_namespace, names};

/// What the tests give the operator rights by.
const ROLE: &str = "authstack-operator-operator";

/// Says something in another controller's name.
pub(crate) async fn report<K>(site: &Site, name: &str, status: Value)
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let patch = Patch::Merge(json!({"status": status}));
    let params = PatchParams::default();
    let objects = site.api::<K>();
    objects.patch_status(name, &params, &patch).await.unwrap();
}

async fn status(site: &Site, stack: &str) -> authstack_crds::AuthStackStatus {
    site.get::<AuthStack>(stack).await.unwrap().status.unwrap()
}

#[tokio::test]
async fn without_the_gateway_api_the_route_alone_stalls_and_heals_when_it_is_installed() {
    in_namespace("gateway", async |config, namespace| {
        let definition = Definition::absent(&config, Optional::HttpRoute, "HTTPRoute").await;
        let site = Site::new(&config, &namespace).await;
        let route = json!({"parentRefs": [{"name": "public"}], "hostnames": ["auth.example.com"]});
        site.apply("shop", json!({"httpRoute": route})).await;
        let of = ConditionType::HTTPRouteReady;
        let message = site.condition("shop", of, ("False", "ApiMissing")).await;
        assert!(
            message.contains("httproutes.gateway.networking.k8s.io/v1")
                && message.contains("install the Gateway API"),
            "{message}"
        );
        site.condition("shop", ConditionType::Stalled, ("True", "ApiMissing"))
            .await;
        site.built("shop").await;
        assert_eq!(names::<Ingress>(&site).await, ["shop"]);
        let url = status(&site, "shop").await.url;
        assert_eq!(url.as_deref(), Some("https://auth.example.com"));

        let begin = Instant::now();
        definition.install().await;
        site.condition("shop", of, ("False", "RoutePending")).await;
        println!(
            "figure: an API that was installed was used after {:?}",
            begin.elapsed()
        );
        site.condition("shop", ConditionType::Stalled, ("False", "NoProblem"))
            .await;
        let route = site.get::<HTTPRoute>("shop").await.unwrap();
        assert_eq!(route.spec.rules[0].backend_refs[0].name, "shop-nginx");

        let said = |status: &str, reason: &str| {
            json!({"parents": [{"parentRef": {"name": "public"}, "controllerName": "a.b/c",
                "conditions": [{"type": "Accepted", "status": status, "reason": reason,
                    "message": "so it is", "observedGeneration": 1}]}]})
        };
        report::<HTTPRoute>(&site, "shop", said("False", "NotAllowedByListeners")).await;
        let message = site
            .condition("shop", of, ("False", "RouteNotAccepted"))
            .await;
        assert!(message.contains("NotAllowedByListeners"), "{message}");
        assert!(
            message.contains(&format!("{namespace}/public")),
            "{message}"
        );
        report::<HTTPRoute>(&site, "shop", said("True", "Accepted")).await;
        site.condition("shop", of, ("True", "Accepted")).await;

        let other = json!({"spec": {"hostnames": ["else.example.com"]}});
        site.merge::<HTTPRoute>("shop", other).await;
        eventually("an edit is undone", SOON, async || {
            let route = site.get::<HTTPRoute>("shop").await.unwrap();
            route.spec.hostnames == ["auth.example.com"]
        })
        .await;
        site.apply("shop", json!({})).await;
        eventually("a route that is not wanted is gone", SOON, async || {
            site.get::<HTTPRoute>("shop").await.is_none()
        })
        .await;
        eventually("its condition is gone", SOON, async || {
            status(&site, "shop").await.condition(of).is_none()
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn an_api_that_is_removed_is_said_to_be_missing_without_a_storm_of_requests() {
    in_namespace("removed", async |config, namespace| {
        let definition = Definition::absent(&config, Optional::HttpRoute, "HTTPRoute").await;
        definition.install().await;
        let site = Site::new(&config, &namespace).await;
        let route = json!({"parentRefs": [{"name": "public"}]});
        site.apply("shop", json!({"httpRoute": route})).await;
        let of = ConditionType::HTTPRouteReady;
        site.condition("shop", of, ("False", "RoutePending")).await;
        site.built("shop").await;

        definition.remove().await;
        site.condition("shop", of, ("False", "ApiMissing")).await;
        site.condition("shop", ConditionType::Stalled, ("True", "ApiMissing"))
            .await;
        site.quiet().await;
        let count = || {
            let asked = site.asked.lock().unwrap();
            let about = |path: &&String| path.contains("httproutes");
            asked.iter().filter(about).count()
        };
        let before = count();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(count(), before, "nothing is asked of an API that is gone");

        definition.install().await;
        site.condition("shop", of, ("False", "RoutePending")).await;
        assert!(site.get::<HTTPRoute>("shop").await.is_some());
        definition.remove().await;
    })
    .await;
}

#[tokio::test]
async fn cert_manager_gets_the_certificate_and_what_it_says_is_told() {
    in_namespace("cert-manager", async |config, namespace| {
        let definition = Definition::absent(&config, Optional::Certificate, "Certificate").await;
        let site = Site::new(&config, &namespace).await;
        let tls = json!({"issuerRef": {"name": "letters", "kind": "ClusterIssuer"}});
        let ingress = json!({"host": "auth.example.com", "tls": tls});
        site.apply("shop", json!({"ingress": ingress})).await;
        let of = ConditionType::IngressReady;
        let message = site.condition("shop", of, ("False", "ApiMissing")).await;
        assert!(message.contains("spec.ingress.tls.secretName"), "{message}");
        let ingress = site.get::<Ingress>("shop").await.unwrap();
        let tls = ingress.spec.unwrap().tls.unwrap();
        assert_eq!(tls[0].secret_name.as_deref(), Some("shop-ingress-tls"));

        definition.install().await;
        site.condition("shop", of, ("False", "CertificatePending"))
            .await;
        let name = "shop-ingress-tls";
        let certificate = site.get::<Certificate>(name).await.unwrap();
        assert_eq!(certificate.spec.dns_names, ["auth.example.com"]);
        assert_eq!(certificate.spec.issuer_ref.name, "letters");
        let issuing = json!({"type": "Issuing", "status": "False", "reason": "Failed",
            "message": "the order is invalid", "observedGeneration": 1});
        report::<Certificate>(&site, name, json!({"conditions": [issuing]})).await;
        let message = site
            .condition("shop", of, ("False", "CertificateFailed"))
            .await;
        assert!(message.contains("the order is invalid"), "{message}");
        let ready = json!({"type": "Ready", "status": "True", "reason": "Ready",
            "message": "valid", "observedGeneration": 1});
        let good = json!({"conditions": [ready], "notAfter": "2031-02-03T04:05:06Z"});
        report::<Certificate>(&site, name, good).await;
        site.condition("shop", of, ("True", "AddressPending")).await;
        let certificates = status(&site, "shop").await.certificates;
        let told = certificates.iter().find(|one| one.secret_name == name);
        let expiry = told.unwrap().not_after.0.to_string();
        assert_eq!(expiry, "2031-02-03T04:05:06Z");

        let tls = json!({"secretName": "own-tls"});
        let ingress = json!({"host": "auth.example.com", "tls": tls});
        site.apply("shop", json!({"ingress": ingress})).await;
        eventually(
            "a certificate that is not wanted is gone",
            SOON,
            async || site.get::<Certificate>(name).await.is_none(),
        )
        .await;
        definition.remove().await;
    })
    .await;
}

#[tokio::test]
async fn a_kind_that_the_operator_may_not_read_is_said_and_heals_with_the_rights() {
    in_namespace("forbidden", async |config, namespace| {
        let definition = Definition::absent(&config, Optional::PodMonitor, "PodMonitor").await;
        let site = Site::new(&config, &namespace).await;
        let monitoring = json!({"podMonitor": true, "labels": {"release": "prometheus"}});
        site.apply("shop", json!({"monitoring": monitoring})).await;
        let of = ConditionType::MonitoringReady;
        let message = site.condition("shop", of, ("False", "ApiMissing")).await;
        assert!(message.contains("spec.monitoring.podMonitor"), "{message}");

        let whole = site.get::<Role>(ROLE).await.unwrap().rules.unwrap();
        let mut less = whole.clone();
        less.retain(|rule| {
            let groups = rule.api_groups.as_ref().unwrap();
            !groups.iter().any(|group| group == "monitoring.coreos.com")
        });
        assert!(less.len() < whole.len());
        site.merge::<Role>(ROLE, json!({"rules": less})).await;
        definition.install().await;
        let message = site.condition("shop", of, ("False", "Forbidden")).await;
        assert!(
            message.contains("podmonitors") && message.contains("config/rbac"),
            "{message}"
        );
        site.condition("shop", ConditionType::Stalled, ("True", "Forbidden"))
            .await;
        assert!(site.get::<Deployment>("shop-nginx").await.is_some());

        site.merge::<Role>(ROLE, json!({"rules": whole})).await;
        eventually("the PodMonitor is there", SOON * 2, async || {
            names::<PodMonitor>(&site).await == ["shop"]
        })
        .await;
        site.condition("shop", of, ("True", "Applied")).await;
        let monitor = site.get::<PodMonitor>("shop").await.unwrap();
        assert_eq!(monitor.labels()["release"], "prometheus");
        definition.remove().await;
    })
    .await;
}
