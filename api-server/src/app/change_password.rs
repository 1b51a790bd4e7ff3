//! Setting another password for one's own account.

use secrecy::{ExposeSecret, SecretString};

use super::{App, AppError, Invalid, Origin, new_password::hash_new};
use crate::{
    domain::{
        audit::{Action, Event},
        ids::Caller,
        password::NewPassword,
    },
    store::{sessions::EndReason, users::User},
};

/// A password to be replaced by another.
pub struct PasswordChange {
    /// The one in force, as the user says.
    pub current: SecretString,
    /// The one to be.
    pub new: SecretString,
    /// Whether the user's other sessions go on. Otherwise they end: the reason
    /// for another password may be that somebody else knows this one.
    pub keep_sessions: bool,
}

impl App {
    /// Sets another password. The session that asks for it goes on.
    pub async fn change_password(
        &self,
        caller: Caller,
        account: &User,
        change: PasswordChange,
        origin: &Origin,
    ) -> Result<(), AppError> {
        let action = Action::PasswordChange;
        let new = self.check_new_password(account, &change.current, change.new)?;
        let verified = self
            .confirm_password(caller, change.current, action, origin)
            .await?;
        let hash = hash_new(&self.hasher, new).await?;
        let event = Event::success(action).by_caller(caller);
        let keep = change.keep_sessions;
        let changed = self
            .store
            .change_own_password(caller, &verified, &hash, keep, event, origin)
            .await?;
        match changed {
            Ok(ended) => {
                self.metrics
                    .sessions_ended(EndReason::PasswordChange, ended);
                Ok(())
            }
            Err(refused) => Err(self.refuse(refused, action, caller, origin).await?),
        }
    }

    /// Judges a new password before anything is hashed. Whether it is like the
    /// current one is a question about the request alone: it tells nothing of
    /// what is stored.
    fn check_new_password(
        &self,
        account: &User,
        current: &SecretString,
        new: SecretString,
    ) -> Result<NewPassword, AppError> {
        let invalid = |reason: String| {
            let field = "new_password";
            AppError::Invalid(vec![Invalid { field, reason }])
        };
        if new.expose_secret() == current.expose_secret() {
            return Err(invalid("must differ from the current password".to_owned()));
        }
        let policy = &self.rules.password_policy;
        policy
            .check(new, &account.username, &account.email)
            .map_err(|error| invalid(error.to_string()))
    }
}
