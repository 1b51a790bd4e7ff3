//! The Secrets with the stack's authority and the certificates that it signs.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use secrecy::ExposeSecret as _;

use authstack_crds::DeletionPolicy;

use super::{owned, unowned};
use crate::reconcile::certificates::{Authority, Leaf, Pair};
use crate::reconcile::names::{Component, tls};
use crate::reconcile::validate::Stack;

const TYPE: &str = "kubernetes.io/tls";

/// The authority. Only the operator reads it; no pod mounts it.
pub(super) fn authority(stack: &Stack, authority: &Authority) -> Secret {
    let name = stack.names.authority();
    // Like the credentials: clients of a stack that comes back still trust it.
    let metadata = match stack.deletion_policy {
        DeletionPolicy::Retain => unowned(stack, Component::Credentials, name),
        DeletionPolicy::Delete => owned(stack, Component::Credentials, name),
    };
    Secret {
        metadata,
        type_: Some(TYPE.to_owned()),
        data: Some(data(&authority.pair).into()),
        ..Secret::default()
    }
}

/// A server's certificate, with what its clients are to trust.
pub(super) fn leaf(stack: &Stack, component: Component, name: String, leaf: &Leaf) -> Secret {
    let trust = (tls::TRUST.to_owned(), bytes(&leaf.trust));
    Secret {
        metadata: owned(stack, component, name),
        type_: Some(TYPE.to_owned()),
        data: Some(data(&leaf.pair).into_iter().chain([trust]).collect()),
        ..Secret::default()
    }
}

fn data(pair: &Pair) -> [(String, ByteString); 2] {
    [
        (tls::CERTIFICATE.to_owned(), bytes(&pair.certificate)),
        (tls::KEY.to_owned(), bytes(pair.key.expose_secret())),
    ]
}

fn bytes(text: &str) -> ByteString {
    ByteString(text.as_bytes().to_vec())
}
