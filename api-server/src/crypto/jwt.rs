//! Access and refresh tokens: what they say, and when they are believed.
//!
//! The header is read here rather than by the library, which neither looks at
//! `typ` nor refuses `crit`. `typ` comes first (RFC 8725, section 3.11), then
//! the key by its `kid`, whose algorithm is the only one accepted, then the
//! signature, then the claims.

use std::{
    borrow::Cow,
    sync::{Arc, PoisonError, RwLock},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, Header};
use serde::{Deserialize, Serialize, de::DeserializeOwned, de::IgnoredAny};
use thiserror::Error;
use uuid::Uuid;

use super::keys::{Key, KeyFile, KeyFileError, KeyNotice, Keys};

mod verified;

use verified::VerifiedTokens;

/// How many seconds of disagreement between clocks are forgiven.
pub const LEEWAY_SECONDS: i64 = 5;

/// Longer than any token that this server makes; what is longer is not read.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

const ACCESS_TYP: &str = "at+jwt";
const REFRESH_TYP: &str = "rt+jwt";

/// The claims of an access token (RFC 9068, section 2.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Who made it.
    pub iss: String,
    /// Whom it is for.
    pub aud: String,
    /// The user.
    pub sub: Uuid,
    /// The client that it was made for; this server's own login page or API
    /// is one client.
    pub client_id: String,
    /// This token's own identifier.
    pub jti: String,
    /// The session, by which it can be ended before `exp`.
    pub sid: Uuid,
    /// When it was made, in seconds since 1970.
    pub iat: i64,
    /// When it ends, likewise.
    pub exp: i64,
    /// What the user may do.
    pub roles: Vec<String>,
}

/// The claims of a refresh token: nothing about the person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshClaims {
    /// The session.
    pub sid: Uuid,
    /// Which of the session's refresh tokens this is.
    pub ctr: i64,
    /// Derived from the session's secret and `ctr`.
    pub jti: String,
    /// When it was made, in seconds since 1970.
    pub iat: i64,
    /// When the session ends, likewise.
    pub exp: i64,
}

/// Why a token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Not one of ours, not of this kind, or tampered with.
    #[error("the token is not valid")]
    Invalid,
    /// It was one of ours, and its time is over.
    #[error("the token has expired")]
    Expired,
}

/// A token could not be made.
#[derive(Debug, Error)]
pub enum SigningError {
    /// The keys' times are such that none is active.
    #[error("no key signs now: the key file needs an active one")]
    NoKey,
    /// The library refused.
    #[error("a token could not be signed: {0}")]
    Failed(#[from] jsonwebtoken::errors::Error),
}

/// Makes and reads tokens for one issuer and one audience.
pub struct Tokens {
    /// Replaced as a whole; every use takes the set of its moment.
    keys: RwLock<Arc<Keys>>,
    verified: VerifiedTokens,
    issuer: String,
    audience: String,
}

/// The header parameters that matter. A parameter given twice is an error.
#[derive(Deserialize)]
struct ReceivedHeader<'a> {
    #[serde(borrow)]
    typ: Cow<'a, str>,
    alg: Algorithm,
    #[serde(borrow, default)]
    kid: Option<Cow<'a, str>>,
    /// Extensions that must be understood (RFC 7515, section 4.1.11): none is.
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

/// A claim that this server never makes, and honours (RFC 7519, section 4.1.5).
#[derive(Deserialize)]
struct Validity {
    #[serde(default)]
    nbf: Option<i64>,
}

impl Validity {
    fn begins_after(&self, now: i64) -> bool {
        self.nbf
            .is_some_and(|begin| begin > now.saturating_add(LEEWAY_SECONDS))
    }
}

impl Tokens {
    /// Tokens signed with `keys`.
    #[must_use]
    pub fn new(keys: Keys, issuer: String, audience: String) -> Self {
        Self {
            keys: RwLock::new(Arc::new(keys)),
            verified: VerifiedTokens::new(),
            issuer,
            audience,
        }
    }

    /// The keys in force.
    #[must_use]
    pub fn keys(&self) -> Arc<Keys> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&keys)
    }

    /// Puts the keys of a file in the place of those in force, or says why
    /// they stay. What a key signs lives for up to `lifetime` seconds.
    pub fn replace_keys(
        &self,
        file: KeyFile,
        now: i64,
        lifetime: i64,
    ) -> Result<Vec<KeyNotice>, KeyFileError> {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let new = keys.replaced_by(file, now)?;
        let notices = keys.notices(&new, now, lifetime);
        *keys = Arc::new(new);
        drop(keys);
        self.verified.clear();
        Ok(notices)
    }

    /// The `iss` of the access tokens made here.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The `aud` of the access tokens made here.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// Signs an access token, at the time that it says it was made.
    pub fn sign_access(&self, claims: &AccessClaims) -> Result<String, SigningError> {
        self.sign(ACCESS_TYP, claims, claims.iat)
    }

    /// Signs a refresh token at the time `now`. With the same key, the same
    /// claims always give the same token.
    pub fn sign_refresh(&self, claims: &RefreshClaims, now: i64) -> Result<String, SigningError> {
        self.sign(REFRESH_TYP, claims, now)
    }

    /// Reads an access token at the time `now`, in seconds since 1970.
    pub fn read_access(&self, token: &str, now: i64) -> Result<AccessClaims, TokenError> {
        let keys = self.keys();
        // Longer ones are refused, and hashing them would only take time.
        let name = (keys.are_asymmetric() && token.len() <= MAX_TOKEN_BYTES)
            .then(|| VerifiedTokens::name(token));
        if let Some(claims) = name.and_then(|name| self.verified.find(&name, &keys, now)) {
            unexpired(claims.exp, now)?;
            return Ok(claims);
        }
        let (claims, key): (AccessClaims, _) = read(&keys, ACCESS_TYP, token, now)?;
        if claims.iss != self.issuer || claims.aud != self.audience {
            return Err(TokenError::Invalid);
        }
        unexpired(claims.exp, now)?;
        if let Some(name) = name {
            self.verified.keep(name, &claims, &keys, key.schedule);
        }
        Ok(claims)
    }

    /// Reads a refresh token at the time `now`, in seconds since 1970. Whether
    /// it is the session's current one, only the database knows.
    pub fn read_refresh(&self, token: &str, now: i64) -> Result<RefreshClaims, TokenError> {
        let keys = self.keys();
        let (claims, _): (RefreshClaims, _) = read(&keys, REFRESH_TYP, token, now)?;
        unexpired(claims.exp, now)?;
        Ok(claims)
    }

    fn sign(&self, typ: &str, claims: &impl Serialize, now: i64) -> Result<String, SigningError> {
        let keys = self.keys();
        let key = keys.signing(now).ok_or(SigningError::NoKey)?;
        let private = key.signing.as_ref().ok_or(SigningError::NoKey)?;
        let mut header = Header::new(key.algorithm);
        header.typ = Some(typ.to_owned());
        header.kid.clone_from(&key.kid);
        Ok(jsonwebtoken::encode(&header, claims, private)?)
    }
}

/// The claims of a token of this kind that one of these keys has signed, and
/// that key. Whether it has expired, and what it claims, is still to be seen.
fn read<'a, T: DeserializeOwned>(
    keys: &'a Keys,
    typ: &str,
    token: &str,
    now: i64,
) -> Result<(T, &'a Key), TokenError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::Invalid);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Invalid)?;
    let (header, payload) = signed.split_once('.').ok_or(TokenError::Invalid)?;
    let header = decode(header)?;
    let header: ReceivedHeader<'_> =
        serde_json::from_slice(&header).map_err(|_| TokenError::Invalid)?;
    if header.typ != typ || header.crit.is_some() {
        return Err(TokenError::Invalid);
    }
    let key = keys
        .verifying(header.kid.as_deref(), now)
        .filter(|key| key.algorithm == header.alg)
        .ok_or(TokenError::Invalid)?;
    let genuine =
        jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &key.verifying, key.algorithm);
    if !genuine.unwrap_or(false) {
        return Err(TokenError::Invalid);
    }
    let payload = decode(payload)?;
    let validity: Validity = serde_json::from_slice(&payload).map_err(|_| TokenError::Invalid)?;
    if validity.begins_after(now) {
        return Err(TokenError::Invalid);
    }
    let claims = serde_json::from_slice(&payload).map_err(|_| TokenError::Invalid)?;
    Ok((claims, key))
}

fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenError::Invalid)
}

fn unexpired(exp: i64, now: i64) -> Result<(), TokenError> {
    if exp.saturating_add(LEEWAY_SECONDS) > now {
        Ok(())
    } else {
        Err(TokenError::Expired)
    }
}

#[cfg(test)]
mod tests;
