//! Changing somebody else's account.

use secrecy::SecretString;

use super::{App, AppError, Invalid, Origin, new_password::hash_new};
use crate::{
    domain::{
        account::{Account, Change},
        audit::Action,
        email::Email,
        ids::UserId,
        password::NewPassword,
        role::Roles,
        username::Username,
    },
    store::sessions::EndReason,
};

/// What an administrator asks to be different; what is absent stays.
#[derive(Default)]
pub struct ChangeRequest {
    /// Another user name.
    pub username: Option<String>,
    /// Another e-mail address.
    pub email: Option<String>,
    /// Another password.
    pub password: Option<SecretString>,
    /// Other roles, instead of all that there are.
    pub roles: Option<Vec<String>>,
    /// Whether the user may not log in.
    pub disabled: Option<bool>,
}

impl App {
    /// Changes an account. Another password, and the loss of the right to log
    /// in, end every session of the user; other roles count at once here, and
    /// in tokens from the next one on.
    pub async fn change_account(
        &self,
        actor: UserId,
        user: UserId,
        request: ChangeRequest,
        origin: &Origin,
    ) -> Result<Account, AppError> {
        let before = self.account(user).await?;
        let (mut change, password) = self.check_change(request, &before)?;
        if let Some(password) = password {
            change.password_hash = Some(hash_new(&self.hasher, password).await?);
        }
        let changed = self.store.change_account(actor, user, &change, origin);
        let changed = changed.await?;
        let concerned = (actor, Some(user));
        let (account, ended) = self
            .unless_refused(changed, Action::AdminUserChange, concerned, origin)
            .await?;
        self.metrics.sessions_ended(EndReason::Admin, ended);
        Ok(account)
    }

    /// Judges all fields, to report everything that is wrong. A password is
    /// held against the names that the account will have.
    fn check_change(
        &self,
        request: ChangeRequest,
        before: &Account,
    ) -> Result<(Change, Option<NewPassword>), AppError> {
        let policy = &self.rules.password_policy;
        let password = request.password.map(|password| {
            let username = request.username.as_ref().unwrap_or(&before.username);
            let email = request.email.as_ref().unwrap_or(&before.email);
            policy.check(password, username, email)
        });
        let mut wrong = Vec::new();
        let mut change = Change {
            disabled: request.disabled,
            ..Change::default()
        };
        // What the account has already it may keep, whatever the rules for new
        // names have become.
        let new = |given: Option<String>, old: &str| given.filter(|given| given != old);
        if let Some(username) = new(request.username, &before.username) {
            let username = Username::parse(&username);
            change.username = noted(username, "username", &mut wrong);
        }
        if let Some(email) = new(request.email, &before.email) {
            change.email = noted(Email::parse(&email), "email", &mut wrong);
        }
        if let Some(roles) = request.roles.filter(|roles| *roles != before.roles) {
            change.roles = noted(Roles::parse(&roles), "roles", &mut wrong);
        }
        let password = password.and_then(|password| noted(password, "password", &mut wrong));
        if wrong.is_empty() {
            Ok((change, password))
        } else {
            Err(AppError::Invalid(wrong))
        }
    }
}

/// The value, or else a note of what is wrong with the field.
fn noted<T, E: std::fmt::Display>(
    value: Result<T, E>,
    field: &'static str,
    wrong: &mut Vec<Invalid>,
) -> Option<T> {
    match value {
        Ok(value) => Some(value),
        Err(error) => {
            wrong.push(Invalid::new(field, error));
            None
        }
    }
}
