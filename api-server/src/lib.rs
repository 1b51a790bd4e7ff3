//! The AuthStack authentication service.
//!
//! `domain` decides, `crypto` and `store` act, `http` speaks; `app` puts them
//! together and `server` runs them, by what `args` reads and `config` checks.
//! `metrics` and `telemetry` tell what happens. `admin`, `import`, `keys` and
//! `healthcheck` are commands of their own.

#![expect(
    clippy::missing_errors_doc,
    reason = "each layer has one error type, whose variants say what they mean"
)]

pub mod admin;
pub mod app;
pub mod args;
pub mod config;
pub mod crypto;
pub mod domain;
pub mod dotenv;
pub mod healthcheck;
pub mod http;
pub mod import;
pub mod keys;
pub mod metrics;
pub mod server;
pub mod store;
pub mod telemetry;
