//! Options of TLS towards clients.

use std::path::PathBuf;

use clap::Args;

/// The certificate that clients see.
#[derive(Args)]
pub struct TlsArgs {
    /// A PEM file with a certificate, and with those that vouch for it after it:
    /// with it, PORT speaks TLS only. It is read again when it changes [default:
    /// PORT speaks plain HTTP].
    #[arg(long, env = "TLS_CERT_FILE")]
    pub tls_cert_file: Option<PathBuf>,
    /// A PEM file with that certificate's private key.
    #[arg(long, env = "TLS_KEY_FILE")]
    pub tls_key_file: Option<PathBuf>,
}
