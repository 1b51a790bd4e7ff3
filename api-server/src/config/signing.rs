//! What signs tokens: a secret, or a file with keys.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::ConfigError;
use crate::{
    args::SigningArgs,
    crypto::keys::{KeyFile, KeyFileError, Keys, MAX_FILE_BYTES},
};

/// A key file, and what it held when it was loaded.
#[derive(Clone, Debug)]
pub struct SigningKeysFile {
    /// Where it is.
    pub path: PathBuf,
    /// The SHA-256 of its content.
    pub digest: [u8; 32],
}

impl SigningKeysFile {
    /// Reads the file as it is now, or says why that cannot be.
    pub fn read(&self) -> Result<SecretBytes, String> {
        read(&self.path)
    }
}

/// A file's content, which holds private keys.
pub struct SecretBytes(SecretSlice<u8>);

impl std::ops::Deref for SecretBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl AsRef<[u8]> for SecretBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// The keys that these settings mean, and the file to look after.
pub(super) fn keys(
    args: SigningArgs,
    secret: Option<SecretString>,
) -> Result<(Keys, Option<SigningKeysFile>), ConfigError> {
    let short = |error| ConfigError::new("SECRET_KEY", error);
    let unused = |reason| ConfigError::new("HS256_ACCEPT_UNTIL", reason);
    let Some(path) = args.signing_keys_file else {
        if args.hs256_accept_until.is_some() {
            return Err(unused(
                "is for a change to SIGNING_KEYS_FILE, which is not set",
            ));
        }
        let missing = "(or SECRET_KEY_FILE, or SIGNING_KEYS_FILE) must be set";
        let secret = secret.ok_or_else(|| ConfigError::new("SECRET_KEY", missing))?;
        return Ok((Keys::from_secret(&secret).map_err(short)?, None));
    };
    let wrong = |reason: String| {
        let reason = format!("({}) {reason}", path.display());
        ConfigError::new("SIGNING_KEYS_FILE", reason)
    };
    let bytes = read(&path).map_err(wrong)?;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let mut keys = KeyFile::parse(&bytes)
        .and_then(|file| Keys::from_file(file, now))
        .map_err(|error: KeyFileError| wrong(error.to_string()))?;
    if let Some(until) = args.hs256_accept_until {
        let secret = secret.ok_or_else(|| unused("needs SECRET_KEY, to verify tokens with"))?;
        keys.accept_secret(&secret, until.unix_timestamp())
            .map_err(short)?;
    }
    let digest = Sha256::digest(&*bytes).into();
    Ok((keys, Some(SigningKeysFile { path, digest })))
}

/// A file's bytes; of one that is too long, enough to see that it is.
fn read(path: &Path) -> Result<SecretBytes, String> {
    let limit = u64::try_from(MAX_FILE_BYTES).map_or(u64::MAX, |limit| limit + 1);
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {error}"))?;
    Ok(SecretBytes(bytes.into()))
}
