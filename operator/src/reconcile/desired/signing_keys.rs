//! The Secret with the keys that sign tokens. It is created once: keys that
//! somebody adds to it stay, and the API takes them up without a restart.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use secrecy::ExposeSecret as _;

use super::kept;
use crate::reconcile::dereference::SigningKeys;
use crate::reconcile::names::{Component, SIGNING_KEYS_FILE};
use crate::reconcile::validate::Stack;

pub(super) fn build(stack: &Stack, keys: &SigningKeys) -> Secret {
    let file = ByteString(keys.file.expose_secret().as_bytes().to_vec());
    Secret {
        metadata: kept(stack, Component::Credentials, stack.names.signing_keys()),
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(SIGNING_KEYS_FILE.to_owned(), file)])),
        ..Secret::default()
    }
}
