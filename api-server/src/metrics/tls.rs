//! Figures on TLS towards clients.

use metrics::{Key, Label};

use super::Metrics;

pub(super) const EXPIRY: (&str, &str) = (
    "tls_certificate_expiry_timestamp_seconds",
    "When the certificate in force expires (notAfter), in seconds since 1970.",
);
pub(super) const FAILURES: (&str, &str) = (
    "tls_handshake_failures_total",
    "Connections that ended before TLS was agreed on, by why: no TLS at all (plaintext), too slow \
     (timeout), the client hung up (closed), no agreement (refused).",
);

/// Why a handshake came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeFailure {
    /// What came was no TLS: plain HTTP, most likely.
    Plaintext,
    /// It took too long.
    Timeout,
    /// The client was gone.
    Closed,
    /// The two did not agree, or the client does not trust the certificate.
    Refused,
}

impl HandshakeFailure {
    /// Its name in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Refused => "refused",
        }
    }
}

impl Metrics {
    /// Sets when the certificate in force expires, in seconds since 1970.
    pub fn certificate_expires(&self, not_after: i64) {
        #[expect(clippy::cast_precision_loss, reason = "exact for 285 million years")]
        let seconds = not_after as f64;
        self.gauge(&Key::from_static_name(EXPIRY.0)).set(seconds);
    }

    /// Counts a handshake that came to nothing.
    pub fn handshake_failed(&self, why: HandshakeFailure) {
        let label = Label::from_static_parts("reason", why.as_str());
        self.counter(FAILURES.0, vec![label]).increment(1);
    }
}
