//! Connections of clients: accepting them, speaking with them, and ending them
//! without losing a request.

use std::{
    io,
    net::SocketAddr,
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
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tower::ServiceExt;

use super::{listen::BACKLOG, tls::Handshakes};

/// How long a client may take to send the head of a request, how long for a
/// handshake of TLS before it, and how long an idle connection is kept.
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
/// The same where TLS comes first, which takes two more turns and some thought.
const LINGER_TLS: Duration = Duration::from_secs(1);
/// Between two complaints that connections cannot be accepted.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// What is behind a port.
#[derive(Clone)]
pub(super) struct Port {
    /// What answers there.
    pub(super) router: Router,
    /// How TLS is spoken there, if it is.
    pub(super) tls: Option<Handshakes>,
}

/// Accepts connections until `closed`, then lets each finish the request that
/// it is in.
pub(super) async fn accept(listener: TcpListener, port: Port, mut closed: watch::Receiver<()>) {
    let graceful = GracefulShutdown::new();
    let (handshakes_end, over) = watch::channel(());
    let welcome = |stream, peer| {
        let (port, over) = (port.clone(), over.clone());
        tokio::spawn(port.welcome(stream, peer, graceful.watcher(), over));
    };
    let mut complained: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = closed.changed() => break,
        };
        match accepted {
            Ok((stream, peer)) => welcome(stream, peer),
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
        welcome(stream, peer);
    }
    // The end of a connection that has said nothing yet is at once, and the
    // request that is on its way would be lost.
    tokio::time::sleep(port.linger()).await;
    // What is still greeting has asked for nothing yet.
    drop(handshakes_end);
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

impl Port {
    /// How long those may take who knocked last.
    fn linger(&self) -> Duration {
        if self.tls.is_some() {
            LINGER_TLS
        } else {
            LINGER
        }
    }

    /// Speaks with a client until either has enough. A handshake that has not
    /// come to its end is over with `over`.
    async fn welcome(
        self,
        stream: TcpStream,
        peer: SocketAddr,
        watcher: Watcher,
        mut over: watch::Receiver<()>,
    ) {
        // Answers are single writes; waiting for more only delays them.
        let _ = stream.set_nodelay(true);
        // Who takes nothing of an answer, or is gone without a word, is cut off by
        // the system: it sees the window, which nobody else does.
        let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(TAKE_TIMEOUT));
        let Some(tls) = self.tls else {
            return converse(stream, peer, self.router, watcher).await;
        };
        let stream = tokio::select! {
            stream = tls.shake(stream, HEADER_TIMEOUT) => stream,
            _ = over.changed() => None,
        };
        if let Some(stream) = stream {
            converse(stream, peer, self.router, watcher).await;
        }
    }
}

async fn converse<S>(stream: S, peer: SocketAddr, router: Router, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
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
