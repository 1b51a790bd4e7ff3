//! Making an administrator where none is there to do it.

use secrecy::ExposeSecret;
use uuid::Uuid;

use super::{App, AppError, new_password::hash_new};
use crate::{
    crypto::hasher::Hasher,
    domain::{account::NewAccount, ids::UserId, role::Roles},
    store::{Store, administration::NewRow, first_admin::Maker},
};

impl App {
    /// Makes this administrator if nobody has the role. An account that has one
    /// of the names already stays what it is, and is an error: somebody else
    /// may have registered it.
    pub async fn ensure_admin(&self, account: NewAccount) -> Result<Option<UserId>, AppError> {
        make_admin(&self.store, &self.hasher, account, Maker::Environment).await
    }
}

/// Makes an administrator; for [`Maker::Environment`], only if nobody has the
/// role (`None` otherwise).
pub async fn make_admin(
    store: &Store,
    hasher: &Hasher,
    account: NewAccount,
    maker: Maker,
) -> Result<Option<UserId>, AppError> {
    let (username, email) = (&account.username, &account.email);
    // In this order: what a server that started together with this one makes
    // between the two questions is then seen as an administrator, not as a name
    // that somebody took.
    let taken = store.names_taken(username, email).await?;
    if maker == Maker::Environment && store.has_admin().await? {
        return Ok(None);
    }
    if taken.any() {
        return Err(AppError::Taken(taken));
    }
    let hash = hash_new(hasher, account.password).await?;
    let row = NewRow {
        id: UserId(Uuid::now_v7()),
        username,
        email,
        password_hash: hash.expose_secret(),
        roles: &Roles::admin(),
        disabled: false,
    };
    let made = store.add_admin(&row, maker).await?;
    made.map_err(AppError::Taken)
}
