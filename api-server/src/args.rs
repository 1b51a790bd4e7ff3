//! The command line: every setting is a flag, an environment variable and a
//! line of `.env`, in this order of precedence.

use std::{
    env,
    ffi::{OsStr, OsString},
};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, builder::Resettable};

mod admin;
mod common;
mod import;
mod keys;
mod limits;
mod migrate;
mod serve;
mod services;
mod tls;
mod traces;

pub use admin::{AdminArgs, AdminCommand, AdminCreateArgs, FirstAdminArgs};
pub use common::{DatabaseArgs, LogArgs, LogLevel, PasswordArgs};
pub use import::ImportArgs;
pub use keys::{KeysArgs, KeysCommand, RotateArgs, SigningArgs};
pub use limits::{HousekeepingArgs, LimitArgs, RateLimits};
pub use migrate::{HealthcheckArgs, MigrateArgs};
pub use serve::{
    AccountArgs, DrainArgs, HashArgs, NetworkArgs, Registration, ServeArgs, TokenArgs,
};
pub use services::ServiceArgs;
pub use tls::TlsArgs;
pub use traces::{OtlpProtocol, TraceArgs, TraceSampler};

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
    /// Make the first administrator, or another.
    Admin(AdminArgs),
    /// Make and rotate the files that SIGNING_KEYS_FILE names.
    Keys(KeysArgs),
    /// Bring users from an older service; exits with 3 if some were not imported.
    Import(Box<ImportArgs>),
    /// Print the OpenAPI document.
    Openapi,
    /// Ask the local /readyz; succeed if it says ready.
    Healthcheck(HealthcheckArgs),
}

impl Cli {
    /// Reads a command line, with `dotenv` for what neither it nor the
    /// environment says. A variable that is set but empty counts as unset.
    pub fn parse_from_layers(
        words: Vec<OsString>,
        dotenv: &[(String, String)],
    ) -> Result<Self, clap::Error> {
        let mut matches = match_layers(Self::command(), words, dotenv)?;
        Self::from_arg_matches_mut(&mut matches)
    }

    /// Every environment variable that means something to some subcommand.
    #[must_use]
    pub fn known_variables() -> Vec<String> {
        variables(&Self::command())
    }
}

/// Matches a command line, however deep its subcommands, against all layers.
fn match_layers(
    command: clap::Command,
    mut words: Vec<OsString>,
    dotenv: &[(String, String)],
) -> Result<clap::ArgMatches, clap::Error> {
    let (chosen, at) = chosen_subcommand(&command, &words);
    let flags: Vec<_> = chosen
        .get_arguments()
        .filter_map(|arg| flag_from(arg, dotenv))
        .collect();
    // Before the user's own flags, which therefore win.
    words.splice(at..at, flags);
    with_empty_as_unset(command).try_get_matches_from(words)
}

/// The innermost subcommand that the first words name, and where its own
/// arguments begin.
fn chosen_subcommand<'a>(
    command: &'a clap::Command,
    words: &[OsString],
) -> (&'a clap::Command, usize) {
    let (mut chosen, mut at) = (command, words.len().min(1));
    while let Some(next) = words.get(at).and_then(|word| chosen.find_subcommand(word)) {
        chosen = next;
        at += 1;
    }
    (chosen, at)
}

fn with_empty_as_unset(command: clap::Command) -> clap::Command {
    command
        .args_override_self(true)
        .mut_args(|arg| match arg.get_env().and_then(env::var_os) {
            Some(value) if value.is_empty() => arg.env(Resettable::Reset),
            _ => arg,
        })
        .mut_subcommands(with_empty_as_unset)
}

fn variables(command: &clap::Command) -> Vec<String> {
    let own = command
        .get_arguments()
        .filter_map(|arg| arg.get_env().and_then(OsStr::to_str).map(str::to_owned));
    own.chain(command.get_subcommands().flat_map(variables))
        .collect()
}

fn flag_from(arg: &clap::Arg, dotenv: &[(String, String)]) -> Option<OsString> {
    let (long, name) = (arg.get_long()?, arg.get_env()?);
    if env::var_os(name).is_some_and(|value| !value.is_empty()) {
        return None;
    }
    let (_, value) = dotenv.iter().rev().find(|(key, _)| name == key.as_str())?;
    (!value.is_empty()).then(|| format!("--{long}={value}").into())
}

/// A usage error on one line: what is wrong, what may have been meant, and
/// where to look.
#[must_use]
pub fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let mut paragraphs = text.split("\n\n");
    let what = paragraphs.next().unwrap_or_default();
    let tips = paragraphs.filter(|paragraph| paragraph.trim_start().starts_with("tip:"));
    let text: Vec<_> = std::iter::once(what).chain(tips).collect();
    let words: Vec<_> = text
        .iter()
        .flat_map(|part| part.split_whitespace())
        .collect();
    let line = words.join(" ");
    format!("{}; see --help", line.trim_start_matches("error: "))
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
        assert_eq!(args.network.port, 8001);
        assert_eq!(args.network.metrics_port, 9090);
        assert_eq!(args.tokens.access_token_expire_minutes, 1);
        assert_eq!(args.tokens.refresh_token_expire_days, 7);
        assert_eq!(args.tokens.audience, "authstack");
        assert_eq!(args.accounts.registration, Registration::Open);
        assert_eq!(args.network.trusted_proxy_hops, 0);
        assert_eq!(args.limits.rate_limits, RateLimits::On);
        let limits = [
            args.limits.limit_login_per_account_and_address,
            args.limits.limit_login_per_account,
            args.limits.limit_login_per_address,
            args.limits.limit_registration_per_address,
            args.limits.limit_refresh_per_session,
            args.limits.limit_export_per_account,
        ];
        let limits = limits.map(|limit| limit.to_string());
        assert_eq!(
            limits,
            ["10/6s", "40/6s", "100/500ms", "20/3m", "100/1s", "10/6m"]
        );
        assert_eq!(args.housekeeping.audit_retention.to_string(), "90d");
    }

    #[test]
    fn a_flag_wins_over_dotenv_and_dotenv_over_the_default() {
        let dotenv = [
            ("PORT", "8100"),
            ("AUDIENCE", "from-dotenv"),
            ("OTHER", "x"),
        ];
        let args = serve(&["serve", "--port", "8200"], &dotenv);
        assert_eq!(args.network.port, 8200);
        assert_eq!(args.tokens.audience, "from-dotenv");
        let args = serve(&["serve"], &[("PORT", "8100"), ("PORT", "8101")]);
        assert_eq!(args.network.port, 8101, "the last line wins");
        assert_eq!(serve(&["serve"], &[("PORT", "")]).network.port, 8001);
    }

    #[test]
    fn dotenv_reaches_subcommands_of_subcommands() {
        let arg = |name: &'static str| clap::Arg::new(name).long(name);
        let inner = clap::Command::new("inner")
            .arg(arg("color").env("TEST_COLOR"))
            .arg(arg("shape"));
        let outer = clap::Command::new("outer").subcommand(inner);
        let command = clap::Command::new("program").subcommand(outer);
        assert_eq!(variables(&command), ["TEST_COLOR"]);
        let dotenv = [("TEST_COLOR".to_owned(), "red".to_owned())];
        let color = |words: &[&str]| {
            let words = words.iter().map(OsString::from).collect();
            let matches = match_layers(command.clone(), words, &dotenv).unwrap();
            let (_, matches) = matches.subcommand()?;
            let (_, matches) = matches.subcommand()?;
            matches.get_one::<String>("color").cloned()
        };
        assert_eq!(color(&["program", "outer", "inner"]).unwrap(), "red");
        let words = ["program", "outer", "inner", "--shape=x", "--color=blue"];
        assert_eq!(color(&words).unwrap(), "blue");
        assert_eq!(color(&["program", "outer"]), None);
        assert_eq!(color(&["program"]), None);
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
            (
                &["serve"],
                &[("LIMIT_LOGIN_PER_ACCOUNT", "often")],
                "LIMIT_LOGIN_PER_ACCOUNT",
            ),
            (&["serve", "--rate-limits", "maybe"], &[], "RATE_LIMITS"),
            (&["banana"], &[], "banana"),
            (&["srve"], &[], "a similar subcommand exists: 'serve'"),
            (
                &["serve", "--prt=1"],
                &[],
                "a similar argument exists: '--port'",
            ),
        ] {
            let error = parse(words, dotenv).err().expect("an error");
            assert!(error.contains(culprit), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
