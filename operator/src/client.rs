//! Clients for the API server: bounded in time, and fenced by leadership.
//!
//! The fence sits beneath every write that the operator makes, so that no
//! reconciler has to remember to ask whether it still leads.

mod call;

use std::{
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{Request, Response};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
};
use tower::{BoxError, Layer, Service};
use tracing::Instrument as _;

use self::call::Call;
use crate::{leader::Leadership, telemetry::spans};

/// How long connecting may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a connection may be silent in the middle of an answer. Watches
/// must ask the server to end them sooner ([`WATCH_SECONDS`]).
const SILENCE_TIMEOUT: Duration = Duration::from_mins(1);

/// How long the answer to a read may take to begin.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a write may take, connecting included. Added to the renew deadline
/// it stays below the lease's duration, so that a write which begins in the
/// last moment of a leadership has ended when the next one may begin.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(4);

/// What to pass to [`kube::runtime::watcher::Config::timeout`], in seconds:
/// below the timeout for silence, or every idle watch would end in an error.
pub const WATCH_SECONDS: u32 = 45;

/// A write was refused, unsent, because this replica does not lead.
#[derive(Debug, thiserror::Error)]
#[error("not sent: this replica does not lead")]
pub struct NotLeading;

/// The API server took too long.
#[derive(Debug, thiserror::Error)]
#[error("no answer from the API server within {} s", .0.as_secs_f32())]
pub struct TimedOut(Duration);

/// The configuration of the environment (`KUBECONFIG` or the pod's service
/// account) with this operator's timeouts.
///
/// # Errors
/// When neither is there, or is not readable.
pub async fn infer() -> Result<Config, kube::config::InferConfigError> {
    Config::infer().await.map(bounded)
}

/// Replaces a configuration's timeouts with this operator's.
#[must_use]
pub fn bounded(mut config: Config) -> Config {
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(SILENCE_TIMEOUT);
    config.write_timeout = Some(SILENCE_TIMEOUT);
    // Else the time that a pooled connection lay idle counts as silence.
    config.reset_reader_on_write = true;
    // A retry inside the client would start a write later than the fence
    // allowed it, and would hide refusals from the caller's own back-off.
    config.default_retry = false;
    config
}

/// A client whose requests end in time, for the election itself.
///
/// # Errors
/// When the configuration's certificates or credentials are not usable.
pub fn unfenced(config: Config) -> Result<Client, kube::Error> {
    build(config, None)
}

/// A client that reads at any time and writes only while this replica leads.
/// A refused write is an error for which [`is_not_leading`] is true.
///
/// # Errors
/// When the configuration's certificates or credentials are not usable.
pub fn fenced(config: Config, leadership: Leadership) -> Result<Client, kube::Error> {
    build(config, Some(leadership))
}

/// Whether an error says that the fence refused a write: nothing was sent and
/// nothing is wrong, another replica does the work.
#[must_use]
pub fn is_not_leading(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Service(inner) if inner.is::<NotLeading>())
}

fn build(config: Config, leadership: Option<Leadership>) -> Result<Client, kube::Error> {
    let builder = ClientBuilder::try_from(bounded(config))?;
    Ok(builder.with_layer(&Fence { leadership }).build())
}

/// The layer that bounds requests, records them and, given a leadership, fences
/// writes.
#[derive(Clone)]
struct Fence {
    leadership: Option<Leadership>,
}

impl<S> Layer<S> for Fence {
    type Service = Fenced<S>;

    fn layer(&self, inner: S) -> Fenced<S> {
        Fenced {
            inner,
            leadership: self.leadership.clone(),
        }
    }
}

struct Fenced<S> {
    inner: S,
    leadership: Option<Leadership>,
}

impl<S, B> Service<Request<Body>> for Fenced<S>
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
        let mut call = Call::of(&request);
        let writes = call.writes();
        if writes && self.leadership.as_ref().is_some_and(|l| !l.may_write()) {
            let error = NotLeading.into();
            call.ended(Err(&error));
            return Box::pin(async { Err(error) });
        }
        let limit = if writes { WRITE_TIMEOUT } else { READ_TIMEOUT };
        let span = spans::request(call.verb, &call.resource);
        let of_answer = span.clone();
        let answer = self.inner.call(request);
        let bounded = async move {
            let answer = match tokio::time::timeout(limit, answer).await {
                Ok(answer) => answer,
                Err(_) => Err(TimedOut(limit).into()),
            };
            call.ended(answer.as_ref().map(Response::status));
            spans::ended(&of_answer, call.outcome());
            answer
        };
        Box::pin(bounded.instrument(span))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use http::Response;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::{Api, DeleteParams, PostParams};

    use super::*;
    use crate::leader::LeadershipSource;

    /// A client over a server that counts and then says nothing or "not found".
    fn client(leadership: Option<Leadership>, answers: bool) -> (Client, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&count);
        let server = tower::service_fn(move |_: Request<Body>| {
            seen.fetch_add(1, Ordering::SeqCst);
            async move {
                if !answers {
                    std::future::pending::<()>().await;
                }
                let status = r#"{"status":"Failure","message":"","reason":"NotFound","code":404}"#;
                Response::builder()
                    .status(404)
                    .body(Body::from(status.as_bytes().to_vec()))
                    .map_err(BoxError::from)
            }
        });
        let service = Fence { leadership }.layer(server);
        (Client::new(service, "default"), count)
    }

    #[tokio::test(start_paused = true)]
    async fn writes_stop_at_the_deadline_and_reads_go_on() {
        let source = LeadershipSource::new();
        let (client, sent) = client(Some(source.leadership()), true);
        let api = Api::<ConfigMap>::default_namespaced(client);
        let (params, object) = (PostParams::default(), ConfigMap::default());
        let write = || api.create(&params, &object);

        assert!(is_not_leading(&write().await.unwrap_err()));
        assert_eq!(sent.load(Ordering::SeqCst), 0, "refused unsent");
        assert_eq!(api.get_opt("x").await.unwrap(), None);
        assert_eq!(sent.load(Ordering::SeqCst), 1);

        source.lead_until(tokio::time::Instant::now() + Duration::from_secs(10));
        assert!(!is_not_leading(&write().await.unwrap_err()));
        assert_eq!(sent.load(Ordering::SeqCst), 2);

        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(is_not_leading(&write().await.unwrap_err()));
        let delete = api.delete("x", &DeleteParams::default()).await;
        assert!(is_not_leading(&delete.unwrap_err()));
        assert_eq!(sent.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_an_error_in_time() {
        let (client, _) = client(None, false);
        let api = Api::<ConfigMap>::default_namespaced(client);
        let begin = tokio::time::Instant::now();
        let error = api
            .create(&PostParams::default(), &ConfigMap::default())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("within 4 s"), "{error}");
        assert_eq!(begin.elapsed(), WRITE_TIMEOUT);

        let begin = tokio::time::Instant::now();
        api.get("x").await.unwrap_err();
        assert_eq!(begin.elapsed(), READ_TIMEOUT);
    }
}
