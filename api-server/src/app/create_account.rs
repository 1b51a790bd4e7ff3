//! Making an account for somebody else.

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{App, AppError, Invalid, Origin, new_password::hash_new};
use crate::{
    domain::{
        account::{Account, NewAccount, NewAccountError},
        audit::Action,
        ids::UserId,
        role::{RoleError, Roles},
    },
    store::administration::NewRow,
};

/// The account that an administrator asks for.
pub struct AccountRequest<'a> {
    /// Its user name.
    pub username: &'a str,
    /// Its e-mail address.
    pub email: &'a str,
    /// Its password.
    pub password: SecretString,
    /// What its user may do.
    pub roles: &'a [String],
    /// Whether its user may not log in yet.
    pub disabled: bool,
}

impl App {
    /// Makes an account, also where nobody may make one of their own.
    pub async fn create_account(
        &self,
        actor: UserId,
        request: AccountRequest<'_>,
        origin: &Origin,
    ) -> Result<Account, AppError> {
        let policy = &self.rules.password_policy;
        let account = NewAccount::check(policy, request.username, request.email, request.password);
        let (account, roles) = match (account, Roles::parse(request.roles)) {
            (Ok(account), Ok(roles)) => (account, roles),
            (account, roles) => return Err(AppError::Invalid(wrong(account.err(), roles.err()))),
        };
        // Asked first, to spare the hash and to name both at once; the insert
        // below decides.
        let (username, email) = (&account.username, &account.email);
        let taken = self.store.names_taken(username, email).await?;
        if taken.any() {
            return Err(AppError::Taken(taken));
        }
        let hash = hash_new(&self.hasher, account.password).await?;
        let id = UserId(Uuid::now_v7());
        let row = NewRow {
            id,
            username,
            email,
            password_hash: hash.expose_secret(),
            roles: &roles,
            disabled: request.disabled,
        };
        let made = self.store.create_account(actor, &row, origin).await?;
        self.unless_refused(made, Action::AdminUserCreate, (actor, None), origin)
            .await
    }
}

fn wrong(account: Option<NewAccountError>, roles: Option<RoleError>) -> Vec<Invalid> {
    let mut wrong = account.map_or_else(Vec::new, Invalid::all_of);
    wrong.extend(roles.map(|error| Invalid::new("roles", error)));
    wrong
}
