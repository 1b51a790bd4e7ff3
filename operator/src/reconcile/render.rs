//! What would be applied for a manifest, without a cluster.

use std::fmt::Write as _;

use authstack_crds::AuthStack;
use k8s_openapi::api::core::v1::Secret;
use serde::Deserialize as _;
use serde::Serialize;

use super::children::Child;
use super::dereference::Inputs;
use super::desired::{self, Api, Cluster, Desired, Nginx, Postgres, Prepared};
use super::error;
use super::validate;
use crate::args::Images;

/// Why a manifest cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no YAML, or no AuthStack.
    #[error("document {document}: {problem}")]
    Manifest {
        /// Which document of the file, from 1.
        document: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// It is an AuthStack that cannot be.
    #[error(transparent)]
    Stack(#[from] error::Error),
    /// An object could not be written as YAML.
    #[error(transparent)]
    Yaml(#[from] serde_yaml::Error),
}

/// The children of every AuthStack in a file, as YAML documents in the order in
/// which they would be applied. Secrets show placeholders; owner references
/// show a placeholder for the uid that only a cluster gives.
///
/// # Errors
/// When the file holds anything but AuthStacks that this operator can run.
pub fn render(yaml: &str, images: &Images) -> Result<String, Error> {
    let mut out = String::new();
    for (index, document) in serde_yaml::Deserializer::from_str(yaml).enumerate() {
        let problem = |problem: String| Error::Manifest {
            document: index + 1,
            problem,
        };
        let value =
            serde_yaml::Value::deserialize(document).map_err(|error| problem(error.to_string()))?;
        if value.is_null() {
            continue;
        }
        let mut stack = parse(value).map_err(problem)?;
        stack.metadata.uid = Some("<uid of the AuthStack>".to_owned());
        let inputs = Inputs::placeholders();
        let stack = validate::validate(&stack, &inputs, images)?;
        print(&mut out, desired::build(&stack, &inputs))?;
    }
    if out.is_empty() {
        return Err(Error::Manifest {
            document: 1,
            problem: "the file holds no AuthStack".to_owned(),
        });
    }
    Ok(out)
}

fn parse(mut value: serde_yaml::Value) -> Result<AuthStack, String> {
    use kube::Resource as _;
    let is = |field: &str, wanted: &str| match value.get(field).and_then(|is| is.as_str()) {
        Some(is) if is == wanted => Ok(()),
        Some(is) => Err(format!(
            "{field} is {is}, and only {wanted} can be rendered"
        )),
        None => Err(format!("{field} is missing: it must be {wanted}")),
    };
    is("apiVersion", &AuthStack::api_version(&()))?;
    is("kind", &AuthStack::kind(&()))?;
    if let Some(fields) = value.as_mapping_mut() {
        // Checked, and no field of the type: they would count as unknown.
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    let mut unknown = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let fields = serde_path_to_error::Deserializer::new(value, &mut track);
    let stack = serde_ignored::deserialize(fields, |path| unknown.push(path.to_string()));
    let stack: AuthStack = stack.map_err(|error| match track.path().to_string().as_str() {
        "." => error.to_string(),
        path => format!("{path}: {error}"),
    })?;
    if unknown.is_empty() {
        Ok(stack)
    } else {
        Err(format!("unknown field {}", unknown.join(", ")))
    }
}

fn print(out: &mut String, desired: Desired<Prepared>) -> Result<(), Error> {
    let Desired {
        credentials,
        signing_keys,
        binding,
        authority,
        postgres,
        cluster,
        api,
        nginx,
        ingress_tls,
        certificate,
        ingress,
        http_route,
        pod_monitor,
    } = desired;
    document(out, &readable(credentials))?;
    if let Some(signing_keys) = signing_keys {
        document(out, &readable(signing_keys))?;
    }
    document(out, &readable(binding))?;
    document(out, &readable(authority))?;
    if let Some(postgres) = postgres {
        print_postgres(out, postgres)?;
    }
    if let Some(cluster) = cluster {
        print_cluster(out, cluster)?;
    }
    let Api {
        service_account,
        tls,
        service,
        network_policy,
        disruption_budget,
        deployment,
        autoscaler,
    } = api;
    document(out, &service_account)?;
    document(out, &readable(tls))?;
    document(out, &service)?;
    optional(out, network_policy.as_ref())?;
    document(out, &disruption_budget)?;
    document(out, &deployment)?;
    optional(out, autoscaler.as_ref())?;
    let Nginx {
        service_account,
        config_map,
        service,
        network_policy,
        disruption_budget,
        deployment,
    } = nginx;
    document(out, &service_account)?;
    document(out, &config_map)?;
    document(out, &service)?;
    optional(out, network_policy.as_ref())?;
    document(out, &disruption_budget)?;
    document(out, &deployment)?;
    optional(out, ingress_tls.map(readable).as_ref())?;
    optional(out, certificate.as_ref())?;
    optional(out, ingress.as_ref())?;
    optional(out, http_route.as_ref())?;
    optional(out, pod_monitor.as_ref())
}

fn print_postgres(out: &mut String, postgres: Postgres<Prepared>) -> Result<(), Error> {
    let Postgres {
        service_account,
        tls,
        config_map,
        service,
        headless_service,
        network_policy,
        job_network_policy,
        stateful_set,
        reload,
    } = postgres;
    document(out, &service_account)?;
    document(out, &readable(tls))?;
    document(out, &config_map)?;
    document(out, &service)?;
    document(out, &headless_service)?;
    optional(out, network_policy.as_ref())?;
    optional(out, job_network_policy.as_ref())?;
    document(out, &stateful_set)?;
    optional(out, reload.as_ref())
}

fn print_cluster(out: &mut String, cluster: Cluster<Prepared>) -> Result<(), Error> {
    let Cluster {
        owner_secret,
        runtime_secret,
        network_policy,
        cluster,
        pooler,
    } = cluster;
    document(out, &readable(owner_secret))?;
    document(out, &readable(runtime_secret))?;
    optional(out, network_policy.as_ref())?;
    document(out, &cluster)?;
    optional(out, pooler.as_ref())
}

fn optional<K: Child + Serialize>(out: &mut String, object: Option<&K>) -> Result<(), Error> {
    object.map_or(Ok(()), |object| document(out, object))
}

/// A Secret whose values, placeholders at most, can be read without base64.
fn readable(mut secret: Secret) -> Secret {
    let values = secret.data.take().unwrap_or_default().into_iter();
    let values = values.map(|(key, value)| (key, String::from_utf8_lossy(&value.0).into_owned()));
    secret.string_data = Some(values.collect());
    secret
}

fn document<K: Child + Serialize>(out: &mut String, object: &K) -> Result<(), Error> {
    let _ = write!(out, "---\n{}", serde_yaml::to_string(object)?);
    Ok(())
}
