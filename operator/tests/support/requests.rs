//! A client that remembers what it asked for, and what it was forbidden.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode, Uri};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
};
use tower::{BoxError, Service, layer::layer_fn};

/// What a rule of RBAC grants: a verb on a resource of an API group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Right {
    /// The group; empty for the core.
    pub(crate) group: String,
    /// The resource, with a subresource after a slash.
    pub(crate) resource: String,
    /// The verb, as RBAC names it.
    pub(crate) verb: String,
}

/// What has been asked for so far.
#[derive(Clone, Default)]
pub(crate) struct Requests(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    used: BTreeSet<Right>,
    forbidden: Vec<String>,
    namespaces: BTreeSet<String>,
}

impl Requests {
    /// The rights that were needed.
    pub(crate) fn used(&self) -> BTreeSet<Right> {
        self.0.lock().unwrap().used.clone()
    }

    /// Method and address of every request that was answered 403.
    pub(crate) fn forbidden(&self) -> Vec<String> {
        self.0.lock().unwrap().forbidden.clone()
    }

    /// The namespaces that requests went to; an empty name for all at once.
    pub(crate) fn namespaces(&self) -> BTreeSet<String> {
        self.0.lock().unwrap().namespaces.clone()
    }
}

/// A client, and what it asks for.
pub(crate) fn recording(config: Config) -> (Client, Requests) {
    let requests = Requests::default();
    let layer = layer_fn(|inner| Recording {
        inner,
        requests: requests.clone(),
    });
    let builder = ClientBuilder::try_from(config).unwrap();
    let client = builder.with_layer(&layer).build();
    (client, requests)
}

/// The right that a request needs and the namespace that it goes to, unless it
/// is one of those that everybody may make to find out which APIs there are.
fn right(method: &Method, uri: &Uri) -> Option<(Right, String)> {
    let pieces: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
    let (group, rest) = match pieces.as_slice() {
        ["api", _, rest @ ..] => ("", rest),
        ["apis", group, _, rest @ ..] => (*group, rest),
        _ => return None,
    };
    let (namespace, rest) = match rest {
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
        rest => ("", rest),
    };
    let (resource, name) = match rest {
        [] => return None,
        [resource] => ((*resource).to_owned(), None),
        [resource, name] => ((*resource).to_owned(), Some(name)),
        [resource, name, part, ..] => (format!("{resource}/{part}"), Some(name)),
    };
    let watches = uri
        .query()
        .is_some_and(|query| query.contains("watch=true"));
    let verb = match (method.as_str(), name) {
        ("GET", _) if watches => "watch",
        ("GET", Some(_)) => "get",
        ("GET", None) => "list",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", Some(_)) => "delete",
        (other, _) => other,
    };
    let right = Right {
        group: group.to_owned(),
        resource,
        verb: verb.to_owned(),
    };
    Some((right, namespace.to_owned()))
}

struct Recording<S> {
    inner: S,
    requests: Requests,
}

impl<S, B> Service<Request<Body>> for Recording<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<B>, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let what = format!("{} {}", request.method(), request.uri());
        if let Some((right, namespace)) = right(request.method(), request.uri()) {
            let mut seen = self.requests.0.lock().unwrap();
            seen.used.insert(right);
            seen.namespaces.insert(namespace);
        }
        let requests = self.requests.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            if answer.status() == StatusCode::FORBIDDEN {
                requests.0.lock().unwrap().forbidden.push(what);
            }
            Ok(answer)
        })
    }
}
