//! The Ingress that leads to nginx.

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule,
    IngressServiceBackend, IngressSpec, IngressTLS, ServiceBackendPort,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::owned;
use crate::reconcile::names::Component;
use crate::reconcile::validate::{self, Stack, Tls};

pub(super) fn build(stack: &Stack, ingress: &validate::Ingress) -> Ingress {
    let backend = IngressBackend {
        service: Some(IngressServiceBackend {
            name: stack.names.nginx(),
            port: Some(ServiceBackendPort {
                name: Some("http".to_owned()),
                number: None,
            }),
        }),
        resource: None,
    };
    let rule = IngressRule {
        host: ingress.host.clone(),
        http: Some(HTTPIngressRuleValue {
            paths: vec![HTTPIngressPath {
                path: Some("/".to_owned()),
                path_type: "Prefix".to_owned(),
                backend,
            }],
        }),
    };
    let tls = ingress.tls.as_ref().map(|tls| {
        let secret = match tls {
            Tls::Secret(name) => name.clone(),
            Tls::Issuer(_) | Tls::SelfSigned => stack.names.ingress_tls(),
        };
        vec![IngressTLS {
            hosts: ingress.host.clone().map(|host| vec![host]),
            secret_name: Some(secret),
        }]
    });
    let annotations = (!ingress.annotations.is_empty()).then(|| ingress.annotations.clone());
    Ingress {
        metadata: ObjectMeta {
            annotations,
            ..owned(stack, Component::Ingress, stack.names.ingress())
        },
        spec: Some(IngressSpec {
            ingress_class_name: ingress.class.clone(),
            rules: Some(vec![rule]),
            tls,
            default_backend: None,
        }),
        ..Ingress::default()
    }
}
