//! Replacing a password's hash, where the password stays the same.

use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, query};

use super::{
    Store, StoreError,
    audit::{self, Origin},
    settle, within,
};
use crate::domain::{
    audit::{Action, Event},
    ids::UserId,
};

impl Store {
    /// Replaces a user's hash, unless it is no longer `old`: a password that
    /// was changed meanwhile stays changed. Whether it was replaced.
    pub async fn upgrade_password_hash(
        &self,
        user: UserId,
        old: &SecretString,
        new: &str,
        origin: &Origin,
    ) -> Result<bool, StoreError> {
        let mut connection = self.acquire().await?;
        let update = query!(
            "UPDATE authstack.users SET password_hash = $3
             WHERE id = $1 AND password_hash = $2",
            user.0,
            old.expose_secret(),
            new,
        );
        let event = Event::success(Action::PasswordUpgrade).by_and_to(user);
        let answer = within(async {
            let mut transaction = connection.begin().await?;
            let done = update.execute(&mut *transaction).await?.rows_affected() == 1;
            if done {
                audit::record(&mut transaction, &event, origin).await?;
            }
            transaction.commit().await?;
            Ok(done)
        })
        .await;
        settle(connection, answer)
    }
}
