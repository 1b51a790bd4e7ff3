//! What may become a password, and who is the first administrator.

use url::Url;

use super::{ConfigError, PublicUrl, secret};
use crate::{
    args::{FirstAdminArgs, PasswordArgs},
    domain::{account::NewAccount, password::PasswordPolicy},
};

/// The rules for new passwords: more than a word that is forbidden, or than a
/// name of the host.
pub fn password_policy(
    args: PasswordArgs,
    public_url: &PublicUrl,
) -> Result<PasswordPolicy, ConfigError> {
    let mut words = args.password_forbidden_words;
    words.extend(names_of_host(public_url));
    words.extend(["authstack", "dataviv"].map(str::to_owned));
    PasswordPolicy::new(args.password_min_length, &words)
        .map_err(|e| ConfigError::new("PASSWORD_MIN_LENGTH", e))
}

/// The names that the host is made of, but for its top-level domain.
fn names_of_host(public_url: &PublicUrl) -> Vec<String> {
    let url = Url::parse(public_url.origin()).ok();
    let host = url.as_ref().and_then(Url::host);
    let Some(url::Host::Domain(name)) = host else {
        return Vec::new();
    };
    let names = name.rsplit_once('.').map_or(name, |(names, _)| names);
    names.split(['.', '-']).map(str::to_owned).collect()
}

/// The administrator that the environment describes: all of them or nobody.
pub(super) fn first_admin(
    args: FirstAdminArgs,
    policy: &PasswordPolicy,
) -> Result<Option<NewAccount>, ConfigError> {
    const PASSWORD: &str = "ADMIN_PASSWORD";
    let password = secret(PASSWORD, args.admin_password, args.admin_password_file)?;
    let (username, email, password) = match (args.admin_username, args.admin_email, password) {
        (None, None, None) => return Ok(None),
        (Some(username), Some(email), Some(password)) => (username, email, password),
        (username, email, _) => {
            let missing = match (username, email) {
                (None, _) => "ADMIN_USERNAME",
                (_, None) => "ADMIN_EMAIL",
                _ => "ADMIN_PASSWORD (or ADMIN_PASSWORD_FILE)",
            };
            let reason = "is missing: an administrator has a user name, an address and a password";
            return Err(ConfigError::new(missing, reason));
        }
    };
    match NewAccount::check(policy, &username, &email, password) {
        Ok(account) => Ok(Some(account)),
        Err(wrong) => {
            let username = wrong
                .username
                .map(|e| ConfigError::new("ADMIN_USERNAME", e));
            let email = wrong.email.map(|e| ConfigError::new("ADMIN_EMAIL", e));
            let password = wrong.password.map(|e| ConfigError::new(PASSWORD, e));
            username.or(email).or(password).map_or(Ok(None), Err)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_host_are_names() {
        for (url, expected) in [
            (
                "https://auth.big-shop.example",
                &["auth", "big", "shop"][..],
            ),
            ("http://localhost:8001", &["localhost"]),
            ("http://192.0.2.1:8001", &[]),
            ("http://[2001:db8::1]", &[]),
        ] {
            assert_eq!(
                names_of_host(&PublicUrl::parse(url).unwrap()),
                expected,
                "{url}"
            );
        }
    }

    fn read(
        username: Option<&str>,
        email: Option<&str>,
        password: Option<&str>,
    ) -> Result<Option<NewAccount>, ConfigError> {
        let args = FirstAdminArgs {
            admin_username: username.map(str::to_owned),
            admin_email: email.map(str::to_owned),
            admin_password: password.map(str::to_owned),
            admin_password_file: None,
        };
        first_admin(args, &PasswordPolicy::new(8, [""; 0]).unwrap())
    }

    #[test]
    fn an_administrator_is_whole_or_not_there() {
        assert!(read(None, None, None).unwrap().is_none());
        let (name, email, password) = (Some("elaine"), Some("e@example.com"), Some("securepass"));
        let admin = read(name, email, password).unwrap().unwrap();
        assert_eq!(admin.username.display(), "elaine");
        for (username, email, password, culprit) in [
            (None, email, password, "ADMIN_USERNAME"),
            (name, None, password, "ADMIN_EMAIL"),
            (name, email, None, "ADMIN_PASSWORD"),
            (Some("a b"), email, password, "ADMIN_USERNAME"),
            (name, Some("nowhere"), password, "ADMIN_EMAIL"),
            (name, email, Some("hunter2"), "ADMIN_PASSWORD"),
            (name, email, Some("password"), "ADMIN_PASSWORD"),
            (name, email, Some("Elaine123"), "ADMIN_PASSWORD"),
        ] {
            let error = read(username, email, password).unwrap_err().to_string();
            assert!(error.starts_with(culprit), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
