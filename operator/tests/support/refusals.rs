//! A client that remembers what it was forbidden to do.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
};
use tower::{BoxError, Service, layer::layer_fn};

/// Method and address of every request that was answered 403.
pub(crate) type Refusals = Arc<Mutex<Vec<String>>>;

/// A client, and what it has been forbidden so far.
pub(crate) fn recording(config: Config) -> (Client, Refusals) {
    let refusals = Refusals::default();
    let layer = layer_fn(|inner| Recording {
        inner,
        refusals: Arc::clone(&refusals),
    });
    let builder = ClientBuilder::try_from(config).unwrap();
    let client = builder.with_layer(&layer).build();
    (client, refusals)
}

struct Recording<S> {
    inner: S,
    refusals: Refusals,
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
        let refusals = Arc::clone(&self.refusals);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            if answer.status() == StatusCode::FORBIDDEN {
                refusals.lock().unwrap().push(what);
            }
            Ok(answer)
        })
    }
}
