//! Hashes that users brought from elsewhere, or that were made at a former
//! cost, become ours as soon as their password is known: at login.

use secrecy::{ExposeSecret, SecretString};

use super::{App, AppError, Origin};
use crate::{
    crypto::phc::{PasswordHash, SALT_BYTES},
    domain::ids::UserId,
};

impl App {
    /// Replaces `old`, which this password was just verified against, by a
    /// hash at the live cost. That it cannot be done now is no reason to
    /// refuse a login: the next one tries again.
    pub(super) async fn upgrade_password_hash(
        &self,
        user: UserId,
        old: &SecretString,
        password: SecretString,
        origin: &Origin,
    ) {
        if is_live(old) {
            return;
        }
        if let Err(error) = self.replace_hash(user, old, password, origin).await {
            tracing::warn!(user_id = %user, %error, "a password hash could not be upgraded");
        }
    }

    async fn replace_hash(
        &self,
        user: UserId,
        old: &SecretString,
        password: SecretString,
        origin: &Origin,
    ) -> Result<(), AppError> {
        let mut salt = [0; SALT_BYTES];
        rand::fill(&mut salt);
        let new = self.hasher.hash(password, salt).await?.to_string();
        self.store
            .upgrade_password_hash(user, old, &new, origin)
            .await?;
        Ok(())
    }
}

/// Whether a stored hash is what this server would make today.
pub(super) fn is_live(stored: &SecretString) -> bool {
    PasswordHash::parse(stored.expose_secret()).is_ok_and(|hash| hash.is_live())
}
