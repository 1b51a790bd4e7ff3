//! What the server proves its name with to clients that speak TLS.

use std::sync::Arc;

use rustls::{
    Error, InconsistentKeys, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};
use thiserror::Error;

/// The one protocol that is spoken inside TLS (RFC 7301).
const ALPN: &[u8] = b"http/1.1";

/// A certificate with its key, ready for handshakes.
#[derive(Clone, Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    not_after: i64,
}

/// A certificate and a key cannot be used. The text repeats neither.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PairError {
    /// The certificate cannot be used.
    #[error("the certificate {0}")]
    Certificate(String),
    /// The key cannot be used, at least not with this certificate.
    #[error("the key {0}")]
    Key(&'static str),
}

impl PairError {
    /// What is wrong with it: the second half of a sentence.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Certificate(reason) => reason,
            Self::Key(reason) => reason,
        }
    }
}

impl ServerTls {
    /// Reads a certificate, followed by those that vouch for it, and its private
    /// key (PKCS #8, SEC 1 or PKCS #1), both in PEM (RFC 7468).
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, PairError> {
        let unusable = |reason: String| PairError::Certificate(reason);
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<_, _>>()
            .map_err(|_| unusable("is not whole: it is no PEM".to_owned()))?;
        let leaf = chain.first();
        let leaf = leaf.ok_or_else(|| unusable("is missing: there is none in PEM".to_owned()))?;
        let not_after = not_after(leaf).ok_or_else(|| unusable("is no X.509".to_owned()))?;
        // What is wrong with a key is not said by quoting it.
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| PairError::Key("is missing: there is no private key in PEM"))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .and_then(|builder| {
                let builder = builder.with_no_client_auth();
                builder.with_single_cert(chain, key)
            })
            .map_err(|error| match error {
                Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    PairError::Key("is not the certificate's")
                }
                Error::InvalidCertificate(error) => unusable(format!("is unusable: {error}")),
                _ => PairError::Key("is of a kind that cannot be used"),
            })?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        let config = Arc::new(config);
        Ok(Self { config, not_after })
    }

    /// What a handshake is done with.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// When the certificate expires, in seconds since 1970.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.not_after
    }
}

fn not_after(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};

    use super::*;

    fn key() -> KeyPair {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
    }

    fn certificate(key: &KeyPair) -> String {
        let mut params = CertificateParams::new(["auth.example.com".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2031, 2, 3);
        params.self_signed(key).unwrap().pem()
    }

    #[test]
    fn a_pair_is_taken_and_says_when_it_ends() {
        for key in [key(), KeyPair::generate_for(&PKCS_ED25519).unwrap()] {
            let pem = certificate(&key) + &certificate(&key);
            let pair = ServerTls::from_pem(pem.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
            assert_eq!(pair.not_after(), 1_927_843_200);
            assert_eq!(pair.config().alpn_protocols, [b"http/1.1".to_vec()]);
        }
    }

    #[test]
    fn what_is_no_pair_is_refused_without_a_word_of_the_key() {
        let (key, other) = (key(), key());
        let (pem, secret) = (certificate(&key), key.serialize_pem());
        let cut = &secret[..secret.len() / 2];
        let no_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (certificate, key, expected) in [
            ("", &*secret, "the certificate is missing"),
            ("garbage", &secret, "the certificate is missing"),
            (&secret, &secret, "the certificate is missing"),
            (&pem[..100], &secret, "the certificate is"),
            (no_x509, &secret, "the certificate is no X.509"),
            (&pem, "", "the key is missing"),
            (&pem, cut, "the key is missing"),
            (&pem, &pem, "the key is missing"),
            (
                &pem,
                &other.serialize_pem(),
                "the key is not the certificate's",
            ),
        ] {
            let error = ServerTls::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with(expected), "{expected}: {text}");
            let quoted = secret.lines().nth(1).unwrap();
            assert!(!text.contains(quoted) && !text.contains('\n'), "{text}");
        }
    }
}
