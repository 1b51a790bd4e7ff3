//! Logging in.

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{App, AppError, limits::Attempt, password_upgrade::is_live, tokens::IssuedTokens};
use crate::{
    crypto::{
        jwt::TokenError,
        phc::PasswordHash,
        refresh::{SECRET_BYTES, SessionSecret},
    },
    domain::{
        audit::{Action, Event},
        ids::{Caller, SessionId, UserId},
        login::LoginIdentifier,
        password::MAX_LOGIN_BYTES,
    },
    store::{
        audit::Origin,
        own_account::Refused,
        sessions::{NewSession, SessionGrant},
        users::Credentials,
    },
};

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
        origin: &Origin,
    ) -> Result<IssuedTokens, AppError> {
        let issued = self.log_in(identifier, password, origin).await;
        self.metrics.login(outcome(&issued));
        issued
    }

    async fn log_in(
        &self,
        identifier: &str,
        password: SecretString,
        origin: &Origin,
    ) -> Result<IssuedTokens, AppError> {
        let mut verified = self
            .verify_password(identifier, password.clone(), origin)
            .await?;
        let mut grant = self.begin_session(&verified, origin).await?;
        if grant.is_none() && !is_live(&verified.hash) {
            // Another login of the same user may have upgraded the hash since
            // it was read: the password is as right as it was.
            verified = self.verify_again(verified.user, password.clone()).await?;
            grant = self.begin_session(&verified, origin).await?;
        }
        let grant = grant.ok_or(AppError::LoginRefused)?;
        self.metrics.session_begun();
        self.upgrade_password_hash(verified.user, &verified.hash, password, origin)
            .await;
        let now = grant.rotated_at;
        Ok(self.issue(grant, now)?)
    }

    /// Begins a session, if the hash that was verified is still in force.
    async fn begin_session(
        &self,
        verified: &Verified,
        origin: &Origin,
    ) -> Result<Option<SessionGrant>, AppError> {
        let mut secret = [0; SECRET_BYTES];
        rand::fill(&mut secret);
        let session = NewSession {
            id: SessionId(Uuid::now_v7()),
            user: verified.user,
            verified_hash: &verified.hash,
            secret: &SessionSecret::new(secret),
            ttl: self.rules.refresh_ttl,
        };
        Ok(self.store.begin_session(&session, origin).await?)
    }

    /// Checks a password that was right a moment ago against the hash that is
    /// in force now.
    async fn verify_again(
        &self,
        user: UserId,
        password: SecretString,
    ) -> Result<Verified, AppError> {
        let found = self.store.credentials_of(user).await?;
        let found = found.ok_or(AppError::LoginRefused)?;
        let matches = self
            .hasher
            .verify(password, self.expected(Some(&found)))
            .await?;
        (matches && !found.disabled)
            .then_some(Verified {
                user,
                hash: found.password_hash,
            })
            .ok_or(AppError::LoginRefused)
    }

    /// Checks a password. Whatever is wrong, a failure costs one hash at the
    /// live cost and is the same error: neither time nor text tells an unknown
    /// user from a wrong password.
    async fn verify_password(
        &self,
        identifier: &str,
        password: SecretString,
        origin: &Origin,
    ) -> Result<Verified, AppError> {
        let length = password.expose_secret().len();
        let plausible = length > 0 && length <= MAX_LOGIN_BYTES;
        let identifier = LoginIdentifier::parse(identifier);
        self.gate_login(&identifier, origin).await?;
        // The connection goes back to the pool before the hash begins.
        let found = self.store.credentials(&identifier).await?;
        let account = found.as_ref().map(|user| user.id);
        let attempt = self.limit_login(&identifier, account, origin).await?;
        let expected = self.expected(found.as_ref());
        let matches = self.hasher.verify(password, expected).await?;
        let refused = match found {
            Some(user) if attempt == Attempt::Void => {
                Event::failure(Action::Login, "limited").to(user.id)
            }
            Some(user) if matches && plausible && !user.disabled => {
                return Ok(Verified {
                    user: user.id,
                    hash: user.password_hash,
                });
            }
            Some(user) if user.disabled => Event::failure(Action::Login, "disabled").to(user.id),
            Some(user) => Event::failure(Action::Login, "wrong_password").to(user.id),
            None => Event::failure(Action::Login, "unknown_user"),
        };
        self.store.record(&refused, origin).await?;
        Err(AppError::LoginRefused)
    }

    /// Checks the password of somebody who is logged in, before something that
    /// a stolen session must not be able to do. Gives the hash that it was
    /// checked against, so that a change can tell whether it is still in force.
    pub(super) async fn confirm_password(
        &self,
        caller: Caller,
        password: SecretString,
        action: Action,
        origin: &Origin,
    ) -> Result<SecretString, AppError> {
        let length = password.expose_secret().len();
        let plausible = length > 0 && length <= MAX_LOGIN_BYTES;
        let found = self.store.credentials_of(caller.user).await?;
        if let Some(user) = &found {
            self.limit_confirmation(user, origin).await?;
        }
        let expected = self.expected(found.as_ref());
        let matches = self.hasher.verify(password, expected).await?;
        match found {
            Some(user) if matches && plausible && !user.disabled => Ok(user.password_hash),
            // Deleted or disabled since the request came: its session is over.
            None => Err(TokenError::Invalid.into()),
            Some(user) if user.disabled => Err(TokenError::Invalid.into()),
            Some(_) => {
                let refused = Event::failure(action, "wrong_password").by_caller(caller);
                self.store.record(&refused, origin).await?;
                Err(AppError::WrongPassword)
            }
        }
    }

    /// The error for what the store refused to do, once it is written down
    /// where it matters.
    pub(super) async fn refuse(
        &self,
        refused: Refused,
        action: Action,
        caller: Caller,
        origin: &Origin,
    ) -> Result<AppError, AppError> {
        let reason = match refused {
            Refused::PasswordChanged => Some("password_changed"),
            Refused::LastAdmin => Some("last_admin"),
            Refused::SessionOver | Refused::Taken(_) => None,
        };
        if let Some(reason) = reason {
            let event = Event::failure(action, reason).by_caller(caller);
            self.store.record(&event, origin).await?;
        }
        Ok(refused.into())
    }

    /// What a password is checked against: the stored hash, or one that
    /// nothing matches where there is no user, or none that can be verified.
    fn expected(&self, found: Option<&Credentials>) -> PasswordHash {
        let Some(user) = found else {
            return PasswordHash::of_nobody();
        };
        match PasswordHash::parse(user.password_hash.expose_secret()) {
            Ok(hash) if self.hasher.can_verify(&hash) => return hash,
            Ok(hash) => {
                let kib = hash.memory_kib();
                tracing::error!(user_id = %user.id, kib, "a stored password hash takes more memory than there is");
            }
            Err(error) => {
                tracing::error!(user_id = %user.id, %error, "a stored password hash cannot be verified");
            }
        }
        PasswordHash::of_nobody()
    }
}

/// How an attempt ended, as the metrics have it.
fn outcome(issued: &Result<IssuedTokens, AppError>) -> &'static str {
    match issued {
        Ok(_) => "success",
        Err(AppError::LoginRefused) => "refused",
        Err(AppError::RateLimited { .. }) => "limited",
        Err(_) => "error",
    }
}
