//! Access tokens whose signatures have been verified, so that the next request
//! with the same token need not: EdDSA takes 27 µs, finding a token here about
//! one. What is remembered is that a key signed these claims. Whether the
//! token has expired, the key still verifies and the session lives is asked
//! each time.

use std::sync::Arc;

use quick_cache::{DefaultHashBuilder, Weighter, sync::Cache};
use sha2::{Digest, Sha256};

use super::{AccessClaims, Keys};
use crate::domain::key_schedule::Schedule;

/// What may be remembered, and how many tokens that is, about.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
const USUAL_TOKENS: usize = 8 * 1024;

/// A token's SHA-256: the whole token, so that nothing else finds its claims.
pub(super) type Name = [u8; 32];

/// Only tokens that were read without an error get in.
pub(super) struct VerifiedTokens {
    cache: Cache<Name, Arc<Verified>, Bytes, DefaultHashBuilder>,
}

struct Verified {
    claims: AccessClaims,
    /// The set of keys that it was verified with.
    generation: u64,
    /// The times of the key among them.
    schedule: Schedule,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Name, Arc<Verified>> for Bytes {
    fn weight(&self, name: &Name, verified: &Arc<Verified>) -> u64 {
        let claims = &verified.claims;
        let texts = [&claims.iss, &claims.aud, &claims.client_id, &claims.jti];
        let texts = texts.into_iter().chain(&claims.roles);
        let texts: usize = texts.map(|text| size_of::<String>() + text.len()).sum();
        let bytes = 2 * size_of_val(name) + size_of::<Verified>() + texts;
        bytes.try_into().unwrap_or(u64::MAX)
    }
}

impl VerifiedTokens {
    pub(super) fn new() -> Self {
        Self {
            cache: Cache::with_weighter(USUAL_TOKENS, MAX_BYTES, Bytes),
        }
    }

    pub(super) fn name(token: &str) -> Name {
        Sha256::digest(token.as_bytes()).into()
    }

    /// What this token claims, if one of these keys, which still verifies, was
    /// seen to have signed it. It may have expired.
    pub(super) fn find(&self, name: &Name, keys: &Keys, now: i64) -> Option<AccessClaims> {
        let verified = self.cache.get(name)?;
        let holds = verified.generation == keys.generation() && verified.schedule.verifies_at(now);
        holds.then(|| verified.claims.clone())
    }

    /// Remembers that a key with this schedule signed these claims.
    pub(super) fn keep(&self, name: Name, claims: &AccessClaims, keys: &Keys, schedule: Schedule) {
        let verified = Verified {
            claims: claims.clone(),
            generation: keys.generation(),
            schedule,
        };
        self.cache.insert(name, Arc::new(verified));
    }

    /// Forgets everything. What is kept by another thread at this moment has
    /// the generation of its keys.
    pub(super) fn clear(&self) {
        self.cache.clear();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.cache.len()
    }

    #[cfg(test)]
    pub(super) fn weight(&self) -> u64 {
        self.cache.weight()
    }
}
