//! Options that several subcommands share.

use clap::{Args, ValueEnum};

/// Where the database is.
#[derive(Args)]
pub struct DatabaseArgs {
    /// postgres://user@host:port/database; driver suffixes as in
    /// postgresql+asyncpg:// are accepted.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// A file with DATABASE_URL.
    #[arg(long, env = "DATABASE_URL_FILE")]
    pub database_url_file: Option<String>,
    /// The password, when DATABASE_URL carries none.
    #[arg(long, env = "DATABASE_PASSWORD", hide_env_values = true)]
    pub database_password: Option<String>,
    /// A file with DATABASE_PASSWORD.
    #[arg(long, env = "DATABASE_PASSWORD_FILE")]
    pub database_password_file: Option<String>,
}

/// How much to say.
#[derive(Args)]
pub struct LogArgs {
    /// The least important level that is logged.
    #[arg(long, env = "LOG_LEVEL", default_value = "info", ignore_case = true)]
    pub log_level: LogLevel,
}

/// Levels of importance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What somebody should look at.
    Error,
    /// What may become an error.
    Warn,
    /// One line per request, starts and stops.
    Info,
    /// Decisions.
    Debug,
    /// Everything.
    Trace,
}

/// What may become a password.
#[derive(Args, Clone)]
pub struct PasswordArgs {
    /// The fewest characters of a new password, from 8 to 128.
    #[arg(long, env = "PASSWORD_MIN_LENGTH", default_value_t = 8)]
    pub password_min_length: usize,
    /// Words, with commas between, that a new password must be more than: names
    /// of products and of who runs this. The host of PUBLIC_URL is among them
    /// anyway.
    #[arg(long, env = "PASSWORD_FORBIDDEN_WORDS", value_delimiter = ',')]
    pub password_forbidden_words: Vec<String>,
}
