//! Putting a changed key file in force.

use super::App;
use crate::crypto::keys::{KeyFile, KeyFileError, KeyNotice, Keys, rfc3339};

impl App {
    /// Says what signs, and what about the keys deserves attention.
    pub fn announce_keys(&self) {
        announce(&self.tokens.keys(), self.now());
    }

    /// Takes the keys of a changed file, or keeps those in force and says why.
    pub fn reload_keys(&self, bytes: &[u8]) -> Result<(), KeyFileError> {
        let now = self.now();
        let file = KeyFile::parse(bytes)?;
        let lifetime = self.rules.refresh_ttl.as_secs();
        for notice in self.tokens.replace_keys(file, now, lifetime)? {
            match notice {
                KeyNotice::Removed(kid) => tracing::warn!(
                    kid,
                    "key removed before its retirement: what it signed is refused from now on"
                ),
                KeyNotice::RetiresEarly { kid, earliest } => tracing::warn!(
                    kid,
                    earliest_retires_at = rfc3339(earliest),
                    "key retires before all that it signed has expired: sessions will end early"
                ),
            }
        }
        self.announce_keys();
        Ok(())
    }
}

fn announce(keys: &Keys, now: i64) {
    // A shared secret has no name, and nothing to be said about it.
    let Some(kid) = keys.signing_kid(now) else {
        return;
    };
    let known: Vec<_> = keys.published(now).into_iter().map(|key| key.kid).collect();
    tracing::info!(signs = kid, known = known.join(" "), "signing keys loaded");
    if let Some(end) = keys.signing_ends(now) {
        tracing::warn!(
            until = rfc3339(end),
            "no key signs after that: add one in state next"
        );
    }
}
