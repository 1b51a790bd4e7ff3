//! An operator that dies after any of its writes, and the next one that goes on
//! where it stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use authstack_operator::args::{Images, WatchNamespaces};
use authstack_operator::client::bounded;
use authstack_operator::controller::{self, Settings};
use authstack_operator::health::Health;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use http::{Method, Request};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tower::{BoxError, Service, layer::layer_fn};

use super::picture::{Picture, credentials};
use super::site::{SOON, Site, in_namespace};
use super::support::account::operator_account;

/// Counts writes; the last one that is allowed is sent, and never answered.
struct Mortal<S> {
    inner: S,
    left: Arc<AtomicUsize>,
    dead: CancellationToken,
}

impl<S> Service<Request<Body>> for Mortal<S>
where
    S: Service<Request<Body>, Error = BoxError>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let writes = *request.method() != Method::GET;
        let is_last = writes && self.left.fetch_sub(1, Ordering::SeqCst) == 1;
        let dead = self.dead.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            if is_last {
                dead.cancel();
                std::future::pending::<()>().await;
            }
            Ok(answer)
        })
    }
}

/// Runs an operator that dies after its n-th write.
pub(crate) async fn run_until_dead(account: Config, namespace: &str, writes: usize) {
    let dead = CancellationToken::new();
    let left = Arc::new(AtomicUsize::new(writes));
    let layer = layer_fn(|inner| Mortal {
        inner,
        left: Arc::clone(&left),
        dead: dead.clone(),
    });
    let builder = ClientBuilder::try_from(bounded(account)).unwrap();
    let client: Client = builder.with_layer(&layer).build();
    let settings = Settings {
        namespaces: WatchNamespaces::Only([namespace.to_owned()].into()),
        images: Images::default(),
        instance: "mortal".to_owned(),
    };
    let (health, stop) = (Health::default(), CancellationToken::new());
    let life = Box::pin(async {
        tokio::select! {
            () = controller::run(client, settings, &health, &stop) => {}
            () = dead.cancelled() => {}
        }
    });
    let died = tokio::time::timeout(SOON, life).await;
    assert!(died.is_ok(), "it makes no {writes} writes");
}

#[tokio::test]
async fn whichever_write_an_operator_dies_after_the_next_one_finishes() {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    in_namespace("whole", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({})).await;
        site.built("shop").await;
        let writes = site.writes.load(Ordering::SeqCst);
        let essence = Picture::take(&site).await.essence();
        sender.send((writes, essence)).await.unwrap();
    })
    .await;
    let (writes, whole) = receiver.recv().await.unwrap();
    assert!(writes > 15, "{writes} writes make a stack");
    println!("figure: an operator killed after each of {writes} writes");
    let whole = &whole;
    let lives = futures::stream::iter(1..=writes).map(|last| {
        in_namespace("killed", move |config, namespace| async move {
            let account = operator_account(&config, &namespace).await;
            let site = Site::without_operator(&config, &namespace);
            site.apply("shop", json!({})).await;
            // One that was never in another's way makes a write or two fewer, and is
            // ended when it has done everything.
            let done = async {
                site.told("shop").await;
                tokio::time::sleep(Duration::from_secs(5)).await;
            };
            tokio::select! {
                () = run_until_dead(account.clone(), &namespace, last) => {}
                () = done => {}
            }
            let kept = credentials(&site, "shop").await;
            let site = Site::acting_as(&config, &namespace, account).await;
            site.built("shop").await;
            let essence = Picture::take(&site).await.essence();
            for (name, object) in whole {
                assert_eq!(essence.get(name), Some(object), "dead after write {last}");
            }
            assert_eq!(essence.len(), whole.len(), "dead after write {last}");
            if kept.is_some() {
                assert_eq!(credentials(&site, "shop").await, kept, "made twice");
            }
        })
    });
    lives.buffer_unordered(4).collect::<Vec<()>>().await;
}
