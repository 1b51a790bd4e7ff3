//! cert-manager's Certificate (cert-manager.io/v1).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use serde::{Deserialize, Serialize};

use super::Condition;

/// A certificate that cert-manager is to get, keep in a Secret and renew.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "cert-manager.io",
    version = "v1",
    kind = "Certificate",
    plural = "certificates",
    namespaced,
    schema = "disabled",
    status = "CertificateStatus"
)]
#[serde(default, rename_all = "camelCase")]
pub struct CertificateSpec {
    /// The Secret that it is kept in.
    pub secret_name: String,
    /// The names that it is for.
    pub dns_names: Vec<String>,
    /// Who signs it.
    pub issuer_ref: IssuerRef,
}

/// An issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct IssuerRef {
    /// Its name.
    pub name: String,
    /// Its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The API group of its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// What cert-manager says of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CertificateStatus {
    /// `Ready` and `Issuing`.
    pub conditions: Vec<Condition>,
    /// When the one in the Secret expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Time>,
}
