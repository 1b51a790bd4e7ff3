//! Options about administrators: the first one that `serve` makes, and the
//! subcommand `admin`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::common::{DatabaseArgs, LogArgs, PasswordArgs};

/// The first administrator.
#[derive(Args)]
pub struct FirstAdminArgs {
    /// The user name of an administrator, who is made if nobody has the role
    /// `admin` yet. An account that is there is never given the role by this.
    #[arg(long, env = "ADMIN_USERNAME")]
    pub admin_username: Option<String>,
    /// That administrator's e-mail address.
    #[arg(long, env = "ADMIN_EMAIL")]
    pub admin_email: Option<String>,
    /// That administrator's password. Once the account is there, it may go.
    #[arg(long, env = "ADMIN_PASSWORD", hide_env_values = true)]
    pub admin_password: Option<String>,
    /// A file with ADMIN_PASSWORD.
    #[arg(long, env = "ADMIN_PASSWORD_FILE")]
    pub admin_password_file: Option<String>,
}

/// Options of `admin`.
#[derive(Args)]
pub struct AdminArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: AdminCommand,
}

/// What can be done about administrators from outside.
#[derive(Subcommand)]
pub enum AdminCommand {
    /// Make an account with the role `admin`, or give an account the role. The
    /// password is asked for at a terminal, and read from stdin otherwise.
    Create(Box<AdminCreateArgs>),
}

/// Options of `admin create`.
#[derive(Args)]
pub struct AdminCreateArgs {
    /// The user name of the account.
    #[arg(long, required_unless_present = "promote")]
    pub username: Option<String>,
    /// The e-mail address of the account.
    #[arg(long, required_unless_present = "promote")]
    pub email: Option<String>,
    /// A file with the password.
    #[arg(long)]
    pub password_file: Option<PathBuf>,
    /// Make no account, but give the role to the one with this user name, or
    /// this address, or both.
    #[arg(long, conflicts_with = "password_file")]
    pub promote: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub database: DatabaseArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub passwords: PasswordArgs,
    /// As for `serve`: a password must be more than a name of the host.
    #[arg(long, env = "PUBLIC_URL")]
    pub public_url: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub log: LogArgs,
}
