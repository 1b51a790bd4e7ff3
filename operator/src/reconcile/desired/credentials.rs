//! The Secret with what the operator generated for a stack.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use secrecy::ExposeSecret as _;

use super::kept;
use crate::reconcile::dereference::Credentials;
use crate::reconcile::names::{Component, credential};
use crate::reconcile::validate::{Database, Stack};

pub(super) fn build(stack: &Stack, credentials: &Credentials) -> Secret {
    let mut data = BTreeMap::new();
    let mut put = |key: &str, value: &secrecy::SecretString| {
        let value = ByteString(value.expose_secret().as_bytes().to_vec());
        data.insert(key.to_owned(), value);
    };
    put(credential::SECRET_KEY, &credentials.secret_key);
    if let Database::Managed(_) = stack.database {
        put(
            credential::SUPERUSER_PASSWORD,
            &credentials.superuser_password,
        );
    }
    if let Database::Managed(_) | Database::CloudNativePg(_) = stack.database {
        put(credential::OWNER_PASSWORD, &credentials.owner_password);
        put(credential::RUNTIME_PASSWORD, &credentials.runtime_password);
    }
    Secret {
        metadata: kept(stack, Component::Credentials, stack.names.credentials()),
        type_: Some("Opaque".to_owned()),
        data: Some(data),
        ..Secret::default()
    }
}
