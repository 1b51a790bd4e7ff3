//! What can go wrong with a database, in terms of what to do about it.

use sqlx::error::DatabaseError;
use thiserror::Error;

/// A statement did not give an answer.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database is away, starting, full, read-only, or not yet migrated:
    /// the same request may succeed later.
    #[error("the database is unavailable: {}", in_words(.0))]
    Unavailable(sqlx::Error),
    /// A statement took longer than a statement may.
    #[error("the database did not answer in time")]
    TimedOut,
    /// A mistake of ours.
    #[error("unexpected database error: {}", in_words(.0))]
    Internal(sqlx::Error),
}

/// Classes of SQLSTATE that pass by themselves or by an administrator's hand
/// (PostgreSQL manual, appendix A): connection exceptions, transactions rolled
/// back (deadlocks), insufficient resources, operator intervention, system
/// errors.
const PASSING_CLASSES: [&str; 5] = ["08", "40", "53", "57", "58"];

/// Single states, likewise: read-only after a failover, no such role or wrong
/// password (credentials being changed), no such database, and no schema or
/// table or function or no right to it (not yet migrated), and what a standby
/// says of a table that it does not have, because it is not logged.
const PASSING_STATES: [&str; 9] = [
    "0A000", "25006", "28000", "28P01", "3D000", "3F000", "42P01", "42501", "42883",
];

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if passes(&error) {
            Self::Unavailable(error)
        } else {
            Self::Internal(error)
        }
    }
}

/// What the driver says, once. Of what the database itself reports, it would
/// add the line of PostgreSQL's own source, which looks like one of a file.
pub(super) fn in_words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => match error.code() {
            Some(code) => format!("{} (SQLSTATE {code})", error.message()),
            None => error.message().to_owned(),
        },
        sqlx::Error::Io(io) => {
            let inner = io.get_ref().and_then(|inner| inner.downcast_ref());
            inner.map_or_else(|| error.to_string(), no_tls_in_words)
        }
        // The driver's own words for the server's "N" to its SSLRequest.
        sqlx::Error::Tls(inner) if inner.to_string() == "server does not support TLS" => {
            "the server speaks no TLS, which sslmode asks for".to_owned()
        }
        sqlx::Error::PoolTimedOut => "there was no connection to it in time".to_owned(),
        error => error.to_string(),
    }
}

/// Why TLS with the server came to nothing, and what to look at.
fn no_tls_in_words(error: &rustls::Error) -> String {
    use rustls::{CertificateError, Error};
    match error {
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => "the server's certificate is not of an authority in sslrootcert".to_owned(),
        Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            expected,
            presented,
        }) => format!(
            "the server's certificate is for {}, not for {}, which the URL names",
            presented.join(", "),
            expected.to_str()
        ),
        error => format!("no TLS with the server: {error}"),
    }
}

impl StoreError {
    /// Whether there is no such schema or table: the database was never
    /// migrated.
    #[must_use]
    pub fn is_not_migrated(&self) -> bool {
        let (Self::Unavailable(error) | Self::Internal(error)) = self else {
            return false;
        };
        let code = error.as_database_error().and_then(DatabaseError::code);
        matches!(code.as_deref(), Some("3F000" | "42P01"))
    }
}

/// Whether the same statement may succeed later.
pub(super) fn passes(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            PASSING_STATES.contains(&&*code)
                || PASSING_CLASSES.iter().any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}

/// The unique constraint that a statement violated.
pub(super) fn violated_constraint(error: &sqlx::Error) -> Option<&str> {
    let error = error.as_database_error()?;
    error
        .is_unique_violation()
        .then(|| error.constraint())
        .flatten()
}

/// Whether the database broke a statement off so that another could go on
/// (`deadlock_detected`): the same statement may succeed now.
pub(super) fn is_deadlock(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error.is_some_and(|error| error.code().as_deref() == Some("40P01"))
}
