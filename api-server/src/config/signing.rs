//! What signs tokens: a secret, or a file with keys.

use secrecy::SecretString;
use time::OffsetDateTime;

use super::{ConfigError, FileSet};
use crate::{
    args::SigningArgs,
    crypto::keys::{KeyFile, KeyFileError, Keys},
};

/// The keys that these settings mean, and the file to look after.
pub(super) fn keys(
    args: SigningArgs,
    secret: Option<SecretString>,
) -> Result<(Keys, Option<FileSet>), ConfigError> {
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
    let loaded = FileSet::load(vec![path.clone()]);
    let (file, contents) = loaded.map_err(|error| wrong(error.to_string()))?;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let mut keys = KeyFile::parse(&contents[0])
        .and_then(|file| Keys::from_file(file, now))
        .map_err(|error: KeyFileError| wrong(error.to_string()))?;
    if let Some(until) = args.hs256_accept_until {
        let secret = secret.ok_or_else(|| unused("needs SECRET_KEY, to verify tokens with"))?;
        keys.accept_secret(&secret, until.unix_timestamp())
            .map_err(short)?;
    }
    Ok((keys, Some(file)))
}
