//! Names of token buckets that say nothing about whom they are for.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of the secret.
pub const SECRET_BYTES: usize = 32;
/// Bytes of a bucket's name: truncation to half the output, as RFC 2104,
/// section 5, allows.
pub const KEY_BYTES: usize = 16;

/// A token bucket's name.
pub type BucketKey = [u8; KEY_BYTES];

/// The secret that all replicas name buckets with.
#[derive(Clone)]
pub struct LimitSecret([u8; SECRET_BYTES]);

impl LimitSecret {
    /// A secret from random bytes, or as it was stored.
    #[must_use]
    pub fn new(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(bytes)
    }

    /// The name of the bucket of this limit for this subject, which may have
    /// several parts.
    #[must_use]
    pub fn bucket(&self, limit: &str, subject: &[&[u8]]) -> BucketKey {
        // HMAC pads a short key with zeros to the hash's block (RFC 2104,
        // section 2); done here, the key has the right length by its type.
        let mut key = [0; 64];
        key[..SECRET_BYTES].copy_from_slice(&self.0);
        let mut mac = Hmac::<Sha256>::new(&key.into()).chain_update(b"authstack limit\0");
        for part in [&[limit.as_bytes()], subject].concat() {
            // With its length, so that no two lists of parts read the same.
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            mac = mac.chain_update(length.to_be_bytes()).chain_update(part);
        }
        let tag = mac.finalize().into_bytes();
        std::array::from_fn(|i| tag[i])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> LimitSecret {
        LimitSecret::new(std::array::from_fn(|i| u8::try_from(i).unwrap()))
    }

    /// Python: `hmac.new(bytes(range(32)), b"authstack limit\0" +
    /// b"".join(len(p).to_bytes(8, "big") + p for p in [b"login", b"alice",
    /// b""]), "sha256").hexdigest()[:32]`.
    #[test]
    fn the_name_is_plain_hmac() {
        let name = secret().bucket("login", &[b"alice", b""]);
        let expected = 0xdcf9_2989_7f32_3fb6_4b6d_2d13_76ac_5ac9_u128;
        assert_eq!(u128::from_be_bytes(name), expected);
    }

    #[test]
    fn different_subjects_have_different_names() {
        let names = [
            secret().bucket("login", &[b"ab", b"c"]),
            secret().bucket("login", &[b"a", b"bc"]),
            secret().bucket("login", &[b"abc"]),
            secret().bucket("login", &[b"abc", b""]),
            secret().bucket("logina", &[b"bc"]),
            LimitSecret::new([1; 32]).bucket("login", &[b"ab", b"c"]),
        ];
        for (i, name) in names.iter().enumerate() {
            assert!(!names[..i].contains(name), "{i}");
        }
    }
}
