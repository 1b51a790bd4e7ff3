//! Settings, checked: what the rest of the program gets to see.

use std::{fmt, fs, net::IpAddr, num::NonZero, time::Duration};

use secrecy::SecretString;
use thiserror::Error;
use url::Url;

use crate::{
    app,
    args::{HousekeepingArgs, LimitArgs, LogLevel, RateLimits, Registration, ServeArgs},
    crypto::{hasher::Limits, keys::Keys, memory, phc},
    domain::{account::NewAccount, password::PasswordPolicy, ttl::Ttl},
};

mod accounts;
mod database;
mod files;
mod public_url;
pub mod services;
mod signing;
mod tls;
mod traces;

pub use accounts::password_policy;
pub use database::{Database, DatabaseFiles};
pub use files::{Contents, FileSet, SecretBytes, Unreadable};
pub use public_url::PublicUrl;
use services::Services;
pub use tls::Tls;
pub use traces::Traces;

/// The settings of `serve`.
pub struct Config {
    /// How to reach the database.
    pub database: Database,
    /// The most connections to it.
    pub database_max_connections: u32,
    /// The keys that tokens are signed with.
    pub keys: Keys,
    /// The file that they came from, if they did.
    pub signing_keys_file: Option<FileSet>,
    /// Where to listen.
    pub listen: Listen,
    /// What to speak TLS to clients with, if at all.
    pub tls: Option<Tls>,
    /// What clients see.
    pub public_url: PublicUrl,
    /// What other services and other sites may do.
    pub services: Services,
    /// The `iss` of access tokens.
    pub issuer: String,
    /// The `aud` of access tokens.
    pub audience: String,
    /// How long things live, and what accounts may be made.
    pub rules: Rules,
    /// The administrator to make, if there is none.
    pub first_admin: Option<NewAccount>,
    /// How many proxies to believe about client addresses.
    pub trusted_proxy_hops: u8,
    /// What hashing may take.
    pub hashing: Limits,
    /// How often who may do what, unless limits are off.
    pub limits: Option<app::Limits>,
    /// How long things are kept.
    pub housekeeping: Housekeeping,
    /// How long to go on accepting after SIGTERM.
    pub drain_delay: Duration,
    /// How long requests may still take after that.
    pub drain_timeout: Duration,
    /// The least important level that is logged.
    pub log_level: LogLevel,
    /// Where traces go, if anywhere.
    pub traces: Option<Traces>,
}

/// The settings that decide what users may do.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How long an access token lives.
    pub access_ttl: Ttl,
    /// How long a session lives after login.
    pub refresh_ttl: Ttl,
    /// What may become a password.
    pub password_policy: PasswordPolicy,
    /// Whether anybody may make an account.
    pub registration_open: bool,
}

/// How long things are kept that nobody uses any more.
#[derive(Clone, Copy, Debug)]
pub struct Housekeeping {
    /// How long the audit log is kept.
    pub audit_retention: Ttl,
    /// How often, on average, to look for what is old.
    pub interval: Duration,
}

/// Where to listen.
#[derive(Clone, Copy, Debug)]
pub struct Listen {
    /// One address, or every one.
    pub address: Option<IpAddr>,
    /// For clients.
    pub port: u16,
    /// For probes and metrics.
    pub metrics_port: u16,
}

/// A setting cannot be used. Its text is one line that names it, and never
/// repeats a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name} {reason}")]
pub struct ConfigError {
    name: &'static str,
    reason: String,
}

impl ConfigError {
    fn new(name: &'static str, reason: impl fmt::Display) -> Self {
        let reason = reason.to_string();
        Self { name, reason }
    }
}

impl Config {
    /// Checks the settings of `serve`.
    pub fn from_args(args: ServeArgs) -> Result<Self, ConfigError> {
        let database = Database::from_args(args.database)?;
        let secret = secret(
            "SECRET_KEY",
            args.tokens.secret_key,
            args.tokens.secret_key_file,
        )?;
        let (keys, signing_keys_file) = signing::keys(args.signing, secret)?;
        let listen = Listen {
            address: args.network.listen_address,
            port: args.network.port,
            metrics_port: args.network.metrics_port,
        };
        if listen.port == listen.metrics_port && listen.port != 0 {
            return Err(ConfigError::new("METRICS_PORT", "must differ from PORT"));
        }
        let public_url = args
            .network
            .public_url
            .unwrap_or_else(|| format!("http://localhost:{}", args.network.port));
        let public_url = PublicUrl::parse(&public_url)?;
        let issuer = args
            .tokens
            .issuer
            .unwrap_or_else(|| public_url.origin().to_owned());
        if args.tokens.audience.is_empty() {
            return Err(ConfigError::new("AUDIENCE", "must not be empty"));
        }
        let rules = Rules {
            access_ttl: args.tokens.access_token_ttl.unwrap_or(Ttl::from_secs(
                u64::from(args.tokens.access_token_expire_minutes) * 60,
            )),
            refresh_ttl: args.tokens.refresh_token_ttl.unwrap_or(Ttl::from_secs(
                u64::from(args.tokens.refresh_token_expire_days) * 86_400,
            )),
            password_policy: password_policy(args.accounts.passwords, &public_url)?,
            registration_open: args.accounts.registration == Registration::Open,
        };
        if rules.refresh_ttl < rules.access_ttl {
            return Err(ConfigError::new(
                "REFRESH_TOKEN_TTL",
                format!(
                    "({}) must not be shorter than ACCESS_TOKEN_TTL ({})",
                    rules.refresh_ttl, rules.access_ttl
                ),
            ));
        }
        let first_admin = accounts::first_admin(args.first_admin, &rules.password_policy)?;
        let hash_threads = args
            .hashing
            .hash_threads
            .map_or_else(hash_threads, usize::from);
        Ok(Self {
            database,
            database_max_connections: args.database_max_connections,
            keys,
            signing_keys_file,
            listen,
            tls: Tls::from_args(args.tls)?,
            public_url,
            services: Services::from_args(args.services)?,
            issuer,
            audience: args.tokens.audience,
            rules,
            first_admin,
            trusted_proxy_hops: args.network.trusted_proxy_hops,
            hashing: Limits::new(
                hash_threads,
                args.hashing
                    .hash_queue
                    .map_or(32 * hash_threads, usize::from),
            )
            .within(memory::hash_memory_kib(memory::limit())),
            limits: limits(&args.limits),
            housekeeping: housekeeping(&args.housekeeping),
            drain_delay: args.drain.drain_delay.duration(),
            drain_timeout: args.drain.drain_timeout.duration(),
            log_level: args.log.log_level,
            traces: Traces::from_args(args.traces)?,
        })
    }
}

fn limits(args: &LimitArgs) -> Option<app::Limits> {
    (args.rate_limits == RateLimits::On).then_some(app::Limits {
        login_per_account_and_address: args.limit_login_per_account_and_address,
        login_per_account: args.limit_login_per_account,
        login_per_address: args.limit_login_per_address,
        registration_per_address: args.limit_registration_per_address,
        refresh_per_session: args.limit_refresh_per_session,
        export_per_account: args.limit_export_per_account,
    })
}

fn housekeeping(args: &HousekeepingArgs) -> Housekeeping {
    Housekeeping {
        audit_retention: args.audit_retention,
        interval: args.housekeeping_interval.duration(),
    }
}

/// As many threads as cores and memory allow.
fn hash_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    memory::hash_threads(
        cores,
        memory::limit(),
        u64::from(phc::LIVE.memory_kib) * 1024,
    )
}

/// A secret as it was given, or from the file that was named.
pub(crate) fn secret(
    name: &'static str,
    value: Option<String>,
    file: Option<String>,
) -> Result<Option<SecretString>, ConfigError> {
    match (value, file) {
        (Some(_), Some(_)) => Err(ConfigError::new(
            name,
            format!("and {name}_FILE are both set; keep one"),
        )),
        (Some(value), None) => Ok(Some(value.into())),
        (None, Some(file)) => {
            let text = fs::read_to_string(&file).map_err(|error| {
                ConfigError::new(name, format!("cannot be read from {file}: {error}"))
            })?;
            // Editors and `echo` end a file with a newline that is not meant.
            Ok(Some(text.trim_end_matches(['\r', '\n']).into()))
        }
        (None, None) => Ok(None),
    }
}

fn required<T>(name: &'static str, value: Option<T>) -> Result<T, ConfigError> {
    value.ok_or_else(|| ConfigError::new(name, format!("(or {name}_FILE) must be set")))
}

/// Reads scheme, host and port. The error is the second half of a sentence.
fn bare_origin(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is not a URL, such as https://auth.example.com")?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("must begin with http:// or https:// and name a host");
    }
    let bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    // A host may hold a star, which would look as if it meant something.
    if !bare || url.host_str().is_some_and(|host| host.contains('*')) {
        return Err("must be scheme, host and port only: that is what browsers tell apart");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_from_one_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        fs::write(&file, "from a file\n").unwrap();
        let file = Some(file.to_string_lossy().into_owned());
        let read = |value: Option<&str>, file: Option<String>| {
            use secrecy::ExposeSecret;
            secret("SECRET_KEY", value.map(str::to_owned), file)
                .map(|secret| secret.map(|secret| secret.expose_secret().to_owned()))
        };
        assert_eq!(read(None, file.clone()), Ok(Some("from a file".into())));
        assert_eq!(read(Some("x"), None), Ok(Some("x".into())));
        assert_eq!(read(None, None), Ok(None));
        assert!(read(Some("x"), file).is_err());
        let missing = read(None, Some("/does/not/exist".into())).unwrap_err();
        assert!(
            missing
                .to_string()
                .starts_with("SECRET_KEY cannot be read from /does/not/exist")
        );
    }
}
