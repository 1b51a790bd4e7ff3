//! Making an account.

use secrecy::SecretString;
use uuid::Uuid;

use super::{App, AppError, Invalid, Origin};
use crate::{
    crypto::phc::SALT_BYTES,
    domain::{
        audit::{Action, Event},
        email::Email,
        ids::UserId,
        password::NewPassword,
        username::Username,
    },
};

/// An account that was made.
pub struct Registered {
    /// Its identifier.
    pub id: UserId,
    /// Its user name.
    pub username: Username,
    /// Its e-mail address.
    pub email: Email,
}

impl App {
    /// Makes an account.
    pub async fn register(
        &self,
        username: &str,
        email: &str,
        password: SecretString,
        origin: &Origin,
    ) -> Result<Registered, AppError> {
        if !self.rules.registration_open {
            return Err(AppError::RegistrationClosed);
        }
        let (username, email, password) = self.check_new_account(username, email, password)?;
        // Asked first, to spare the hash and to name both at once; the insert
        // below decides.
        let taken = self.store.names_taken(&username, &email).await?;
        if taken.any() {
            return Err(AppError::Taken(taken));
        }
        let mut salt = [0; SALT_BYTES];
        rand::fill(&mut salt);
        let hash = self.hasher.hash(password.into_secret(), salt).await?;
        let id = UserId(Uuid::now_v7());
        let event = Event::success(Action::Register).by_and_to(id);
        self.store
            .add_user(id, &username, &email, &hash.to_string(), &event, origin)
            .await?
            .map_err(AppError::Taken)?;
        Ok(Registered {
            id,
            username,
            email,
        })
    }

    /// Judges all three together, to report everything that is wrong.
    fn check_new_account(
        &self,
        username: &str,
        email: &str,
        password: SecretString,
    ) -> Result<(Username, Email, NewPassword), AppError> {
        let policy = &self.rules.password_policy;
        let password = policy.check(password, username, email);
        match (Username::parse(username), Email::parse(email), password) {
            (Ok(username), Ok(email), Ok(password)) => Ok((username, email, password)),
            (username, email, password) => {
                let wrong = [
                    ("username", username.err().map(|e| e.to_string())),
                    ("email", email.err().map(|e| e.to_string())),
                    ("password", password.err().map(|e| e.to_string())),
                ];
                let wrong = wrong
                    .into_iter()
                    .filter_map(|(field, reason)| reason.map(|reason| Invalid { field, reason }));
                Err(AppError::Invalid(wrong.collect()))
            }
        }
    }
}
