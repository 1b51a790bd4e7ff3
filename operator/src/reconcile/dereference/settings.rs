//! Settings of the API that stand in objects of somebody else's.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};
use secrecy::{ExposeSecret as _, SecretString};

use authstack_crds::{ApiSpec, EnvFromRef, SecretKeyRef, SigningSpec};

use super::{Reference, read, text};
use crate::reconcile::error::{Error, api};
use crate::reconcile::names::Names;

/// The fewest bytes of a shared secret: as many as HS256's output (RFC 7518,
/// section 3.2).
const MIN_SECRET_BYTES: usize = 32;

/// Settings of the API that the manifest refers to.
pub struct Settings {
    /// Whether they are all there.
    pub reference: Reference,
    /// What to tell a change by.
    pub(super) values: Vec<SecretString>,
}

impl Settings {
    /// What a manifest that refers to nothing has.
    pub(super) fn none() -> Self {
        Self {
            reference: Reference::None,
            values: Vec::new(),
        }
    }

    fn found(&mut self, value: SecretString) {
        if self.reference == Reference::None {
            self.reference = Reference::Found;
        }
        self.values.push(value);
    }

    fn missing(&mut self, what: String) {
        if !matches!(self.reference, Reference::Missing(_)) {
            self.reference = Reference::Missing(what);
        }
    }
}

pub(super) async fn settings(
    client: &Client,
    names: &Names,
    spec: &ApiSpec,
    signing: &SigningSpec,
) -> Result<Settings, Error> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &names.namespace);
    let mut settings = Settings::none();
    if let Some(reference) = &signing.secret_key_ref {
        secret_key(&secrets, reference, &mut settings).await?;
    }
    for reference in &spec.env_from {
        match reference {
            EnvFromRef {
                secret_ref: Some(reference),
                ..
            } => {
                let name = &reference.name;
                let data = read(&secrets, name).await?.map(|secret| secret.data);
                match data {
                    Some(data) => settings.found(encoded(&data)),
                    None => settings.missing(missing("Secret", name)),
                }
            }
            EnvFromRef {
                config_map_ref: Some(reference),
                ..
            } => {
                let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &names.namespace);
                let name = &reference.name;
                let found = maps.get_opt(name).await;
                match found.map_err(api(format!("reading ConfigMap {name}")))? {
                    Some(found) => settings.found(encoded(&found.data)),
                    None => settings.missing(missing("ConfigMap", name)),
                }
            }
            // The schema lets none of these through.
            EnvFromRef { .. } => {}
        }
    }
    Ok(settings)
}

async fn secret_key(
    secrets: &Api<Secret>,
    reference: &SecretKeyRef,
    settings: &mut Settings,
) -> Result<(), Error> {
    let SecretKeyRef { name, key } = reference;
    let secret = read(secrets, name).await?;
    let value = secret.as_ref().and_then(|secret| text(secret, key));
    match (secret, value) {
        (_, Some(value)) if value.expose_secret().trim().len() >= MIN_SECRET_BYTES => {
            settings.found(value);
        }
        (Some(_), Some(_)) => settings.missing(format!(
            "the key {key} of Secret {name} has fewer than {MIN_SECRET_BYTES} bytes: tokens must not be signed with it; put a longer one there"
        )),
        (Some(_), None) => settings.missing(format!(
            "Secret {name} has no key {key} with the shared secret of HS256: add it"
        )),
        (None, _) => settings.missing(format!(
            "Secret {name} does not exist: create it with the shared secret of HS256 under the key {key}"
        )),
    }
    Ok(())
}

fn missing(kind: &str, name: &str) -> String {
    format!("{kind} {name} does not exist, which spec.api.envFrom names: create it")
}

/// One text for a map of values: maps are in the order of their keys.
fn encoded<T: serde::Serialize>(data: &T) -> SecretString {
    // Maps with keys of text always encode.
    serde_json::to_string(data).unwrap_or_default().into()
}
