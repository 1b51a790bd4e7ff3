//! What to import, from where and to where.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use secrecy::SecretString;
use thiserror::Error;

use crate::{
    args::ImportArgs,
    config::{self, ConfigError, Database},
    store::connect::{ConnectOptions, connect_options},
};

/// The most characters of a source's name.
const MAX_NAME_CHARS: usize = 64;

/// What becomes of rows that collide with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnCollision {
    /// None of them is imported.
    LeaveOut,
    /// The oldest is imported.
    KeepOldest,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Comma-separated values with a header (RFC 4180).
    Csv,
    /// One JSON object per line.
    Jsonl,
}

/// Where users come from.
pub enum SourceKind {
    /// The old service's database.
    Database(Box<ConnectOptions>),
    /// A file of comma-separated values.
    Csv(PathBuf),
    /// A file with a JSON object on each line.
    JsonLines(PathBuf),
}

/// The settings of `import`, checked.
pub struct Settings {
    /// Where users go.
    pub database: ConnectOptions,
    /// Where they come from.
    pub source: SourceKind,
    /// What the source is called in the record of what was imported.
    pub source_name: String,
    /// What becomes of rows that collide with each other.
    pub on_collision: OnCollision,
    /// Whether nothing is written.
    pub dry_run: bool,
}

/// A setting cannot be used. Its text is one line that names it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// One that other subcommands have too.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `--from` is not a URL that can be used.
    #[error("--from (IMPORT_FROM) {0}")]
    Url(#[from] crate::store::connect::UrlError),
    /// The name of the file does not say what it holds.
    #[error(
        "--from (IMPORT_FROM) is neither a URL nor a file .csv, .jsonl or .ndjson; say --format"
    )]
    Format,
    /// The source's name cannot be used.
    #[error("--source-name must have 1 to 64 characters, none of them a control character")]
    Name,
}

impl Settings {
    /// Checks the settings of `import`.
    pub fn from_args(args: ImportArgs) -> Result<Self, SettingsError> {
        let database = Database::from_args(args.database)?.options;
        let password = config::secret(
            "IMPORT_PASSWORD",
            args.import_password,
            args.import_password_file,
        )?;
        let source = source_kind(args.from, args.format, password.as_ref())?;
        let name = args.source_name.unwrap_or_else(|| source.default_name());
        if name.is_empty()
            || name.chars().nth(MAX_NAME_CHARS).is_some()
            || name.chars().any(char::is_control)
        {
            return Err(SettingsError::Name);
        }
        Ok(Self {
            database,
            source,
            source_name: name,
            on_collision: args.on_collision,
            dry_run: args.dry_run,
        })
    }
}

fn source_kind(
    from: String,
    format: Option<Format>,
    password: Option<&SecretString>,
) -> Result<SourceKind, SettingsError> {
    if from.contains("://") {
        let options = connect_options(&from.into(), password)?;
        return Ok(SourceKind::Database(Box::new(options)));
    }
    let path = PathBuf::from(from);
    let extension = path.extension().and_then(|extension| extension.to_str());
    let format = format.or(match extension.map(str::to_lowercase).as_deref() {
        Some("csv") => Some(Format::Csv),
        Some("jsonl" | "ndjson") => Some(Format::Jsonl),
        _ => None,
    });
    match format.ok_or(SettingsError::Format)? {
        Format::Csv => Ok(SourceKind::Csv(path)),
        Format::Jsonl => Ok(SourceKind::JsonLines(path)),
    }
}

impl SourceKind {
    /// The name of the database, or of the file without its extension: what
    /// stays the same when the way to it changes.
    fn default_name(&self) -> String {
        let of_file = |path: &Path| {
            path.file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
        };
        let name = match self {
            Self::Database(options) => options.get_database().map(str::to_owned),
            Self::Csv(path) | Self::JsonLines(path) => of_file(path),
        };
        name.unwrap_or_default()
    }

    /// The file, if it is one.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::Database(_) => None,
            Self::Csv(path) | Self::JsonLines(path) => Some(path),
        }
    }

    /// What the place of a row is called.
    pub(super) fn unit(&self) -> &'static str {
        match self {
            Self::Database(_) => "row",
            Self::Csv(_) | Self::JsonLines(_) => "line",
        }
    }
}
