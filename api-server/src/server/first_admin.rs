//! The first administrator, from the environment.

use tokio::time::sleep;

use super::LOOK_EVERY;
use crate::{
    app::{App, AppError},
    crypto::hasher::HashError,
    domain::account::NewAccount,
    store::StoreError,
};

/// Tries once to make the administrator that the settings describe. Whether
/// that is settled: otherwise it should be tried again.
pub(super) async fn settle(app: &App, account: &NewAccount) -> bool {
    match app.ensure_admin(account.clone()).await {
        Ok(None) => true,
        Ok(Some(id)) => {
            tracing::info!(user_id = %id, "the first administrator was made");
            true
        }
        Err(AppError::Taken(taken)) => {
            tracing::error!(
                username_taken = taken.username,
                email_taken = taken.email,
                "ADMIN_USERNAME or ADMIN_EMAIL is an account's without the role admin, which was \
                 not given to it: choose others, or run `admin create --promote`"
            );
            true
        }
        Err(
            error @ (AppError::Store(StoreError::Unavailable(_) | StoreError::TimedOut)
            | AppError::Hash(HashError::Busy)),
        ) => {
            tracing::warn!(%error, "the first administrator was not made yet");
            false
        }
        Err(error) => {
            tracing::error!(%error, "the first administrator cannot be made");
            true
        }
    }
}

/// Tries until it is settled.
pub(super) async fn until_settled(app: App, account: NewAccount) {
    while !settle(&app, &account).await {
        sleep(LOOK_EVERY).await;
    }
}
