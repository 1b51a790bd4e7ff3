//! Deleting one's own account.

use secrecy::SecretString;

use super::{App, AppError, Origin};
use crate::domain::{
    audit::{Action, Event},
    ids::Caller,
};

impl App {
    /// Deletes the caller's account and all its sessions. The last
    /// administrator stays: nobody could make another.
    pub async fn delete_account(
        &self,
        caller: Caller,
        current_password: SecretString,
        origin: &Origin,
    ) -> Result<(), AppError> {
        let action = Action::AccountDelete;
        let verified = self
            .confirm_password(caller, current_password, action, origin)
            .await?;
        let event = Event::success(action).by_caller(caller);
        let deleted = self
            .store
            .delete_own_account(caller, &verified, &event, origin)
            .await?;
        match deleted {
            Ok(()) => Ok(()),
            Err(refused) => Err(self.refuse(refused, action, caller, origin).await?),
        }
    }
}
