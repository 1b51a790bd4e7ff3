//! The certificate that cert-manager gets for the Ingress.

use authstack_crds::IssuerRef;

use super::owned;
use crate::foreign::cert_manager::{self, Certificate, CertificateSpec};
use crate::reconcile::names::Component;
use crate::reconcile::validate::{Ingress, Stack};

pub(super) fn build(stack: &Stack, ingress: &Ingress, issuer: &IssuerRef) -> Certificate {
    let name = stack.names.ingress_tls();
    Certificate {
        metadata: owned(stack, Component::Ingress, name.clone()),
        spec: CertificateSpec {
            secret_name: name,
            dns_names: ingress.host.iter().cloned().collect(),
            issuer_ref: cert_manager::IssuerRef {
                name: issuer.name.clone(),
                kind: Some(issuer.kind.clone()),
                group: Some(issuer.group.clone()),
            },
        },
        status: None,
    }
}
