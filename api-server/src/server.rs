//! Listening, and stopping without losing a request.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};

use axum::{Router, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tower::ServiceExt;

use crate::{
    app::{App, router},
    config::{Config, Listen},
    domain::account::NewAccount,
    http::operations_router,
};

mod first_admin;
mod housekeeping;
mod key_watch;

/// How long a client may take to send the head of a request, and how long an
/// idle connection is kept.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of a request's head that are read before the rest of it, and
/// at most as many come on top with the last read. They are kept for each
/// connection until the head is whole, so they are few: browsers send less, and
/// a cookie has 4 KiB at most. hyper's own limit is 400 KiB.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// How long a client may leave an answer untaken.
const TAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection that was just accepted may take to begin a request
/// when the server is about to stop.
const LINGER: Duration = Duration::from_millis(250);
/// The most connections that wait to be accepted, if the system allows as many.
/// With the usual 128, a burst of clients has to knock again, a second later.
const BACKLOG: u32 = 4096;
/// Between two complaints that connections cannot be accepted.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);
/// How often the metrics are folded while nobody scrapes them.
const FOLD_EVERY: Duration = Duration::from_secs(5);
/// Between two looks for the schema.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Serves until a signal says to stop, then drains.
pub async fn serve(config: Config) -> io::Result<()> {
    let mut stop = StopSignals::new()?;
    raise_descriptor_limit();
    let listen = config.listen;
    let (drain_delay, drain_timeout) = (config.drain_delay, config.drain_timeout);
    let key_file = config.signing_keys_file.clone();
    let (limited, housekeeping) = (config.limits.is_some(), config.housekeeping);
    let first_admin = config.first_admin.clone();
    let app = App::new(config)?;
    app.announce_keys();
    let clients = bind(listen, listen.port)?;
    let operators = bind(listen, listen.metrics_port)?;
    tracing::info!(
        address = %clients.local_addr()?,
        metrics_address = %operators.local_addr()?,
        "listening"
    );

    if !limited {
        tracing::warn!("RATE_LIMITS is off: passwords may be guessed as fast as they are hashed");
    }
    tokio::spawn(housekeeping::run(app.clone(), housekeeping));
    tokio::spawn(watch_for_schema(app.clone(), first_admin));
    tokio::spawn(fold_metrics(app.clone()));
    if let Some(file) = key_file {
        tokio::spawn(key_watch::watch_keys(app.clone(), file));
    }
    // Probes are answered to the end: nothing drains that port.
    let (_keep, never) = watch::channel(());
    let probes = accept(operators, operations_router(app.clone()), never);
    tokio::spawn(probes);
    let (close, closed) = watch::channel(());
    let serving = tokio::spawn(accept(clients, router(app.clone()), closed));

    let signal = stop.next().await;
    app.readiness.drain();
    tracing::info!(signal = signal.name, "draining");
    if signal.gradual {
        // Load balancers go on sending until they have noticed; a second
        // signal means that whoever sent it does not care.
        tokio::select! {
            () = tokio::time::sleep(drain_delay) => {}
            _ = stop.next() => {}
        }
    }
    drop(close);
    let drained = tokio::select! {
        drained = tokio::time::timeout(drain_timeout, serving) => drained.is_ok(),
        _ = stop.next() => false,
    };
    if !drained {
        tracing::warn!("requests were cut off");
    }
    // Bounded too: closing waits for statements that nobody awaits any more.
    let _ = tokio::time::timeout(Duration::from_secs(1), app.store.close()).await;
    tracing::info!("stopped");
    Ok(())
}

/// Takes as many file descriptors as the system allows: each connection is
/// one, and the customary soft limit of 1,024 is for programs that use
/// `select`.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// The signals that mean to stop.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

struct StopSignal {
    name: &'static str,
    /// A person at a terminal has no load balancer to wait for.
    gradual: bool,
}

impl StopSignals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> StopSignal {
        tokio::select! {
            _ = self.terminate.recv() => StopSignal { name: "SIGTERM", gradual: true },
            _ = self.interrupt.recv() => StopSignal { name: "SIGINT", gradual: false },
        }
    }
}

/// Ready once the schema has been seen. Until then the server answers what it
/// can; a database that comes later needs no restart.
async fn watch_for_schema(app: App, first_admin: Option<NewAccount>) {
    let mut announced = false;
    loop {
        let waiting_for = match app.store.schema_is_ready().await {
            Ok(true) => break,
            Ok(false) => "the schema is older than this server: run `migrate`".to_owned(),
            Err(error) => error.to_string(),
        };
        if !announced {
            tracing::warn!(reason = waiting_for, "not ready");
            announced = true;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    // Tried before clients come, who may be the administrator; but what fails
    // and passes holds nobody up.
    let unsettled = match first_admin {
        Some(account) if !first_admin::settle(&app, &account).await => Some(account),
        _ => None,
    };
    app.readiness.schema_seen();
    tracing::info!("ready");
    if let Some(account) = unsettled {
        first_admin::until_settled(app, account).await;
    }
}

async fn fold_metrics(app: App) {
    let mut every = tokio::time::interval(FOLD_EVERY);
    loop {
        every.tick().await;
        app.metrics.fold();
    }
}

/// Listens on the address that is set, or on every one: over IPv6, which takes
/// IPv4 too, unless the machine has none.
fn bind(listen: Listen, port: u16) -> io::Result<TcpListener> {
    let result = match listen.address {
        Some(address) => listen_on(address, port),
        None => match listen_on(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port) {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                listen_on(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)
            }
            result => result,
        },
    };
    result.map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("cannot listen on port {port}: {error}"),
        )
    })
}

fn listen_on(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    let socket = match address {
        IpAddr::V4(_) => TcpSocket::new_v4(),
        IpAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A port may be taken again while connections of its last owner fade away.
    socket.set_reuseaddr(true)?;
    socket.bind((address, port).into())?;
    socket.listen(BACKLOG)
}

/// Accepts connections until `closed`, then lets each finish the request that
/// it is in.
async fn accept(listener: TcpListener, router: Router, mut closed: watch::Receiver<()>) {
    let graceful = GracefulShutdown::new();
    let mut complained: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = closed.changed() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                tokio::spawn(converse(stream, peer, router.clone(), graceful.watcher()));
            }
            // Too many open files, most likely: others must close first.
            Err(error) if !is_of_one_connection(&error) => {
                if complained.is_none_or(|then| then.elapsed() > COMPLAIN_EVERY) {
                    tracing::warn!(%error, "cannot accept connections");
                    complained = Some(Instant::now());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(_) => {}
        }
    }
    for (stream, peer) in last_accepted(listener) {
        tokio::spawn(converse(stream, peer, router.clone(), graceful.watcher()));
    }
    // The end of a connection that has said nothing yet is at once, and the
    // request that is on its way would be lost.
    tokio::time::sleep(LINGER).await;
    graceful.shutdown().await;
}

/// Closes the listener, and gives the connections that knocked before: the
/// system would reset what it finds in the queue. They are asked of the system
/// itself, because the runtime learns of them a moment later.
fn last_accepted(listener: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    let Ok(listener) = listener.into_std() else {
        return Vec::new();
    };
    let waiting = std::iter::from_fn(|| listener.accept().ok());
    let waiting: Vec<_> = waiting.take(BACKLOG as usize).collect();
    drop(listener);
    let watched = waiting.into_iter().filter_map(|(stream, peer)| {
        stream.set_nonblocking(true).ok()?;
        Some((TcpStream::from_std(stream).ok()?, peer))
    });
    watched.collect()
}

/// The connection was gone before it was accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

async fn converse(stream: TcpStream, peer: SocketAddr, router: Router, watcher: Watcher) {
    // Answers are single writes; waiting for more only delays them.
    let _ = stream.set_nodelay(true);
    // Who takes nothing of an answer, or is gone without a word, is cut off by
    // the system: it sees the window, which nobody else does.
    let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(TAKE_TIMEOUT));
    let service = router.map_request(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    // What ends a connection early is the client's affair.
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "connection ended");
    }
}
