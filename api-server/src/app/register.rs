//! Making an account.

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{App, AppError, Invalid, Origin, new_password::hash_new};
use crate::domain::{
    account::NewAccount,
    audit::{Action, Event},
    email::Email,
    ids::UserId,
    username::Username,
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
        let policy = &self.rules.password_policy;
        let NewAccount {
            username,
            email,
            password,
        } = NewAccount::check(policy, username, email, password)
            .map_err(|error| AppError::Invalid(Invalid::all_of(error)))?;
        self.limit_registration(origin).await?;
        // Asked first, to spare the hash and to name both at once; the insert
        // below decides.
        let taken = self.store.names_taken(&username, &email).await?;
        if taken.any() {
            return Err(AppError::Taken(taken));
        }
        let hash = hash_new(&self.hasher, password).await?;
        let id = UserId(Uuid::now_v7());
        let event = Event::success(Action::Register).by_and_to(id);
        self.store
            .add_user(id, &username, &email, hash.expose_secret(), &event, origin)
            .await?
            .map_err(AppError::Taken)?;
        Ok(Registered {
            id,
            username,
            email,
        })
    }
}
