//! What the service does, apart from how it is spoken to.
//!
//! [`App`] is the state that every request shares; its methods, one file per
//! use case, let `domain` decide and `crypto` and `store` act. [`router`] puts
//! HTTP in front of it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use time::OffsetDateTime;

use crate::{
    config::{Config, PublicUrl, Rules, services::Services},
    crypto::{hasher::Hasher, jwt::Tokens},
    metrics::Metrics,
    store::Store,
};

pub mod administration;
pub mod change_account;
pub mod change_password;
pub mod change_profile;
pub mod create_account;
pub mod delete_account;
mod error;
pub mod export;
pub mod first_admin;
pub mod housekeeping;
pub mod introspect;
pub mod keys;
pub mod limits;
pub mod login;
pub mod logout;
mod new_password;
pub mod own_sessions;
mod password_upgrade;
pub mod refresh;
pub mod register;
pub mod tokens;

pub use crate::http::router;
pub use crate::store::audit::Origin;
pub use error::{AppError, Invalid};
pub use limits::{Limiter, Limits};

/// The state that every request shares; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Shared>);

/// What [`App`] shares.
pub struct Shared {
    /// Users and sessions.
    pub store: Store,
    /// Password hashing.
    pub hasher: Hasher,
    /// Signed tokens.
    pub tokens: Tokens,
    /// What users may do.
    pub rules: Rules,
    /// What clients see.
    pub public_url: PublicUrl,
    /// What other services and other sites may do.
    pub services: Services,
    /// How many proxies to believe about client addresses.
    pub trusted_proxy_hops: u8,
    /// How often who may do what.
    pub limiter: Limiter,
    /// Figures for Prometheus.
    pub metrics: Metrics,
    /// The time, by which tokens expire. Sessions go by the database's clock.
    pub clock: Clock,
    /// Whether this server should get requests.
    pub readiness: Readiness,
}

/// Tells the time; tests set it.
pub type Clock = Box<dyn Fn() -> OffsetDateTime + Send + Sync>;

/// Whether this server should get requests.
#[derive(Debug, Default)]
pub struct Readiness {
    schema_seen: AtomicBool,
    draining: AtomicBool,
}

impl Readiness {
    /// The schema has been seen, and stays so: a database that goes away later
    /// is for each answer to tell, not a reason to send nobody here.
    pub fn schema_seen(&self) {
        self.schema_seen.store(true, Ordering::Relaxed);
    }

    /// This server is about to stop.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether this server is about to stop.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Whether this server should get requests.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.schema_seen.load(Ordering::Relaxed) && !self.is_draining()
    }
}

impl App {
    /// The state for these settings, on the real clock.
    pub fn new(config: Config) -> std::io::Result<Self> {
        let store = Store::lazy(config.database.options, config.database_max_connections);
        let metrics = Metrics::new();
        let wait = metrics.hash_wait();
        let hasher = Hasher::start(config.hashing, move |waited| wait.record(waited))?;
        Ok(Self::from_parts(Shared {
            store,
            hasher,
            tokens: Tokens::new(config.keys, config.issuer, config.audience),
            rules: config.rules,
            public_url: config.public_url,
            services: config.services,
            trusted_proxy_hops: config.trusted_proxy_hops,
            limiter: Limiter::new(config.limits),
            metrics,
            clock: Box::new(OffsetDateTime::now_utc),
            readiness: Readiness::default(),
        }))
    }

    /// The state as it is given: for tests, which replace parts of it.
    #[must_use]
    pub fn from_parts(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// The time, in seconds since 1970.
    #[must_use]
    pub fn now(&self) -> i64 {
        (self.clock)().unix_timestamp()
    }
}

impl std::ops::Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Readiness;

    #[test]
    fn ready_once_the_schema_was_seen_until_the_drain() {
        let readiness = Readiness::default();
        assert!(!readiness.is_ready());
        readiness.schema_seen();
        assert!(readiness.is_ready());
        readiness.drain();
        assert!(!readiness.is_ready());
        assert!(readiness.is_draining());
    }
}
