//! The `AuthStack` custom resource: its types, their schema and the rules that
//! the API server checks. Nothing else lives here, so anything that talks about
//! an `AuthStack` can depend on this crate alone.
//!
//! The conventions are those of the [Kubernetes API conventions]; every field
//! carries its own documentation, which `kubectl explain` prints.
//!
//! [Kubernetes API conventions]: https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md

mod authstack;
mod database;
mod front;
mod network;
mod pods;
mod schema;
mod status;
mod tokens;

pub use authstack::*;
pub use database::*;
pub use front::*;
pub use network::*;
pub use pods::*;
pub use status::*;
pub use tokens::*;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON,
};
use kube::CustomResourceExt;

/// The `CustomResourceDefinition` as YAML, as it stands in `crds/authstacks.yaml`.
///
/// # Errors
/// Never in practice: the definition is built from the types of this crate and
/// holds nothing that YAML cannot say.
pub fn crd_yaml() -> Result<String, serde_yaml::Error> {
    let yaml = serde_yaml::to_string(&crd())?;
    Ok(format!(
        "# Generated from crds/src by `authstack-operator crd`; do not edit.\n---\n{yaml}"
    ))
}

/// The `CustomResourceDefinition` of [`AuthStack`].
#[must_use]
pub fn crd() -> CustomResourceDefinition {
    let mut definition = AuthStack::crd();
    let versions = definition.spec.versions.iter_mut();
    let schemas =
        versions.filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut());
    for schema in schemas {
        let properties = schema.properties.as_mut();
        if let Some(status) = properties.and_then(|all| all.get_mut("status")) {
            // Until the operator has seen it, a stack is behind its manifest for
            // whoever compares generations, and not merely without conditions,
            // which kstatus would take for being done.
            status.default = Some(JSON(serde_json::json!({"observedGeneration": -1})));
        }
    }
    definition
}
