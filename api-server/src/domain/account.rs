//! Accounts: what makes one, and what a change of one entails.

use secrecy::SecretString;
use thiserror::Error;
use time::OffsetDateTime;

use super::{
    email::{Email, EmailError},
    ids::UserId,
    password::{NewPassword, PasswordError, PasswordPolicy},
    role::{Roles, is_admin},
    username::{Username, UsernameError},
};

/// What a new account is made from, judged together.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its user name.
    pub username: Username,
    /// Its e-mail address.
    pub email: Email,
    /// Its password.
    pub password: NewPassword,
}

/// What is wrong with a new account: everything, so that a person mends it at
/// once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("fields of the account break rules")]
pub struct NewAccountError {
    /// What is wrong with the user name.
    pub username: Option<UsernameError>,
    /// What is wrong with the address.
    pub email: Option<EmailError>,
    /// What is wrong with the password.
    pub password: Option<PasswordError>,
}

impl NewAccount {
    /// Judges all three together: a password must not be like the names.
    pub fn check(
        policy: &PasswordPolicy,
        username: &str,
        email: &str,
        password: SecretString,
    ) -> Result<Self, NewAccountError> {
        let password = policy.check(password, username, email);
        match (Username::parse(username), Email::parse(email), password) {
            (Ok(username), Ok(email), Ok(password)) => Ok(Self {
                username,
                email,
                password,
            }),
            (username, email, password) => Err(NewAccountError {
                username: username.err(),
                email: email.err(),
                password: password.err(),
            }),
        }
    }
}

/// An account as administrators see it: all but the password.
#[derive(Clone)]
pub struct Account {
    /// The identifier that never changes.
    pub id: UserId,
    /// The user name as typed.
    pub username: String,
    /// The e-mail address as typed.
    pub email: String,
    /// What the user may do.
    pub roles: Vec<String>,
    /// Since when the user may not log in.
    pub disabled_at: Option<OffsetDateTime>,
    /// When the account was made.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
}

/// What an administrator wants to be different; what is absent stays.
#[derive(Default)]
pub struct Change {
    /// Another user name.
    pub username: Option<Username>,
    /// Another address.
    pub email: Option<Email>,
    /// The hash of another password.
    pub password_hash: Option<SecretString>,
    /// Other roles.
    pub roles: Option<Roles>,
    /// Whether the user may not log in.
    pub disabled: Option<bool>,
}

/// What a change entails for an account as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consequences {
    /// The fields that become different. None: there is nothing to do.
    pub fields: Vec<&'static str>,
    /// What follows, in words that stay the same for ever; no values.
    pub effects: Vec<&'static str>,
    /// The account stops being an administrator's who may log in.
    pub unmakes_admin: bool,
    /// Every session of the user is over.
    pub ends_sessions: bool,
}

impl Change {
    /// What this change entails for this account. A password that is given is
    /// another one: nobody can tell.
    #[must_use]
    pub fn against(&self, account: &Account) -> Consequences {
        let disabled = account.disabled_at.is_some();
        let will_be_disabled = self.disabled.unwrap_or(disabled);
        let admin = is_admin(&account.roles);
        let roles = self.roles.as_ref().map(Roles::as_slice);
        let will_be_admin = roles.map_or(admin, is_admin);
        let differs = |new: Option<&str>, old: &str| new.is_some_and(|new| new != old);

        let fields = [
            (
                "username",
                differs(
                    self.username.as_ref().map(Username::display),
                    &account.username,
                ),
            ),
            (
                "email",
                differs(self.email.as_ref().map(Email::display), &account.email),
            ),
            ("password", self.password_hash.is_some()),
            ("roles", roles.is_some_and(|roles| roles != account.roles)),
            ("disabled", will_be_disabled != disabled),
        ];
        let ends_sessions = self.password_hash.is_some() || (will_be_disabled && !disabled);
        let effects = [
            ("disabled", will_be_disabled && !disabled),
            ("enabled", !will_be_disabled && disabled),
            ("admin_granted", will_be_admin && !admin),
            ("admin_revoked", !will_be_admin && admin),
            ("sessions_ended", ends_sessions),
        ];
        let those = |words: [(&'static str, bool); 5]| {
            let true_ones = words.into_iter().filter(|(_, is)| *is);
            true_ones.map(|(word, _)| word).collect()
        };
        Consequences {
            fields: those(fields),
            effects: those(effects),
            unmakes_admin: admin && !disabled && (!will_be_admin || will_be_disabled),
            ends_sessions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(roles: &[&str], disabled: bool) -> Account {
        let then = OffsetDateTime::UNIX_EPOCH;
        Account {
            id: UserId(uuid::Uuid::nil()),
            username: "guybrush".into(),
            email: "guybrush@example.com".into(),
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            disabled_at: disabled.then_some(then),
            created_at: then,
            updated_at: then,
        }
    }

    fn roles(names: &[&str]) -> Roles {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        Roles::parse(&names).unwrap()
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let policy = PasswordPolicy::new(8, [""; 0]).unwrap();
        let error = NewAccount::check(&policy, "a b", "nowhere", "short".into()).unwrap_err();
        assert_eq!(error.username, Some(UsernameError::Character));
        assert_eq!(error.email, Some(EmailError::Shape));
        assert_eq!(error.password, Some(PasswordError::TooShort(8)));
        let like = NewAccount::check(&policy, "guybrush", "g@example.com", "guybrush1".into());
        assert_eq!(like.unwrap_err().password, Some(PasswordError::LikeTheName));
    }

    #[test]
    fn what_is_the_same_is_no_change() {
        let change = Change {
            username: Some(Username::parse("guybrush").unwrap()),
            email: Some(Email::parse("guybrush@example.com").unwrap()),
            roles: Some(roles(&["b", "a"])),
            disabled: Some(false),
            ..Change::default()
        };
        let consequences = change.against(&account(&["a", "b"], false));
        assert_eq!(consequences, Consequences::default());
    }

    #[test]
    fn another_spelling_is_a_change() {
        let change = Change {
            username: Some(Username::parse("Guybrush").unwrap()),
            ..Change::default()
        };
        assert_eq!(change.against(&account(&[], false)).fields, ["username"]);
    }

    #[test]
    fn sessions_end_with_the_password_and_with_the_right_to_log_in() {
        let ends = |change: Change, disabled| change.against(&account(&[], disabled)).ends_sessions;
        let password = || Change {
            password_hash: Some("x".into()),
            ..Change::default()
        };
        let disabled = |is| Change {
            disabled: Some(is),
            ..Change::default()
        };
        assert!(ends(password(), false));
        assert!(ends(disabled(true), false));
        assert!(!ends(disabled(true), true), "they are over already");
        assert!(!ends(disabled(false), true));
        assert!(!ends(
            Change {
                roles: Some(roles(&["admin"])),
                ..Change::default()
            },
            false
        ));
    }

    #[test]
    fn only_an_administrator_who_may_log_in_can_be_unmade() {
        let unmakes = |change: Change, was: &Account| change.against(was).unmakes_admin;
        let roles = |names: &[&str]| Change {
            roles: Some(roles(names)),
            ..Change::default()
        };
        let disabled = |is| Change {
            disabled: Some(is),
            ..Change::default()
        };
        let admin = account(&["admin", "x"], false);
        assert!(unmakes(roles(&["x"]), &admin));
        assert!(unmakes(disabled(true), &admin));
        assert!(!unmakes(roles(&["admin"]), &admin));
        assert!(!unmakes(Change::default(), &admin));
        assert!(!unmakes(disabled(true), &account(&["x"], false)));
        assert!(!unmakes(roles(&[]), &account(&["admin"], true)));
        let both = Change {
            disabled: Some(false),
            ..roles(&["admin"])
        };
        assert_eq!(
            both.against(&account(&[], true)).effects,
            ["enabled", "admin_granted"]
        );
    }
}
