//! Options of `migrate` and of `healthcheck`.

use std::net::IpAddr;

use clap::Args;

use super::common::{DatabaseArgs, LogArgs};
use crate::domain::ttl::Ttl;

/// Options of `migrate`.
#[derive(Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub database: DatabaseArgs,
    /// The role that `serve` connects as; it is granted what `serve` needs.
    #[arg(long, env = "RUNTIME_ROLE")]
    pub runtime_role: Option<String>,
    /// How long to wait for the database to be there.
    #[arg(long, env = "MIGRATE_TIMEOUT", default_value = "2m")]
    pub migrate_timeout: Ttl,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub log: LogArgs,
}

/// Options of `healthcheck`.
#[derive(Args)]
pub struct HealthcheckArgs {
    /// The port that /readyz is on.
    #[arg(long, env = "METRICS_PORT", default_value_t = 9090)]
    pub metrics_port: u16,
    /// The address that `serve` listens on [default: 127.0.0.1].
    #[arg(long, env = "LISTEN_ADDRESS")]
    pub listen_address: Option<IpAddr>,
}
