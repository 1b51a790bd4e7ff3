//! Options of `serve` on how often who may do what, and how long things are
//! kept.

use clap::{Args, ValueEnum};

use crate::domain::{limit::Limit, ttl::Ttl};

/// How often who may do what, counted across all replicas.
///
/// Each is `BURST/PERIOD`: so many at once, then one more in each period. An
/// IPv6 address counts as its /64.
#[derive(Args)]
pub struct LimitArgs {
    /// Whether there are limits at all; off is for tests and benchmarks.
    #[arg(long, env = "RATE_LIMITS", default_value = "on", ignore_case = true)]
    pub rate_limits: RateLimits,
    /// Passwords tried for one account from one address: so many at once, then
    /// one more in each period (ms, s, m or h).
    #[arg(
        long,
        env = "LIMIT_LOGIN_PER_ACCOUNT_AND_ADDRESS",
        default_value = "10/6s"
    )]
    pub limit_login_per_account_and_address: Limit,
    /// Passwords tried for one account.
    #[arg(long, env = "LIMIT_LOGIN_PER_ACCOUNT", default_value = "40/6s")]
    pub limit_login_per_account: Limit,
    /// Passwords tried from one address.
    #[arg(long, env = "LIMIT_LOGIN_PER_ADDRESS", default_value = "100/500ms")]
    pub limit_login_per_address: Limit,
    /// Accounts made or renamed from one address.
    #[arg(long, env = "LIMIT_REGISTRATION_PER_ADDRESS", default_value = "20/3m")]
    pub limit_registration_per_address: Limit,
    /// Refreshes of one session.
    #[arg(long, env = "LIMIT_REFRESH_PER_SESSION", default_value = "100/1s")]
    pub limit_refresh_per_session: Limit,
    /// Exports of one account.
    #[arg(long, env = "LIMIT_EXPORT_PER_ACCOUNT", default_value = "10/6m")]
    pub limit_export_per_account: Limit,
}

/// Whether there are limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RateLimits {
    /// There are.
    On,
    /// There are none.
    Off,
}

/// How long things are kept that nobody uses any more.
#[derive(Args)]
pub struct HousekeepingArgs {
    /// How long the audit log is kept.
    #[arg(long, env = "AUDIT_RETENTION", default_value = "90d")]
    pub audit_retention: Ttl,
    /// How often, on average, to remove what is old.
    #[arg(long, env = "HOUSEKEEPING_INTERVAL", default_value = "5m")]
    pub housekeeping_interval: Ttl,
}
