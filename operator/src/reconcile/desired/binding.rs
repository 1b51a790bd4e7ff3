//! The Secret that tells client workloads about the stack: a "well-known Secret"
//! of the Service Binding specification 1.1 (servicebinding.io), of the type
//! `oidc`. Nothing in it is secret; the specification wants a Secret.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

use super::owned;
use crate::reconcile::names::Component;
use crate::reconcile::validate::{Signing, Stack};

pub(super) fn build(stack: &Stack) -> Secret {
    let names = &stack.names;
    let internal = format!("http://{}", names.host(&names.nginx()));
    let mut data = BTreeMap::new();
    let mut put = |key: &str, value: &str| {
        data.insert(key.to_owned(), ByteString(value.as_bytes().to_vec()));
    };
    put("type", "oidc");
    put("provider", "authstack");
    put("issuer", &stack.tokens.issuer);
    put("audience", &stack.tokens.audience);
    put("uri", &stack.public_url);
    put("internal-uri", &internal);
    // A shared secret has no public half.
    if stack.tokens.signing == Signing::EdDsa {
        put(
            "jwks-uri",
            &format!("{}/.well-known/jwks.json", stack.public_url),
        );
        put(
            "internal-jwks-uri",
            &format!("{internal}/.well-known/jwks.json"),
        );
    }
    Secret {
        metadata: owned(stack, Component::Nginx, names.binding()),
        type_: Some("servicebinding.io/oidc".to_owned()),
        data: Some(data),
        ..Secret::default()
    }
}
