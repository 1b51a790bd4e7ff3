//! The keys that sign and verify tokens.
//!
//! Either one shared secret (HS256), or the keys of a file in JWKS form, of
//! which EdDSA alone signs; beside a file, the secret may go on verifying for
//! a while. A set of keys never changes: a reload makes another.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use crate::domain::key_schedule::{
    self, Schedule, earliest_retirement, may_sign_from, may_sign_from_boot,
};

mod error;
mod file;
mod jwk;
pub mod rotation;

pub use error::{KeyFileError, Place, rfc3339};
pub use file::{KeyFile, MAX_FILE_BYTES};
pub use jwk::PublicKey;

use super::jwt::LEEWAY_SECONDS;

/// The fewest bytes of a secret key: as many as HS256's output (RFC 7518,
/// section 3.2).
pub const MIN_SECRET_BYTES: usize = 32;

/// The keys in force. None is ever printed.
pub struct Keys {
    /// In the order of the file.
    entries: Vec<Arc<Key>>,
    /// How many sets there were before this one.
    generation: u64,
}

/// One key, for one algorithm only.
pub(super) struct Key {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    pub(super) verifying: DecodingKey,
    /// Only keys that may sign have it.
    pub(super) signing: Option<EncodingKey>,
    pub(super) schedule: Schedule,
    /// What everybody may know; a shared secret has none.
    public: Option<PublicKey>,
    /// When it will have been published for long enough.
    may_sign_from: i64,
}

/// A key as everybody may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedKey {
    /// Its name.
    pub kid: String,
    /// The only algorithm that it is for (RFC 7518, section 3.1).
    pub algorithm: &'static str,
    /// Its public part.
    pub key: PublicKey,
}

/// What an administrator should know of a new set of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyNotice {
    /// The key with this name still verified, and is not in the file any more.
    Removed(String),
    /// The key with this name has just stopped signing, and retires before all
    /// that it signed has expired; it should retire then or later, in seconds
    /// since 1970.
    RetiresEarly {
        /// The key's name.
        kid: String,
        /// The earliest good `retires_at`.
        earliest: i64,
    },
}

/// A secret key is too short to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must have at least 32 bytes")]
pub struct SecretTooShort;

impl Keys {
    /// HS256 with a shared secret, without a `kid`.
    pub fn from_secret(secret: &SecretString) -> Result<Self, SecretTooShort> {
        let mut key = secret_key(secret, Schedule::ALWAYS)?;
        key.signing = Some(EncodingKey::from_secret(secret.expose_secret().as_bytes()));
        Ok(Self::first(vec![Arc::new(key)]))
    }

    /// The keys of the file that the server begins with, at the time `now`.
    /// Whatever is to sign, does.
    pub fn from_file(file: KeyFile, now: i64) -> Result<Self, KeyFileError> {
        let entries = file.keys.into_iter().map(|key| {
            let may_sign_from = may_sign_from_boot(key.schedule, now);
            Arc::new(key.into_key(may_sign_from))
        });
        let keys = Self::first(entries.collect());
        keys.signing(now).ok_or(KeyFileError::NothingSigns)?;
        Ok(keys)
    }

    /// Lets tokens of HS256 with this secret be verified too, until then.
    pub fn accept_secret(
        &mut self,
        secret: &SecretString,
        until: i64,
    ) -> Result<(), SecretTooShort> {
        let key = secret_key(secret, Schedule::verifies_until(until))?;
        self.entries.push(Arc::new(key));
        Ok(())
    }

    fn first(entries: Vec<Arc<Key>>) -> Self {
        Self {
            entries,
            generation: 0,
        }
    }

    /// The set that takes this one's place when the file has changed to `file`.
    /// A key that this server has not known for ten minutes must not sign yet.
    pub fn replaced_by(&self, file: KeyFile, now: i64) -> Result<Self, KeyFileError> {
        let mut entries = Vec::new();
        for (index, key) in file.keys.into_iter().enumerate() {
            let known = self.entries.iter().find(|known| known.is(&key));
            let may_sign_from = known.map_or(may_sign_from(now), |known| known.may_sign_from);
            let key = key.into_key(may_sign_from);
            if key.will_sign_from(now).is_some_and(|at| at < may_sign_from) {
                let place = Place::new(index, key.kid.as_deref());
                return Err(KeyFileError::TooSoon(place, may_sign_from));
            }
            entries.push(Arc::new(key));
        }
        let shared = self.entries.iter().filter(|key| key.kid.is_none());
        entries.extend(shared.cloned());
        let keys = Self {
            entries,
            generation: self.generation + 1,
        };
        keys.signing(now).ok_or(KeyFileError::NothingSigns)?;
        Ok(keys)
    }

    /// What is worth saying when `new` takes this set's place, where what a
    /// key signs lives for up to `lifetime` seconds.
    #[must_use]
    pub fn notices(&self, new: &Self, now: i64, lifetime: i64) -> Vec<KeyNotice> {
        let signed = self.signing(now).and_then(|key| key.kid.as_deref());
        let signs = new.signing(now).and_then(|key| key.kid.as_deref());
        let earliest = earliest_retirement(now, lifetime, LEEWAY_SECONDS);
        let named = |key: &Arc<Key>| key.kid.clone().filter(|_| key.schedule.verifies_at(now));
        let judge = |kid: String| {
            let Some(key) = new.find(Some(&kid)) else {
                return Some(KeyNotice::Removed(kid));
            };
            let stopped = signed == Some(kid.as_str()) && signs != signed;
            let early = key.schedule.retires_at.is_some_and(|end| end < earliest);
            (stopped && early).then_some(KeyNotice::RetiresEarly { kid, earliest })
        };
        let named = self.entries.iter().filter_map(named);
        named.filter_map(judge).collect()
    }

    /// The key that signs now: of those that are active the latest.
    pub(super) fn signing(&self, now: i64) -> Option<&Key> {
        let able = || self.entries.iter().filter(|key| key.signing.is_some());
        let index = key_schedule::signer(able().map(|key| key.schedule), now)?;
        able().nth(index).map(|key| &**key)
    }

    /// The key that a token names by `kid`, or the one without a name, if it
    /// still verifies.
    pub(super) fn verifying(&self, kid: Option<&str>, now: i64) -> Option<&Key> {
        self.find(kid).filter(|key| key.schedule.verifies_at(now))
    }

    fn find(&self, kid: Option<&str>) -> Option<&Key> {
        let mut entries = self.entries.iter();
        entries
            .find(|key| key.kid.as_deref() == kid)
            .map(|key| &**key)
    }

    /// How many sets there were before this one.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether verifying takes long enough to remember its outcome.
    pub(super) fn are_asymmetric(&self) -> bool {
        self.entries.iter().any(|key| key.public.is_some())
    }

    /// What other services verify tokens with.
    #[must_use]
    pub fn published(&self, now: i64) -> Vec<PublishedKey> {
        let entries = self.entries.iter();
        let in_force = entries.filter(|key| key.schedule.verifies_at(now));
        in_force.filter_map(|key| key.published()).collect()
    }

    /// The name of the key that signs now; a shared secret has none.
    #[must_use]
    pub fn signing_kid(&self, now: i64) -> Option<&str> {
        self.signing(now)?.kid.as_deref()
    }

    /// When nothing will sign any more, unless the file changes.
    #[must_use]
    pub fn signing_ends(&self, now: i64) -> Option<i64> {
        let able = self.entries.iter().filter(|key| key.signing.is_some());
        let schedules: Vec<_> = able.map(|key| key.schedule).collect();
        key_schedule::signing_ends(&schedules, now)
    }
}

impl Key {
    /// The same name for the same key. A new key under an old name is another.
    fn is(&self, other: &file::FileKey) -> bool {
        self.kid.as_ref() == Some(&other.kid)
            && self.public.as_ref() == Some(&other.material.public)
    }

    /// When it begins to sign, or that it does already, by what the file says.
    fn will_sign_from(&self, now: i64) -> Option<i64> {
        let start = self.signing.as_ref().and(self.schedule.signs_from())?;
        let start = start.max(now);
        self.schedule.verifies_at(start).then_some(start)
    }

    fn published(&self) -> Option<PublishedKey> {
        Some(PublishedKey {
            kid: self.kid.clone()?,
            algorithm: jwk::algorithm_name(self.algorithm)?,
            key: self.public.clone()?,
        })
    }
}

impl file::FileKey {
    fn into_key(self, may_sign_from: i64) -> Key {
        Key {
            algorithm: self.material.algorithm,
            kid: Some(self.kid),
            verifying: self.material.verifying,
            signing: self.material.signing,
            schedule: self.schedule,
            public: Some(self.material.public),
            may_sign_from,
        }
    }
}

/// A key that only verifies.
fn secret_key(secret: &SecretString, schedule: Schedule) -> Result<Key, SecretTooShort> {
    let bytes = secret.expose_secret().as_bytes();
    if bytes.len() < MIN_SECRET_BYTES {
        return Err(SecretTooShort);
    }
    Ok(Key {
        algorithm: Algorithm::HS256,
        kid: None,
        verifying: DecodingKey::from_secret(bytes),
        signing: None,
        schedule,
        public: None,
        may_sign_from: i64::MIN,
    })
}

#[cfg(test)]
mod tests;
