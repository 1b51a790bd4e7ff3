//! `run`: stand for election, and control while this replica leads.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use kube::Client;
use metrics_exporter_prometheus::BuildError;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::{
    args::RunArgs,
    client,
    controller::{self, Settings},
    health::{self, Health},
    leader::{self, Elector, Leadership},
    metrics::Metrics,
};

/// How long reconciles that have begun may go on after SIGTERM. Together with
/// giving the lease up it must fit into the pod's termination grace period.
const DRAIN: Duration = Duration::from_secs(10);

/// Why the operator cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Metrics could not be set up.
    #[error("metrics: {0}")]
    Metrics(#[from] BuildError),
    /// There is no usable client configuration.
    #[error("no cluster to connect to: {0}")]
    Config(#[from] kube::config::InferConfigError),
    /// The client could not be made from it.
    #[error("client: {0}")]
    Client(#[from] kube::Error),
    /// The port for probes and metrics is not to be had.
    #[error("HEALTH_PORT {0}: {1}")]
    Listen(u16, std::io::Error),
    /// Signals cannot be waited for.
    #[error("signals: {0}")]
    Signals(std::io::Error),
    /// Something that runs as long as the process ended before it.
    #[error("{0} ended unexpectedly")]
    Ended(&'static str),
}

/// Runs the operator until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start, or when a part of it ends that must not.
pub async fn run(args: RunArgs) -> Result<(), Error> {
    let metrics = Metrics::install()?;
    let stop = stop_signal()?;
    let config = client::infer().await?;
    let port = args.health_port;
    let listener = listen(port)
        .await
        .map_err(|error| Error::Listen(port, error))?;

    let health = Health::default();
    let namespace = args
        .pod_namespace
        .clone()
        .unwrap_or_else(|| config.default_namespace.clone());
    let identity = identity(args.pod_name.as_deref());
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        identity,
        namespace,
        lease = args.lease_name,
        watch = ?args.watch_namespaces,
        "starting"
    );
    // The election has a client of its own: a queue of other requests must
    // not make a renewal late.
    let elector = Elector::new(
        client::unfenced(config.clone())?,
        leader::Config::new(namespace, args.lease_name, identity.clone()),
        health.clone(),
    );
    let leadership = elector.leadership();
    let client = client::fenced(config, leadership.clone())?;
    let settings = Settings {
        namespaces: args.watch_namespaces,
        images: args.images,
        instance: identity,
    };

    let released = CancellationToken::new();
    let mut election = tokio::spawn(elector.run(released.clone().cancelled_owned()));
    let router = health::router(health.clone(), metrics.clone(), leadership.clone());
    let ended = tokio::select! {
        ended = lead(client, settings, &health, &leadership, &stop) => ended,
        _ = &mut election => Err(Error::Ended("the election")),
        _ = health::serve(listener, router) => Err(Error::Ended("the health server")),
        () = metrics.upkeep() => Err(Error::Ended("the upkeep of metrics")),
    };
    if ended.is_ok() {
        // Only now may another lead: what was begun here has ended.
        released.cancel();
        let _ = election.await;
        tracing::info!("stopped");
    }
    ended
}

/// Listens on every address, of both families where there are both.
async fn listen(port: u16) -> std::io::Result<TcpListener> {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        // A kernel without IPv6 has no such addresses.
        Err(error) if error.kind() != ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
        }
        bound => bound,
    }
}

/// Controls whenever this replica leads, until `stop`; then what has begun may
/// end, but not for ever.
async fn lead(
    client: Client,
    settings: Settings,
    health: &Health,
    leadership: &Leadership,
    stop: &CancellationToken,
) -> Result<(), Error> {
    while !stop.is_cancelled() {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = leadership.acquired() => {}
        }
        let lost = leadership.lost();
        let drained = async {
            stop.cancelled().await;
            health.set_draining();
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            biased;
            // The fence refuses writes from here on; there is nothing to drain.
            () = lost => tracing::warn!("lost the leadership"),
            () = controller::run(client.clone(), settings.clone(), health, stop) => {
                if !stop.is_cancelled() {
                    return Err(Error::Ended("the controller"));
                }
            }
            () = drained => tracing::warn!("stopping in the middle of reconciles"),
        }
    }
    health.set_draining();
    Ok(())
}

/// A token that SIGTERM and SIGINT cancel.
fn stop_signal() -> Result<CancellationToken, Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stop.cancel();
    });
    Ok(token)
}

/// The name of this process in the Lease: the pod's, or the host's, and a
/// random part that no restart repeats.
fn identity(pod: Option<&str>) -> String {
    let host = || {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        name.trim().to_owned()
    };
    let name = pod.map_or_else(host, ToOwned::to_owned);
    format!("{name}_{:08x}", rand::random::<u32>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_processes_share_an_identity() {
        let first = identity(Some("operator-0"));
        assert!(first.starts_with("operator-0_"), "{first}");
        assert_ne!(first, identity(Some("operator-0")));
        assert!(!identity(None).starts_with('_'));
    }
}
