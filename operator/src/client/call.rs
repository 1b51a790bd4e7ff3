//! What a request asks of the API server, in the API's own words, for metrics
//! and traces.

use std::time::Instant;

use http::{Method, Request, StatusCode, header::CONTENT_TYPE};

use super::{NotLeading, TimedOut};
use crate::metrics;

/// One request, from its sending to its end, which records it.
#[derive(Debug)]
pub(super) struct Call {
    /// The verb, as in rules of RBAC, but that a server-side apply is `apply`.
    pub(super) verb: &'static str,
    /// The resource, as in rules of RBAC: `secrets`, `authstacks/status`.
    pub(super) resource: String,
    begin: Instant,
    /// Nothing until it is known; a call that is dropped before was abandoned.
    outcome: Option<String>,
}

impl Call {
    /// What a request asks.
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let (resource, named) = resource(request.uri().path());
        Self {
            verb: verb(request, named),
            resource,
            begin: Instant::now(),
            outcome: None,
        }
    }

    /// Whether it may change something.
    pub(super) fn writes(&self) -> bool {
        !matches!(self.verb, "get" | "list" | "watch")
    }

    /// The API server answered, or the answer will never come.
    pub(super) fn ended(&mut self, answer: Result<StatusCode, &tower::BoxError>) {
        self.outcome = Some(match answer {
            Ok(status) if status.is_success() => "ok".to_owned(),
            Ok(status) => status.as_str().to_owned(),
            Err(error) if error.is::<NotLeading>() => "not_leading".to_owned(),
            Err(error) if error.is::<TimedOut>() => "timeout".to_owned(),
            Err(_) => "unreachable".to_owned(),
        });
    }

    /// How it ended.
    pub(super) fn outcome(&self) -> &str {
        self.outcome.as_deref().unwrap_or("abandoned")
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let outcome = self.outcome().to_owned();
        if outcome != "not_leading" {
            metrics::record_request(self.verb, self.begin.elapsed());
        }
        if self.writes() {
            metrics::record_write(std::mem::take(&mut self.resource), self.verb, outcome);
        }
    }
}

fn verb<B>(request: &Request<B>, named: bool) -> &'static str {
    let is_apply = || {
        let of = request.headers().get(CONTENT_TYPE);
        of.is_some_and(|of| of.as_bytes().starts_with(b"application/apply-patch"))
    };
    let watches = || {
        let mut query = request.uri().query().unwrap_or_default().split('&');
        query.any(|pair| pair == "watch=true" || pair == "watch=1")
    };
    match *request.method() {
        Method::GET | Method::HEAD if watches() => "watch",
        Method::GET | Method::HEAD if named => "get",
        Method::GET | Method::HEAD => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH if is_apply() => "apply",
        Method::PATCH => "patch",
        Method::DELETE if named => "delete",
        Method::DELETE => "deletecollection",
        _ => "other",
    }
}

/// The resource of a path, and whether the path names one object of it.
fn resource(path: &str) -> (String, bool) {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    // `/api/v1/…` or `/apis/group/version/…`
    let prefix = match parts.next() {
        Some("api") => 1,
        Some("apis") => 2,
        _ => return ("none".to_owned(), true),
    };
    let mut parts: Vec<_> = parts.skip(prefix).collect();
    if parts.len() > 2 && parts[0] == "namespaces" {
        parts.drain(..2);
    }
    match parts.as_slice() {
        // What APIs there are.
        [] => ("none".to_owned(), true),
        [resource] => ((*resource).to_owned(), false),
        [resource, _] => ((*resource).to_owned(), true),
        [resource, _, subresource, ..] => (format!("{resource}/{subresource}"), true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_named_as_in_rules() {
        let merge = "application/merge-patch+json";
        let apply = "application/apply-patch+yaml";
        for (method, uri, content, verb, resource) in [
            (
                "GET",
                "/api/v1/secrets?&labelSelector=a&watch=true",
                "",
                "watch",
                "secrets",
            ),
            ("GET", "/api/v1/namespaces/a/pods?", "", "list", "pods"),
            (
                "GET",
                "/api/v1/namespaces/a/secrets/b",
                "",
                "get",
                "secrets",
            ),
            (
                "POST",
                "/apis/apps/v1/namespaces/a/deployments?",
                "",
                "create",
                "deployments",
            ),
            (
                "PATCH",
                "/apis/apps/v1/namespaces/a/deployments/b?force=true",
                apply,
                "apply",
                "deployments",
            ),
            (
                "PATCH",
                "/api/v1/namespaces/a/services/b",
                merge,
                "patch",
                "services",
            ),
            (
                "PATCH",
                "/apis/auth.dataviv.com/v1alpha1/namespaces/a/authstacks/b/status?",
                apply,
                "apply",
                "authstacks/status",
            ),
            (
                "PUT",
                "/apis/coordination.k8s.io/v1/namespaces/a/leases/b",
                "",
                "update",
                "leases",
            ),
            (
                "DELETE",
                "/apis/networking.k8s.io/v1/namespaces/a/ingresses/b",
                "",
                "delete",
                "ingresses",
            ),
            (
                "DELETE",
                "/api/v1/namespaces/a/pods",
                "",
                "deletecollection",
                "pods",
            ),
            ("GET", "/apis/cert-manager.io/v1", "", "get", "none"),
            ("GET", "/version", "", "get", "none"),
        ] {
            let request = Request::builder().method(method).uri(uri);
            let request = request.header(CONTENT_TYPE, content).body(()).unwrap();
            let call = Call::of(&request);
            assert_eq!(
                (call.verb, call.resource.as_str()),
                (verb, resource),
                "{method} {uri}"
            );
        }
    }
}
