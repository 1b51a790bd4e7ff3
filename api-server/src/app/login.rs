//! Logging in.

use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{App, AppError, tokens::IssuedTokens};
use crate::{
    crypto::{
        phc::PasswordHash,
        refresh::{SECRET_BYTES, SessionSecret},
    },
    domain::{
        ids::{SessionId, UserId},
        login::LoginIdentifier,
        password::MAX_LOGIN_BYTES,
    },
    store::{sessions::NewSession, users::Credentials},
};

/// Who is at the other end, as far as the session's record goes.
#[derive(Clone, Debug, Default)]
pub struct ClientInfo {
    /// The address that the request came from.
    pub address: Option<IpAddr>,
    /// What the client says it is.
    pub user_agent: Option<String>,
}

/// A password that was right: whose, and the hash that it was checked against.
struct Verified {
    user: UserId,
    hash: SecretString,
}

impl App {
    /// Begins a session for whom the identifier and the password belong to.
    pub async fn login(
        &self,
        identifier: &str,
        password: SecretString,
        client: &ClientInfo,
    ) -> Result<IssuedTokens, AppError> {
        let verified = self.verify_password(identifier, password).await?;
        let mut secret = [0; SECRET_BYTES];
        rand::fill(&mut secret);
        let session = NewSession {
            id: SessionId(Uuid::now_v7()),
            user: verified.user,
            verified_hash: &verified.hash,
            secret: &SessionSecret::new(secret),
            ttl: self.rules.refresh_ttl,
            client_address: client.address,
            user_agent: client.user_agent.as_deref(),
        };
        let grant = self.store.begin_session(&session).await?;
        let grant = grant.ok_or(AppError::LoginRefused)?;
        let now = grant.rotated_at;
        Ok(self.issue(grant, now)?)
    }

    /// Checks a password. Whatever is wrong, a failure costs one hash at the
    /// live cost and is the same error: neither time nor text tells an unknown
    /// user from a wrong password.
    async fn verify_password(
        &self,
        identifier: &str,
        password: SecretString,
    ) -> Result<Verified, AppError> {
        let length = password.expose_secret().len();
        let plausible = length > 0 && length <= MAX_LOGIN_BYTES;
        let identifier = LoginIdentifier::parse(identifier);
        // The connection goes back to the pool before the hash begins.
        let found = self.store.credentials(&identifier).await?;
        let expected = found.as_ref().map_or_else(PasswordHash::of_nobody, stored);
        let matches = self.hasher.verify(password, expected).await?;
        match found {
            Some(user) if matches && plausible && !user.disabled => Ok(Verified {
                user: user.id,
                hash: user.password_hash,
            }),
            _ => Err(AppError::LoginRefused),
        }
    }
}

/// The stored hash, or one that nothing matches where it cannot be read.
fn stored(user: &Credentials) -> PasswordHash {
    PasswordHash::parse(user.password_hash.expose_secret()).unwrap_or_else(|error| {
        tracing::error!(user_id = %user.id, %error, "a stored password hash cannot be verified");
        PasswordHash::of_nobody()
    })
}
