//! Options of `serve`, by concern.

use std::net::IpAddr;

use clap::{Args, ValueEnum};

use super::{
    admin::FirstAdminArgs,
    common::{DatabaseArgs, LogArgs, PasswordArgs},
    keys::SigningArgs,
    limits::{HousekeepingArgs, LimitArgs},
    services::ServiceArgs,
    tls::TlsArgs,
    traces::TraceArgs,
};
use crate::domain::ttl::Ttl;

/// Options of `serve`.
#[derive(Args)]
pub struct ServeArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub database: DatabaseArgs,
    /// The most connections to the database.
    #[arg(long, env = "DATABASE_MAX_CONNECTIONS", default_value_t = 8,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub database_max_connections: u32,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub tokens: TokenArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub signing: SigningArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub network: NetworkArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub tls: TlsArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub accounts: AccountArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub first_admin: FirstAdminArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub hashing: HashArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub limits: LimitArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub housekeeping: HousekeepingArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub drain: DrainArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub services: ServiceArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub log: LogArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub traces: TraceArgs,
}

/// What signs tokens, and what they say.
#[derive(Args)]
pub struct TokenArgs {
    /// The key that signs tokens with HS256, where there is no
    /// SIGNING_KEYS_FILE: at least 32 bytes.
    #[arg(long, env = "SECRET_KEY", hide_env_values = true)]
    pub secret_key: Option<String>,
    /// A file with SECRET_KEY.
    #[arg(long, env = "SECRET_KEY_FILE")]
    pub secret_key_file: Option<String>,
    /// The `iss` of access tokens [default: PUBLIC_URL].
    #[arg(long, env = "ISSUER")]
    pub issuer: Option<String>,
    /// The `aud` of access tokens.
    #[arg(long, env = "AUDIENCE", default_value = "authstack")]
    pub audience: String,
    /// How long an access token lives, such as 90s or 1m; wins over
    /// ACCESS_TOKEN_EXPIRE_MINUTES.
    #[arg(long, env = "ACCESS_TOKEN_TTL")]
    pub access_token_ttl: Option<Ttl>,
    /// How long a session lives after login, such as 12h or 7d; wins over
    /// REFRESH_TOKEN_EXPIRE_DAYS.
    #[arg(long, env = "REFRESH_TOKEN_TTL")]
    pub refresh_token_ttl: Option<Ttl>,
    /// How long an access token lives, in minutes.
    #[arg(long, env = "ACCESS_TOKEN_EXPIRE_MINUTES", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub access_token_expire_minutes: u32,
    /// How long a session lives after login, in days.
    #[arg(long, env = "REFRESH_TOKEN_EXPIRE_DAYS", default_value_t = 7,
          value_parser = clap::value_parser!(u32).range(1..=99_999))]
    pub refresh_token_expire_days: u32,
}

/// Where to listen, and what is in front.
#[derive(Args)]
pub struct NetworkArgs {
    /// The port for clients; 0 takes any free one.
    #[arg(long, env = "PORT", default_value_t = 8001)]
    pub port: u16,
    /// The port for /livez, /readyz and /metrics; 0 takes any free one.
    #[arg(long, env = "METRICS_PORT", default_value_t = 9090)]
    pub metrics_port: u16,
    /// The address to listen on, for both ports [default: every one].
    #[arg(long, env = "LISTEN_ADDRESS")]
    pub listen_address: Option<IpAddr>,
    /// The URL under which clients reach this service; https makes cookies
    /// Secure [default: http://localhost:PORT].
    #[arg(long, env = "PUBLIC_URL")]
    pub public_url: Option<String>,
    /// How many proxies in front of this service to believe about client
    /// addresses, counted from the right of X-Forwarded-For.
    #[arg(long, env = "TRUSTED_PROXY_HOPS", default_value_t = 0)]
    pub trusted_proxy_hops: u8,
}

/// What accounts may be made.
#[derive(Args)]
pub struct AccountArgs {
    /// Whether anybody may make an account.
    #[arg(long, env = "REGISTRATION", default_value = "open", ignore_case = true)]
    pub registration: Registration,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub passwords: PasswordArgs,
}

/// Whether anybody may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Registration {
    /// Anybody may.
    Open,
    /// Nobody may.
    Closed,
}

/// What hashing passwords may take.
#[derive(Args)]
pub struct HashArgs {
    /// How many passwords are hashed at once [default: as many as cores and
    /// the memory limit allow].
    #[arg(long, env = "HASH_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub hash_threads: Option<u16>,
    /// How many more may wait; beyond that, logins are answered 503
    /// [default: 32 for each thread].
    #[arg(long, env = "HASH_QUEUE", value_parser = clap::value_parser!(u16).range(1..))]
    pub hash_queue: Option<u16>,
}

/// How to stop.
#[derive(Args)]
pub struct DrainArgs {
    /// How long to go on accepting connections after SIGTERM, while load
    /// balancers learn of it.
    #[arg(long, env = "DRAIN_DELAY", default_value = "5s")]
    pub drain_delay: Ttl,
    /// How long requests may still take after that.
    #[arg(long, env = "DRAIN_TIMEOUT", default_value = "20s")]
    pub drain_timeout: Ttl,
}
