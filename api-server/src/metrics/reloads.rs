//! Figures on files that are read again when they change.

use metrics::{Key, Label};

use super::Metrics;

/// What is read again when its files change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloadable {
    /// What signs tokens.
    SigningKeys,
    /// What clients are spoken TLS with.
    TlsCertificate,
    /// How the database is reached.
    DatabaseSettings,
}

const KEYS: &str = "signing_keys_reloads_total";
const KEYS_REFUSED: &str = "signing_keys_file_refused";
const CERTIFICATE: &str = "tls_certificate_reloads_total";
const CERTIFICATE_REFUSED: &str = "tls_certificate_file_refused";
const DATABASE: &str = "database_settings_reloads_total";
const DATABASE_REFUSED: &str = "database_settings_file_refused";

pub(super) const COUNTERS: [(&str, &str); 3] = [
    (
        KEYS,
        "Changed key files, by whether they were loaded or refused.",
    ),
    (
        CERTIFICATE,
        "Changed certificates, by whether they were loaded or refused.",
    ),
    (
        DATABASE,
        "Changed files of the database's URL or password, by whether they were loaded or refused.",
    ),
];
pub(super) const GAUGES: [(&str, &str); 3] = [
    (
        KEYS_REFUSED,
        "1 while the key file cannot be used and the old keys are kept.",
    ),
    (
        CERTIFICATE_REFUSED,
        "1 while the certificate's files cannot be used and the old one is kept.",
    ),
    (
        DATABASE_REFUSED,
        "1 while the files of the database's URL or password cannot be used and the old ones are \
         kept.",
    ),
];

impl Reloadable {
    fn counter(self) -> &'static str {
        match self {
            Self::SigningKeys => KEYS,
            Self::TlsCertificate => CERTIFICATE,
            Self::DatabaseSettings => DATABASE,
        }
    }

    fn gauge(self) -> &'static str {
        match self {
            Self::SigningKeys => KEYS_REFUSED,
            Self::TlsCertificate => CERTIFICATE_REFUSED,
            Self::DatabaseSettings => DATABASE_REFUSED,
        }
    }
}

impl Metrics {
    /// Records that changed files were taken.
    pub fn reloaded(&self, what: Reloadable) {
        self.count_reload(what, "loaded");
        self.in_force(what);
    }

    /// Records that files cannot be used, and what was loaded before is kept.
    pub fn reload_refused(&self, what: Reloadable) {
        self.count_reload(what, "refused");
        self.gauge(&Key::from_static_name(what.gauge())).set(1.0);
    }

    /// Records that what is in force is what the files hold.
    pub fn in_force(&self, what: Reloadable) {
        self.gauge(&Key::from_static_name(what.gauge())).set(0.0);
    }

    fn count_reload(&self, what: Reloadable, result: &'static str) {
        let label = Label::from_static_parts("result", result);
        self.counter(what.counter(), vec![label]).increment(1);
    }
}
