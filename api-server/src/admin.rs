//! `admin create`: an administrator, made by whoever has the database's
//! credentials.

use std::{
    fs::File,
    io::{self, IsTerminal, Read, Write},
    path::PathBuf,
};

use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use crate::{
    app::{AppError, first_admin::make_admin},
    args::AdminCreateArgs,
    config::{self, ConfigError, Database, PublicUrl},
    crypto::hasher::{Hasher, Limits},
    domain::{
        account::{NewAccount, NewAccountError},
        email::email_key,
        password::{MAX_LOGIN_BYTES, PasswordPolicy},
        username::username_key,
    },
    import::named,
    store::{
        Store,
        first_admin::{Maker, Names, Promotion},
        users::Taken,
    },
};

/// No administrator was made. Every text is one line and repeats no password.
#[derive(Debug, Error)]
pub enum AdminError {
    /// A setting cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The password cannot be had.
    #[error("the password cannot be read: {0}")]
    Password(io::Error),
    /// What was typed twice differs.
    #[error("the two passwords differ")]
    PasswordsDiffer,
    /// The account breaks rules.
    #[error("{}", in_words(.0))]
    Invalid(NewAccountError),
    /// An account has one of the names.
    #[error(
        "an account has {} already; with --promote and its name, it is given the role",
        if .0.username { "this user name" } else { "this e-mail address" }
    )]
    Taken(Taken),
    /// Nobody is named.
    #[error("--promote needs --username or --email")]
    Nobody,
    /// There is no such account.
    #[error("there is no account with this user name and this e-mail address")]
    NotFound,
    /// The account may not log in.
    #[error("the account is disabled")]
    Disabled,
    /// The tables are not there.
    #[error("the schema is not up to date; run `authstack-api migrate` first")]
    Schema,
    /// The database or the hashing failed.
    #[error(transparent)]
    App(#[from] AppError),
    /// Nobody listens.
    #[error("the result cannot be written: {0}")]
    Output(io::Error),
}

/// Makes an administrator, or gives an account the role, and says to `output`
/// which account it is.
pub async fn create(args: AdminCreateArgs, output: &mut impl Write) -> Result<(), AdminError> {
    let policy = policy(&args)?;
    let store = Store::lazy(Database::from_args(args.database)?.options, 1);
    let said = if args.promote {
        let names = (args.username.as_deref(), args.email.as_deref());
        promote(&store, names).await?
    } else {
        let (username, email) = (args.username.as_deref(), args.email.as_deref());
        let names = (username.unwrap_or_default(), email.unwrap_or_default());
        make(&store, &policy, names, args.password_file).await?
    };
    store.close().await;
    writeln!(output, "{said}").map_err(AdminError::Output)
}

/// The rules that `serve` has with the same settings.
fn policy(args: &AdminCreateArgs) -> Result<PasswordPolicy, ConfigError> {
    let url = args.public_url.as_deref();
    let url = PublicUrl::parse(url.unwrap_or("http://localhost"))?;
    config::password_policy(args.passwords.clone(), &url)
}

async fn make(
    store: &Store,
    policy: &PasswordPolicy,
    (username, email): (&str, &str),
    file: Option<PathBuf>,
) -> Result<String, AdminError> {
    // Before anybody types a password in vain.
    check_schema(store).await?;
    let password = password(file)?;
    let account =
        NewAccount::check(policy, username, email, password).map_err(AdminError::Invalid)?;
    let hasher = Hasher::start(Limits::new(1, 1), |_| {}).map_err(AdminError::Password)?;
    match make_admin(store, &hasher, account, Maker::CommandLine).await {
        Ok(Some(id)) => Ok(format!("made the administrator {id}")),
        // Only a server asks whether there is one already.
        Ok(None) => Ok("there is an administrator".to_owned()),
        Err(AppError::Taken(taken)) => Err(AdminError::Taken(taken)),
        Err(error) => Err(error.into()),
    }
}

async fn promote(
    store: &Store,
    (username, email): (Option<&str>, Option<&str>),
) -> Result<String, AdminError> {
    if username.is_none() && email.is_none() {
        return Err(AdminError::Nobody);
    }
    check_schema(store).await?;
    let username = match username.map(username_key) {
        Some(None) => return Err(AdminError::NotFound),
        key => key.flatten(),
    };
    let email = email.map(email_key);
    let names = Names {
        username: username.as_deref(),
        email: email.as_deref(),
    };
    match store.promote(names).await.map_err(AppError::from)? {
        Promotion::Granted(id) => Ok(format!("made {id} an administrator")),
        Promotion::Had(id) => Ok(format!("{id} is an administrator already")),
        Promotion::Disabled => Err(AdminError::Disabled),
        Promotion::NotFound => Err(AdminError::NotFound),
    }
}

async fn check_schema(store: &Store) -> Result<(), AdminError> {
    match store.schema_is_ready().await {
        Ok(true) => Ok(()),
        Ok(false) => Err(AdminError::Schema),
        Err(error) if error.is_not_migrated() => Err(AdminError::Schema),
        Err(error) => Err(AppError::from(error).into()),
    }
}

/// The password from the file, from whoever sits at the terminal, or from
/// stdin: never from the command line, which other users of the machine see.
fn password(file: Option<PathBuf>) -> Result<SecretString, AdminError> {
    let text = match file {
        Some(path) => File::open(&path)
            .and_then(first_line)
            .map_err(|error| named(&path, &error)),
        None if io::stdin().is_terminal() => return prompted(),
        None => first_line(io::stdin()),
    };
    text.map_err(AdminError::Password)
}

/// What is read, but for the newline at its end, which is not meant.
fn first_line(from: impl Read) -> io::Result<SecretString> {
    let mut text = String::new();
    // More than a password may have is too long, however much more it is.
    let limit = MAX_LOGIN_BYTES as u64;
    from.take(limit).read_to_string(&mut text)?;
    let text = SecretString::from(text);
    let password = text.expose_secret().trim_end_matches(['\r', '\n']);
    Ok(password.into())
}

/// Asks twice, as nobody sees what they type.
fn prompted() -> Result<SecretString, AdminError> {
    let ask = |prompt| {
        let typed = rpassword::prompt_password(prompt).map_err(AdminError::Password)?;
        Ok::<_, AdminError>(SecretString::from(typed))
    };
    let (first, second) = (ask("Password: ")?, ask("Again: ")?);
    if first.expose_secret() == second.expose_secret() {
        Ok(first)
    } else {
        Err(AdminError::PasswordsDiffer)
    }
}

fn in_words(error: &NewAccountError) -> String {
    let username = error.username.map(|e| format!("the user name {e}"));
    let email = error.email.map(|e| format!("the e-mail address {e}"));
    let password = error.password.map(|e| format!("the password {e}"));
    let all = [username, email, password].into_iter().flatten();
    all.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newline_at_the_end_is_not_meant() {
        for (text, expected) in [
            ("securepass", "securepass"),
            ("securepass\n", "securepass"),
            ("securepass\r\n", "securepass"),
            (" with spaces \n", " with spaces "),
            ("two\nlines\n", "two\nlines"),
            ("", ""),
        ] {
            let read = first_line(text.as_bytes()).unwrap();
            assert_eq!(read.expose_secret(), expected, "{text:?}");
        }
        assert!(first_line(&b"\xff"[..]).is_err());
        let long = "x".repeat(100_000);
        let read = first_line(long.as_bytes()).unwrap();
        assert_eq!(read.expose_secret().len(), MAX_LOGIN_BYTES);
    }

    #[test]
    fn everything_that_is_wrong_is_one_line() {
        let policy = PasswordPolicy::new(8, [""; 0]).unwrap();
        let error = NewAccount::check(&policy, "a b", "x", "hunter2".into()).unwrap_err();
        let text = AdminError::Invalid(error).to_string();
        for part in ["the user name", "the e-mail address", "the password must"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains('\n') && !text.contains("hunter2"), "{text}");
    }
}
