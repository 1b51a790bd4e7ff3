//! The HTTPRoute that leads to nginx.

use authstack_crds::HttpRouteSpec as Spec;

use super::owned;
use crate::foreign::gateway::{BackendRef, HTTPRoute, HttpRouteSpec, ParentRef, Rule};
use crate::reconcile::names::{Component, HTTP_PORT};
use crate::reconcile::validate::Stack;

pub(super) fn build(stack: &Stack, spec: &Spec) -> HTTPRoute {
    let parents = spec.parent_refs.iter().map(|parent| ParentRef {
        namespace: parent.namespace.clone(),
        name: parent.name.clone(),
        section_name: parent.section_name.clone(),
        port: parent.port,
    });
    HTTPRoute {
        metadata: owned(stack, Component::HttpRoute, stack.names.http_route()),
        spec: HttpRouteSpec {
            parent_refs: parents.collect(),
            hostnames: spec.hostnames.clone(),
            rules: vec![Rule {
                backend_refs: vec![BackendRef {
                    name: stack.names.nginx(),
                    port: Some(HTTP_PORT),
                }],
            }],
        },
        status: None,
    }
}
