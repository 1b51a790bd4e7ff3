//! Why something was not done.

use std::time::Duration;

use thiserror::Error;

use crate::{
    crypto::{
        hasher::HashError,
        jwt::{SigningError, TokenError},
    },
    domain::account::NewAccountError,
    store::{StoreError, own_account::Refused, users::Taken},
};

/// Why something was not done. What clients see of it, `http` decides.
#[derive(Debug, Error)]
pub enum AppError {
    /// Fields break rules; all of them, so that a person mends them at once.
    #[error("fields break rules")]
    Invalid(Vec<Invalid>),
    /// Another account has these names.
    #[error("names are taken")]
    Taken(Taken),
    /// Nobody may make an account.
    #[error("registration is closed")]
    RegistrationClosed,
    /// No such user, or another password, or not allowed in: never which.
    #[error("the login was refused")]
    LoginRefused,
    /// The password that somebody who is logged in gave to confirm what they
    /// do is not theirs.
    #[error("the current password is wrong")]
    WrongPassword,
    /// It would leave nobody who may log in and administer the service.
    #[error("this is the last administrator")]
    LastAdmin,
    /// Whoever it is may not do this.
    #[error("not allowed")]
    Forbidden,
    /// There is no such thing, or none that may be seen.
    #[error("not found")]
    NotFound,
    /// It was done too often; not yet again.
    #[error("the limit {limit} is used up for {wait:?}")]
    RateLimited {
        /// Which limit, for the log.
        limit: &'static str,
        /// How long until it may be done again.
        wait: Duration,
    },
    /// A token that is not believed.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The hashing threads.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The signing key.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

impl From<Refused> for AppError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::SessionOver => Self::Token(TokenError::Invalid),
            Refused::PasswordChanged => Self::WrongPassword,
            Refused::LastAdmin => Self::LastAdmin,
            Refused::Taken(taken) => Self::Taken(taken),
        }
    }
}

/// A field that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Its name.
    pub field: &'static str,
    /// What is wrong, for the person who typed it.
    pub reason: String,
}

impl Invalid {
    /// A field, and what is wrong with it.
    pub(super) fn new(field: &'static str, reason: impl std::fmt::Display) -> Self {
        let reason = reason.to_string();
        Self { field, reason }
    }

    /// Everything that is wrong with a new account.
    pub(super) fn all_of(error: NewAccountError) -> Vec<Self> {
        let username = error.username.map(|error| Self::new("username", error));
        let email = error.email.map(|error| Self::new("email", error));
        let password = error.password.map(|error| Self::new("password", error));
        [username, email, password].into_iter().flatten().collect()
    }
}
