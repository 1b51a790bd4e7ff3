//! The keys that sign a stack's tokens: a JWK Set with private keys, made once.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client};
use rand::Rng as _;
use secrecy::{ExposeSecret as _, ExposeSecretMut as _, SecretSlice, SecretString};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{ours, read, text};
use crate::reconcile::error::{Error, api};
use crate::reconcile::names::{Names, SIGNING_KEYS_FILE};

/// A stack's key file, found or made.
pub struct SigningKeys {
    /// The file: a JWK Set (RFC 7517, section 5), as the API reads it.
    pub file: SecretString,
    /// The metadata of the Secret that holds it, if it exists.
    pub meta: Option<ObjectMeta>,
}

/// The key file that exists, whoever changed it since; else a new one.
pub(super) async fn signing_keys(
    client: &Client,
    secrets: &Api<Secret>,
    names: &Names,
) -> Result<SigningKeys, Error> {
    let name = names.signing_keys();
    let Some(secret) = read(secrets, &name).await? else {
        if is_mounted(client, names).await? {
            return Err(Error::SigningKeysMissing {
                secret: name,
                deployment: names.api(),
            });
        }
        return Ok(SigningKeys {
            file: generate()?,
            meta: None,
        });
    };
    ours(&secret, names, &name)?;
    let file = text(&secret, SIGNING_KEYS_FILE).filter(|file| !file.expose_secret().is_empty());
    let file = file.ok_or(Error::CredentialsInvalid {
        secret: name,
        key: SIGNING_KEYS_FILE,
    })?;
    Ok(SigningKeys {
        file,
        meta: Some(secret.metadata),
    })
}

/// Whether pods of the API were given a key file. They go on with it, and would
/// refuse one in which a key signs that nobody has known before.
async fn is_mounted(client: &Client, names: &Names) -> Result<bool, Error> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &names.namespace);
    let name = names.api();
    let found = deployments.get_opt(&name).await;
    let found = found.map_err(api(format!("reading Deployment {name}")))?;
    let volumes = found
        .and_then(|deployment| deployment.spec?.template.spec?.volumes)
        .unwrap_or_default();
    let wanted = Some(names.signing_keys());
    Ok(volumes.into_iter().any(|volume| {
        let secret = volume.secret.and_then(|secret| secret.secret_name);
        secret == wanted
    }))
}

/// A new file with one Ed25519 key (RFC 8037, section 2) that signs.
fn generate() -> Result<SecretString, Error> {
    let mut seed: SecretSlice<u8> = vec![0; 32].into();
    rand::rng().fill_bytes(seed.expose_secret_mut());
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose_secret())
        .map_err(|_| Error::KeyGeneration)?;
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    // Its thumbprint (RFC 7638, section 3).
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    let kid = URL_SAFE_NO_PAD.encode(Sha256::digest(members));
    let d = URL_SAFE_NO_PAD.encode(seed.expose_secret());
    let file = json!({"keys": [{
        "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
        "kid": kid, "x": x, "d": d, "state": "active",
    }]});
    Ok(format!("{file:#}\n").into())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_new_file_has_one_key_of_its_own() {
        let [one, other] = [generate(), generate()].map(|file| {
            let file: Value = serde_json::from_str(file.unwrap().expose_secret()).unwrap();
            file["keys"].as_array().unwrap().clone()
        });
        assert_eq!((one.len(), other.len()), (1, 1));
        assert_ne!(one[0]["d"], other[0]["d"]);
        let bytes = |member: &str| {
            let text = one[0][member].as_str().unwrap();
            URL_SAFE_NO_PAD.decode(text).unwrap()
        };
        assert_eq!(bytes("kid").len(), 32);
        // The public half belongs to the private one.
        let pair = Ed25519KeyPair::from_seed_and_public_key(&bytes("d"), &bytes("x"));
        assert!(pair.is_ok());
        assert_eq!(one[0]["state"], "active");
    }
}
