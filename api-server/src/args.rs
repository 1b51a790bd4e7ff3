//! The command line: every setting is a flag, an environment variable and a
//! line of `.env`, in this order of precedence.

use std::{
    env,
    ffi::{OsStr, OsString},
    net::IpAddr,
};

use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, builder::Resettable,
};

use crate::domain::ttl::Ttl;

/// The AuthStack authentication service.
///
/// Every option may also be set by the environment variable named beside it,
/// or by a line of a file `.env` in the working directory.
#[derive(Parser)]
#[command(name = "authstack-api", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary can do.
#[derive(Subcommand)]
pub enum Command {
    /// Serve the API.
    Serve(Box<ServeArgs>),
    /// Bring the database's schema up to date, and grant RUNTIME_ROLE its rights.
    Migrate(MigrateArgs),
    /// Print the OpenAPI document.
    Openapi,
    /// Ask the local /readyz; succeed if it says ready.
    Healthcheck(HealthcheckArgs),
}

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

/// Whether anybody may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Registration {
    /// Anybody may.
    Open,
    /// Nobody may.
    Closed,
}

/// Options of `serve`.
#[derive(Args)]
pub struct ServeArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub database: DatabaseArgs,
    /// The key that signs tokens with HS256: at least 32 bytes.
    #[arg(long, env = "SECRET_KEY", hide_env_values = true)]
    pub secret_key: Option<String>,
    /// A file with SECRET_KEY.
    #[arg(long, env = "SECRET_KEY_FILE")]
    pub secret_key_file: Option<String>,

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
    /// The `iss` of access tokens [default: PUBLIC_URL].
    #[arg(long, env = "ISSUER")]
    pub issuer: Option<String>,
    /// The `aud` of access tokens.
    #[arg(long, env = "AUDIENCE", default_value = "authstack")]
    pub audience: String,
    /// How many proxies in front of this service to believe about client
    /// addresses, counted from the right of X-Forwarded-For.
    #[arg(long, env = "TRUSTED_PROXY_HOPS", default_value_t = 0)]
    pub trusted_proxy_hops: u8,

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

    /// Whether anybody may make an account.
    #[arg(long, env = "REGISTRATION", default_value = "open", ignore_case = true)]
    pub registration: Registration,
    /// The fewest characters of a new password, from 8 to 128.
    #[arg(long, env = "PASSWORD_MIN_LENGTH", default_value_t = 8)]
    pub password_min_length: usize,

    /// How many passwords are hashed at once [default: as many as cores and
    /// the memory limit allow].
    #[arg(long, env = "HASH_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub hash_threads: Option<u16>,
    /// How many more may wait; beyond that, logins are answered 503
    /// [default: 32 for each thread].
    #[arg(long, env = "HASH_QUEUE", value_parser = clap::value_parser!(u16).range(1..))]
    pub hash_queue: Option<u16>,
    /// The most connections to the database.
    #[arg(long, env = "DATABASE_MAX_CONNECTIONS", default_value_t = 8,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub database_max_connections: u32,

    /// How long to go on accepting connections after SIGTERM, while load
    /// balancers learn of it.
    #[arg(long, env = "DRAIN_DELAY", default_value = "5s")]
    pub drain_delay: Ttl,
    /// How long requests may still take after that.
    #[arg(long, env = "DRAIN_TIMEOUT", default_value = "20s")]
    pub drain_timeout: Ttl,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub log: LogArgs,
}

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

impl Cli {
    /// Reads a command line, with `dotenv` for what neither it nor the
    /// environment says. A variable that is set but empty counts as unset.
    pub fn parse_from_layers(
        mut words: Vec<OsString>,
        dotenv: &[(String, String)],
    ) -> Result<Self, clap::Error> {
        let command = Self::command();
        let subcommand = words.get(1).and_then(|word| command.find_subcommand(word));
        if let Some(subcommand) = subcommand {
            let flags: Vec<_> = subcommand
                .get_arguments()
                .filter_map(|arg| flag_from(arg, dotenv))
                .collect();
            // Before the user's own flags, which therefore win.
            words.splice(2..2, flags);
        }
        let command = command.mut_subcommands(|subcommand| {
            subcommand.args_override_self(true).mut_args(|arg| {
                match arg.get_env().and_then(env::var_os) {
                    Some(value) if value.is_empty() => arg.env(Resettable::Reset),
                    _ => arg,
                }
            })
        });
        let mut matches = command.try_get_matches_from(words)?;
        Self::from_arg_matches_mut(&mut matches)
    }

    /// Every environment variable that means something to some subcommand.
    #[must_use]
    pub fn known_variables() -> Vec<String> {
        Self::command()
            .get_subcommands()
            .flat_map(clap::Command::get_arguments)
            .filter_map(|arg| arg.get_env().and_then(OsStr::to_str).map(str::to_owned))
            .collect()
    }
}

fn flag_from(arg: &clap::Arg, dotenv: &[(String, String)]) -> Option<OsString> {
    let (long, name) = (arg.get_long()?, arg.get_env()?);
    if env::var_os(name).is_some_and(|value| !value.is_empty()) {
        return None;
    }
    let (_, value) = dotenv.iter().rev().find(|(key, _)| name == key.as_str())?;
    (!value.is_empty()).then(|| format!("--{long}={value}").into())
}

/// A usage error on one line: its first paragraph, without what follows on
/// how to get help.
#[must_use]
pub fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<_> = paragraph.split_whitespace().collect();
    words.join(" ").trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str], dotenv: &[(&str, &str)]) -> Result<Cli, String> {
        let words = ["authstack-api"].iter().chain(words).map(OsString::from);
        let dotenv: Vec<_> = dotenv
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Cli::parse_from_layers(words.collect(), &dotenv).map_err(|error| one_line(&error))
    }

    fn serve(words: &[&str], dotenv: &[(&str, &str)]) -> Box<ServeArgs> {
        match parse(words, dotenv).unwrap().command {
            Command::Serve(args) => args,
            _ => panic!("not serve"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let args = serve(&["serve"], &[]);
        assert_eq!(args.port, 8001);
        assert_eq!(args.metrics_port, 9090);
        assert_eq!(args.access_token_expire_minutes, 1);
        assert_eq!(args.refresh_token_expire_days, 7);
        assert_eq!(args.audience, "authstack");
        assert_eq!(args.registration, Registration::Open);
        assert_eq!(args.trusted_proxy_hops, 0);
    }

    #[test]
    fn a_flag_wins_over_dotenv_and_dotenv_over_the_default() {
        let dotenv = [
            ("PORT", "8100"),
            ("AUDIENCE", "from-dotenv"),
            ("OTHER", "x"),
        ];
        let args = serve(&["serve", "--port", "8200"], &dotenv);
        assert_eq!(args.port, 8200);
        assert_eq!(args.audience, "from-dotenv");
        let args = serve(&["serve"], &[("PORT", "8100"), ("PORT", "8101")]);
        assert_eq!(args.port, 8101, "the last line wins");
        assert_eq!(serve(&["serve"], &[("PORT", "")]).port, 8001);
    }

    #[test]
    fn errors_are_one_line_that_names_the_culprit() {
        for (words, dotenv, culprit) in [
            (&["serve", "--banana"][..], &[][..], "--banana"),
            (&["serve", "--port", "banana"], &[], "PORT"),
            (&["serve"], &[("PORT", "banana")], "PORT"),
            (
                &["serve", "--access-token-ttl", "banana"],
                &[],
                "ACCESS_TOKEN_TTL",
            ),
            (&["serve", "--registration", "maybe"], &[], "REGISTRATION"),
            (
                &["serve", "--access-token-expire-minutes", "0"],
                &[],
                "ACCESS_TOKEN_EXPIRE_MINUTES",
            ),
            (&["banana"], &[], "banana"),
        ] {
            let error = parse(words, dotenv).err().expect("an error");
            assert!(error.contains(culprit), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
