//! Handshakes of TLS, with a certificate that may be exchanged meanwhile.

use std::{
    io,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::{Error, InvalidMessage, ServerConfig};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    app::App,
    crypto::{keys::rfc3339, tls::ServerTls},
    metrics::HandshakeFailure,
};

/// Does handshakes; clones share the certificate.
#[derive(Clone)]
pub(super) struct Handshakes {
    app: App,
    /// As a whole, sessions to be resumed and all: who comes back after the
    /// certificate was exchanged sees the new one.
    current: Arc<RwLock<Arc<ServerConfig>>>,
}

impl Handshakes {
    pub(super) fn new(app: App, pair: &ServerTls) -> Self {
        announce(&app, pair);
        let current = Arc::new(RwLock::new(pair.config()));
        Self { app, current }
    }

    /// Does handshakes with this certificate from now on.
    pub(super) fn replace(&self, pair: &ServerTls) {
        announce(&self.app, pair);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = pair.config();
    }

    /// Agrees on TLS with a client, within so long. What comes to nothing is the
    /// client's affair, and counted.
    pub(super) async fn shake(
        &self,
        stream: TcpStream,
        patience: Duration,
    ) -> Option<TlsStream<TcpStream>> {
        let config = Arc::clone(&*self.current.read().unwrap_or_else(PoisonError::into_inner));
        let why = match timeout(patience, TlsAcceptor::from(config).accept(stream)).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "no TLS with a client");
                why(&error)
            }
            Err(_) => HandshakeFailure::Timeout,
        };
        self.app.metrics.handshake_failed(why);
        None
    }
}

fn why(error: &io::Error) -> HandshakeFailure {
    let inner = error.get_ref();
    match inner.and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            HandshakeFailure::Plaintext
        }
        Some(_) => HandshakeFailure::Refused,
        None => HandshakeFailure::Closed,
    }
}

fn announce(app: &App, pair: &ServerTls) {
    let (until, now) = (pair.not_after(), app.now());
    app.metrics.certificate_expires(until);
    let until_text = rfc3339(until);
    if until <= now {
        tracing::warn!(until = until_text, "the TLS certificate has expired");
    } else {
        tracing::info!(until = until_text, "TLS certificate loaded");
    }
}
