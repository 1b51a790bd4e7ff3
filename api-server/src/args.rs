//! The command line: every setting is a flag, an environment variable and a
//! line of `.env`, in this order of precedence.

use std::{
    env,
    ffi::{OsStr, OsString},
};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, builder::Resettable};

mod common;
mod migrate;
mod serve;

pub use common::{DatabaseArgs, LogArgs, LogLevel};
pub use migrate::{HealthcheckArgs, MigrateArgs};
pub use serve::{
    AccountArgs, DrainArgs, HashArgs, NetworkArgs, Registration, ServeArgs, TokenArgs,
};

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
        assert_eq!(args.network.port, 8001);
        assert_eq!(args.network.metrics_port, 9090);
        assert_eq!(args.tokens.access_token_expire_minutes, 1);
        assert_eq!(args.tokens.refresh_token_expire_days, 7);
        assert_eq!(args.tokens.audience, "authstack");
        assert_eq!(args.accounts.registration, Registration::Open);
        assert_eq!(args.network.trusted_proxy_hops, 0);
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
