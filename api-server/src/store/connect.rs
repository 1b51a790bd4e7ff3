//! Database URLs, as written for this server or for an older one.

use std::{fs, str::FromStr};

use rustls::pki_types::{CertificateDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};
pub use sqlx::postgres::PgConnectOptions as ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use thiserror::Error;
use url::Url;

/// A database URL cannot be used. The text never repeats the URL, which may
/// hold a password.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
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
    /// An authority is named, and nobody would ask for it.
    #[error("names an sslrootcert, which is heeded only with sslmode=verify-full or verify-ca")]
    Unverified,
    /// A file that it names cannot be read.
    #[error("names {parameter}={path}, which cannot be read: {reason}")]
    Unreadable {
        /// Which of the parameters.
        parameter: &'static str,
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// A file that should name authorities names none.
    #[error("names sslrootcert={0}, which holds no certificate in PEM")]
    NoAuthority(String),
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
    check_files(&parsed, options.get_ssl_mode())?;
    if let (None, Some(password)) = (parsed.password(), password) {
        options = options.password(password.expose_secret());
    }
    if options.get_application_name().is_none() {
        options = options.application_name("authstack-api");
    }
    Ok(options)
}

/// The parameters that name files, each by all of its names.
const FILES: [(&str, [&str; 3]); 3] = [
    (ROOT, [ROOT, "ssl-root-cert", "ssl-ca"]),
    ("sslcert", ["sslcert", "ssl-cert", ""]),
    ("sslkey", ["sslkey", "ssl-key", ""]),
];
const ROOT: &str = "sslrootcert";

/// The driver reads the files whenever it connects, and says of one that is
/// missing only that some file is. Without a certificate in it, or without a
/// mode that asks for it, it would trust others.
fn check_files(url: &Url, mode: PgSslMode) -> Result<(), UrlError> {
    let named = url.query_pairs().filter_map(|(name, path)| {
        let names = |(_, names): &&(&str, [&str; 3])| names.contains(&&*name);
        let (parameter, _) = FILES.iter().find(names)?;
        Some((*parameter, path.into_owned()))
    });
    for (parameter, path) in named {
        let read = fs::read(&path).map_err(|error| UrlError::Unreadable {
            parameter,
            path: path.clone(),
            reason: error.to_string(),
        })?;
        if parameter != ROOT {
            continue;
        }
        if !matches!(mode, PgSslMode::VerifyFull | PgSslMode::VerifyCa) {
            return Err(UrlError::Unverified);
        }
        if !matches!(CertificateDer::pem_slice_iter(&read).next(), Some(Ok(_))) {
            return Err(UrlError::NoAuthority(path));
        }
    }
    Ok(())
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
    fn authorities_must_be_there_and_be_heeded() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name| directory.path().join(name).display().to_string();
        let (authority, empty, missing) = (path("ca.crt"), path("empty"), path("missing"));
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key);
        fs::write(&authority, certificate.unwrap().pem()).unwrap();
        fs::write(&empty, "").unwrap();
        let url = |mode: &str, path: &str| {
            read(&format!(
                "postgres://me:hunter22@db/auth?sslmode={mode}&sslrootcert={path}"
            ))
        };
        for mode in ["verify-full", "verify-ca"] {
            assert!(url(mode, &authority).is_ok(), "{mode}");
        }
        for mode in ["require", "prefer", "disable"] {
            assert_eq!(url(mode, &authority).unwrap_err(), UrlError::Unverified);
        }
        let refused = url("verify-full", &empty).unwrap_err().to_string();
        assert!(refused.contains(&empty), "{refused}");
        let refused = url("verify-full", &missing).unwrap_err().to_string();
        assert!(
            refused.contains(&missing) && !refused.contains("hunter22"),
            "{refused}"
        );
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
