//! The part of a refresh token that cannot be made without the database.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of a session's secret.
pub const SECRET_BYTES: usize = 32;

/// A session's random secret, which never leaves the server.
#[derive(Clone)]
pub struct SessionSecret([u8; SECRET_BYTES]);

impl SessionSecret {
    /// A secret from random bytes.
    #[must_use]
    pub fn new(random: [u8; SECRET_BYTES]) -> Self {
        Self(random)
    }

    /// A secret as it was stored.
    #[must_use]
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes to be stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The `jti` of the refresh token with this counter: HMAC-SHA256 of it
    /// under the secret. The same counter always has the same `jti`.
    #[must_use]
    pub fn token_id(&self, counter: i64) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(counter).finalize().into_bytes())
    }

    /// Whether `token_id` is the one for this counter, in constant time.
    #[must_use]
    pub fn made(&self, token_id: &str, counter: i64) -> bool {
        URL_SAFE_NO_PAD
            .decode(token_id)
            .is_ok_and(|tag| self.mac(counter).verify_slice(&tag).is_ok())
    }

    fn mac(&self, counter: i64) -> Hmac<Sha256> {
        // HMAC pads a short key with zeros to the hash's block (RFC 2104,
        // section 2); done here, the key has the right length by its type.
        let mut key = [0; 64];
        key[..SECRET_BYTES].copy_from_slice(&self.0);
        // The label keeps this apart from whatever else the secret may derive.
        Hmac::<Sha256>::new(&key.into())
            .chain_update(b"authstack refresh jti\0")
            .chain_update(counter.to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Python: `hmac.new(bytes(range(32)), b"authstack refresh jti\0" +
    /// (7).to_bytes(8, "big"), "sha256")`, in URL-safe base64.
    #[test]
    fn the_derivation_is_plain_hmac() {
        let secret = SessionSecret::new(std::array::from_fn(|i| u8::try_from(i).unwrap()));
        assert_eq!(
            secret.token_id(7),
            "55303EdGsNKhzvvmIWTS2AYR2fl7F7Uw_pdFfdTSuGQ"
        );
    }

    #[test]
    fn a_token_id_belongs_to_one_secret_and_one_counter() {
        let secret = SessionSecret::new([1; 32]);
        let id = secret.token_id(3);
        assert!(secret.made(&id, 3));
        assert!(!secret.made(&id, 4));
        assert!(!SessionSecret::new([2; 32]).made(&id, 3));
        assert!(!secret.made("", 3));
        assert!(!secret.made("not base64!", 3));
    }
}
