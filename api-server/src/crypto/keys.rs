//! The keys that sign and verify tokens.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

/// The fewest bytes of a secret key: as many as HS256's output (RFC 7518,
/// section 3.2).
pub const MIN_SECRET_BYTES: usize = 32;

/// A key to sign with and the keys that verify. Neither is ever printed.
pub struct Keys {
    pub(super) signing: SigningKey,
    verifying: Vec<VerifyingKey>,
}

/// The one key that signs now.
pub(super) struct SigningKey {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    pub(super) key: EncodingKey,
}

/// A key that verifies, for one algorithm only.
pub(super) struct VerifyingKey {
    pub(super) algorithm: Algorithm,
    kid: Option<String>,
    pub(super) key: DecodingKey,
}

/// A secret key is too short to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must have at least 32 bytes")]
pub struct SecretTooShort;

impl Keys {
    /// HS256 with a shared secret, without a `kid`.
    pub fn from_secret(secret: &SecretString) -> Result<Self, SecretTooShort> {
        let bytes = secret.expose_secret().as_bytes();
        if bytes.len() < MIN_SECRET_BYTES {
            return Err(SecretTooShort);
        }
        Ok(Self {
            signing: SigningKey {
                algorithm: Algorithm::HS256,
                kid: None,
                key: EncodingKey::from_secret(bytes),
            },
            verifying: vec![VerifyingKey {
                algorithm: Algorithm::HS256,
                kid: None,
                key: DecodingKey::from_secret(bytes),
            }],
        })
    }

    /// The key that a token names by `kid`, or the one without a name.
    pub(super) fn verifying(&self, kid: Option<&str>) -> Option<&VerifyingKey> {
        self.verifying.iter().find(|key| key.kid.as_deref() == kid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_secret_is_refused() {
        assert!(Keys::from_secret(&"x".repeat(31).into()).is_err());
        assert!(Keys::from_secret(&"x".repeat(32).into()).is_ok());
        assert!(
            Keys::from_secret(&"é".repeat(16).into()).is_ok(),
            "bytes, not characters"
        );
    }

    #[test]
    fn an_unknown_kid_has_no_key() {
        let keys = Keys::from_secret(&"x".repeat(32).into()).unwrap();
        assert!(keys.verifying(None).is_some());
        assert!(keys.verifying(Some("")).is_none());
        assert!(keys.verifying(Some("../../dev/null")).is_none());
    }
}
