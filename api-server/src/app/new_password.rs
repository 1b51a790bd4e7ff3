//! From a password that may be set to what is stored of it.

use secrecy::SecretString;

use crate::{
    crypto::{
        hasher::{HashError, Hasher},
        phc::SALT_BYTES,
    },
    domain::password::NewPassword,
};

/// Hashes a new password with a salt of its own. No connection to the database
/// may be held meanwhile.
pub(super) async fn hash_new(
    hasher: &Hasher,
    password: NewPassword,
) -> Result<SecretString, HashError> {
    let mut salt = [0; SALT_BYTES];
    rand::fill(&mut salt);
    let hash = hasher.hash(password.into_secret(), salt).await?;
    Ok(hash.to_string().into())
}
