//! Options of `import`.

use std::path::PathBuf;

use clap::Args;

use super::common::DatabaseArgs;
use crate::import::{Format, OnCollision};

/// Options of `import`.
#[derive(Args)]
pub struct ImportArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub database: DatabaseArgs,
    /// Where the users are: the URL of the old service's database, of which
    /// the table public.users is read, or a file .csv, .jsonl or .ndjson.
    #[arg(
        long,
        env = "IMPORT_FROM",
        value_name = "URL|FILE",
        hide_env_values = true
    )]
    pub from: String,
    /// The password, when the URL of --from carries none.
    #[arg(long, env = "IMPORT_PASSWORD", hide_env_values = true)]
    pub import_password: Option<String>,
    /// A file with IMPORT_PASSWORD.
    #[arg(long, env = "IMPORT_PASSWORD_FILE")]
    pub import_password_file: Option<String>,
    /// How the file is written, where its name does not say so.
    #[arg(long)]
    pub format: Option<Format>,
    /// What the old service is called in the record of who was imported; its
    /// identifiers count under this name [default: the database's or the
    /// file's].
    #[arg(long)]
    pub source_name: Option<String>,
    /// Do everything but write, and report the same.
    #[arg(long)]
    pub dry_run: bool,
    /// What becomes of users that cannot all have their name or address.
    #[arg(long, default_value = "leave-out")]
    pub on_collision: OnCollision,
    /// A file for the report of who was not imported, and why [default:
    /// standard output].
    #[arg(long)]
    pub report: Option<PathBuf>,
}
