//! The services that may ask about tokens and revoke them.
//!
//! Their secrets are keys rather than passwords: long and random, so that one
//! MAC is enough to keep them, and guessing them needs no limit.

use std::collections::HashMap;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use thiserror::Error;

/// The fewest bytes of a client's secret.
pub const MIN_SECRET_BYTES: usize = 32;
const MAX_ID_BYTES: usize = 64;
const MAC_BYTES: usize = 32;

/// The clients that are known. What is kept of a secret is a MAC under a key
/// that ends with the process.
pub struct Clients {
    key: [u8; 64],
    macs: HashMap<String, [u8; MAC_BYTES]>,
}

/// An entry that cannot be used: its number, from 1, and why. Never the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ClientsError {
    /// It has no colon.
    #[error("has an entry, number {0}, that is not id:secret")]
    NoSecret(usize),
    /// Its id is empty, long or has other characters.
    #[error("has an entry, number {0}, whose id is not 1 to 64 of A-Z a-z 0-9 - . _ ~")]
    Id(usize),
    /// An id is there twice.
    #[error("has an entry, number {0}, whose id was there before")]
    Twice(usize),
    /// Its secret is short or has other characters.
    #[error("has an entry, number {0}, whose secret is not at least 32 of A-Z a-z 0-9 - . _ ~")]
    Secret(usize),
}

impl Clients {
    /// No client at all.
    #[must_use]
    pub fn none() -> Self {
        let mut key = [0; 64];
        rand::fill(&mut key);
        Self {
            key,
            macs: HashMap::new(),
        }
    }

    /// Reads `id:secret`, separated by commas or lines. Both consist of what
    /// means the same whether or not a client encodes it, as RFC 6749, section
    /// 2.3.1, asks and not every client does.
    pub fn parse(text: &SecretString) -> Result<Self, ClientsError> {
        let mut clients = Self::none();
        let entries = text.expose_secret().split([',', '\n']).map(str::trim);
        let entries = entries.filter(|entry| !entry.is_empty());
        for (number, entry) in (1..).zip(entries) {
            let (id, secret) = entry
                .split_once(':')
                .ok_or(ClientsError::NoSecret(number))?;
            if !is_unreserved(id) || id.len() > MAX_ID_BYTES {
                return Err(ClientsError::Id(number));
            }
            if !is_unreserved(secret) || secret.len() < MIN_SECRET_BYTES {
                return Err(ClientsError::Secret(number));
            }
            let mac = clients.mac(id, secret).finalize().into_bytes().into();
            if clients.macs.insert(id.to_owned(), mac).is_some() {
                return Err(ClientsError::Twice(number));
            }
        }
        Ok(clients)
    }

    /// Whether this is the secret of the client with this id, in constant time.
    #[must_use]
    pub fn authenticate(&self, id: &str, secret: &str) -> bool {
        let known = self.macs.get(id);
        let expected = known.copied().unwrap_or_default();
        let matches = self.mac(id, secret).verify_slice(&expected).is_ok();
        known.is_some() && matches
    }

    fn mac(&self, id: &str, secret: &str) -> Hmac<Sha256> {
        // No id holds the separator.
        Hmac::<Sha256>::new(&self.key.into())
            .chain_update(id)
            .chain_update([0])
            .chain_update(secret)
    }
}

/// The unreserved characters of RFC 3986, section 2.3, at least one.
fn is_unreserved(text: &str) -> bool {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    !text.is_empty() && text.bytes().all(unreserved)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn parse(text: &str) -> Result<Clients, ClientsError> {
        Clients::parse(&text.into())
    }

    #[test]
    fn a_client_is_known_by_its_id_and_its_secret() {
        let other = SECRET.replace('0', "1");
        let clients = parse(&format!("shop:{SECRET},\nblog:{other}\n")).unwrap();
        assert!(clients.authenticate("shop", SECRET));
        assert!(clients.authenticate("blog", &other));
        for (id, secret) in [
            ("shop", &*other),
            ("blog", SECRET),
            ("shop", ""),
            ("shop", &SECRET[1..]),
            ("", SECRET),
            ("Shop", SECRET),
            ("nobody", SECRET),
        ] {
            assert!(!clients.authenticate(id, secret), "{id}:{secret}");
        }
        assert!(!Clients::none().authenticate("", ""));
        assert!(!parse("").unwrap().authenticate("shop", SECRET));
    }

    #[test]
    fn what_cannot_be_used_is_told_by_its_number_and_never_repeated() {
        let short = &SECRET[1..];
        for (text, expected) in [
            ("shop".to_owned(), ClientsError::NoSecret(1)),
            (format!(":{SECRET}"), ClientsError::Id(1)),
            (format!("a b:{SECRET}"), ClientsError::Id(1)),
            (format!("{}:{SECRET}", "x".repeat(65)), ClientsError::Id(1)),
            (format!("shop:{short}"), ClientsError::Secret(1)),
            (format!("shop:{SECRET}%"), ClientsError::Secret(1)),
            (format!("shop:{SECRET}+"), ClientsError::Secret(1)),
            (format!("a:{SECRET},,b:{short}"), ClientsError::Secret(2)),
            (format!("a:{SECRET}\na:{SECRET}"), ClientsError::Twice(2)),
        ] {
            let error = parse(&text).err().unwrap();
            assert_eq!(error, expected, "{text}");
            assert!(!error.to_string().contains(short));
        }
    }
}
