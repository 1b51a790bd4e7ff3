//! Database URLs, as written for this server or for an older one.

use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
pub use sqlx::postgres::PgConnectOptions as ConnectOptions;
use thiserror::Error;
use url::Url;

/// A database URL cannot be used. The text never repeats the URL, which may
/// hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UrlError {
    /// Not a URL at all.
    #[error("is not a URL; expected postgres://user@host:5432/database")]
    Malformed,
    /// Another kind of database.
    #[error("must begin with postgres:// or postgresql://")]
    Scheme,
    /// No database is named.
    #[error("must name a database: postgres://user@host:5432/database")]
    NoDatabase,
    /// The driver refuses one of the parameters.
    #[error("has a parameter that is not understood")]
    Parameter,
}

/// Reads a URL. A driver suffix, as in `postgresql+asyncpg://`, is accepted.
/// `password` is used when the URL carries none.
pub fn connect_options(
    url: &SecretString,
    password: Option<&SecretString>,
) -> Result<PgConnectOptions, UrlError> {
    let text = url.expose_secret();
    let (scheme, rest) = text.split_once("://").ok_or(UrlError::Malformed)?;
    let kind = scheme.split('+').next().unwrap_or_default();
    if !matches!(kind, "postgres" | "postgresql") {
        return Err(UrlError::Scheme);
    }
    let plain = format!("postgres://{rest}");
    let parsed = Url::parse(&plain).map_err(|_| UrlError::Malformed)?;
    let mut options = PgConnectOptions::from_str(&plain).map_err(|_| UrlError::Parameter)?;
    if options.get_database().is_none_or(str::is_empty) {
        return Err(UrlError::NoDatabase);
    }
    if let (None, Some(password)) = (parsed.password(), password) {
        options = options.password(password.expose_secret());
    }
    if options.get_application_name().is_none() {
        options = options.application_name("authstack-api");
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<PgConnectOptions, UrlError> {
        connect_options(&url.into(), None)
    }

    #[test]
    fn driver_suffixes_are_accepted() {
        for scheme in [
            "postgres",
            "postgresql",
            "postgresql+asyncpg",
            "postgresql+psycopg2",
        ] {
            let options = read(&format!("{scheme}://me:secret@db.example:5433/auth")).unwrap();
            assert_eq!(options.get_host(), "db.example");
            assert_eq!(options.get_port(), 5433);
            assert_eq!(options.get_username(), "me");
            assert_eq!(options.get_database(), Some("auth"));
        }
    }

    #[test]
    fn other_urls_are_refused_without_being_repeated() {
        for (url, expected) in [
            ("banana", UrlError::Malformed),
            ("mysql://me:hunter22@db/auth", UrlError::Scheme),
            ("sqlite://auth.db", UrlError::Scheme),
            ("postgres://me:hunter22@db:port/auth", UrlError::Malformed),
            ("postgres://me:hunter22@db", UrlError::NoDatabase),
            ("postgres://me:hunter22@db/", UrlError::NoDatabase),
            ("postgres://me@db/auth?sslmode=banana", UrlError::Parameter),
        ] {
            let error = read(url).unwrap_err();
            assert_eq!(error, expected, "{url}");
            assert!(!error.to_string().contains("hunter22"));
        }
    }
}
