//! Changing one's own name and address.

use secrecy::SecretString;
use serde_json::json;

use super::{App, AppError, Invalid, Origin};
use crate::{
    domain::{
        audit::{Action, Event},
        email::Email,
        ids::Caller,
        username::Username,
    },
    store::users::User,
};

/// What somebody wants to be different; what is absent stays.
pub struct ProfileChange {
    /// The user name.
    pub username: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// Confirms a change of the address.
    pub current_password: Option<SecretString>,
}

/// What is different, and may be.
#[derive(Default)]
struct NewNames {
    username: Option<Username>,
    email: Option<Email>,
}

impl App {
    /// Changes the names of the caller's account, and gives the account as it
    /// is then. The address needs the password: who has it can have the
    /// password reset.
    ///
    /// The password is not judged anew beside the new names. It is not at hand,
    /// and the policy applies when a password is set.
    pub async fn change_profile(
        &self,
        caller: Caller,
        account: User,
        change: ProfileChange,
        origin: &Origin,
    ) -> Result<User, AppError> {
        let action = Action::ProfileChange;
        let (names, password) = new_names(&account, change)?;
        if names.username.is_none() && names.email.is_none() {
            return Ok(account);
        }
        self.limit_registration(origin).await?;
        let verified = match password {
            Some(password) => Some(
                self.confirm_password(caller, password, action, origin)
                    .await?,
            ),
            None => None,
        };
        let fields = [
            names.username.as_ref().map(|_| "username"),
            names.email.as_ref().map(|_| "email"),
        ];
        let fields: Vec<_> = fields.into_iter().flatten().collect();
        let event = Event::success(action).by_caller(caller);
        let event = event.with(json!({ "fields": fields }));
        let (username, email) = (names.username.as_ref(), names.email.as_ref());
        let changed = self
            .store
            .change_profile(caller, verified.as_ref(), username, email, &event, origin)
            .await?;
        match changed {
            Ok(user) => Ok(user),
            Err(refused) => Err(self.refuse(refused, action, caller, origin).await?),
        }
    }
}

/// What of a change is really different, and the password that it needs. All
/// that is wrong is told together. A name that stays is not judged: it may be
/// older than the rules.
fn new_names(
    account: &User,
    change: ProfileChange,
) -> Result<(NewNames, Option<SecretString>), AppError> {
    let username = change.username.filter(|name| *name != account.username);
    let email = change.email.filter(|email| *email != account.email);
    let password = change.current_password.filter(|_| email.is_some());
    let unconfirmed = (email.is_some() && password.is_none())
        .then(|| "is required to change the e-mail address".to_owned());
    let username = username.map(|name| Username::parse(&name)).transpose();
    let email = email.map(|email| Email::parse(&email)).transpose();
    match (username, email, unconfirmed) {
        (Ok(username), Ok(email), None) => Ok((NewNames { username, email }, password)),
        (username, email, unconfirmed) => {
            let wrong = [
                ("username", username.err().map(|e| e.to_string())),
                ("email", email.err().map(|e| e.to_string())),
                ("current_password", unconfirmed),
            ];
            let wrong = wrong
                .into_iter()
                .filter_map(|(field, reason)| reason.map(|reason| Invalid { field, reason }));
            Err(AppError::Invalid(wrong.collect()))
        }
    }
}
