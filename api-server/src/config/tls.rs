//! What clients are spoken TLS with: a certificate and its key, in files.

use super::{ConfigError, FileSet};
use crate::{
    args::TlsArgs,
    crypto::tls::{PairError, ServerTls},
};

/// The certificate and the key that are to be used, and their files.
pub struct Tls {
    /// Both, checked.
    pub pair: ServerTls,
    /// The certificate's file, then the key's.
    pub files: FileSet,
}

const CERTIFICATE: &str = "TLS_CERT_FILE";
const KEY: &str = "TLS_KEY_FILE";

impl Tls {
    /// Reads what the settings name; nothing, where they name nothing.
    pub(super) fn from_args(args: TlsArgs) -> Result<Option<Self>, ConfigError> {
        let (certificate, key) = match (args.tls_cert_file, args.tls_key_file) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => (certificate, key),
            (Some(_), None) => return Err(ConfigError::new(KEY, "must be set with TLS_CERT_FILE")),
            (None, Some(_)) => {
                return Err(ConfigError::new(
                    CERTIFICATE,
                    "must be set with TLS_KEY_FILE",
                ));
            }
        };
        let loaded = FileSet::load(vec![certificate.clone(), key.clone()]);
        let (files, contents) = loaded.map_err(|error| {
            let name = if error.path == certificate {
                CERTIFICATE
            } else {
                KEY
            };
            ConfigError::new(name, format!("({}) {error}", error.path.display()))
        })?;
        let pair = ServerTls::from_pem(&contents[0], &contents[1]).map_err(|error| {
            let (name, path) = match error {
                PairError::Certificate(_) => (CERTIFICATE, &certificate),
                PairError::Key(_) => (KEY, &key),
            };
            ConfigError::new(name, format!("({}) {}", path.display(), error.reason()))
        })?;
        Ok(Some(Self { pair, files }))
    }
}
