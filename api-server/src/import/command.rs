//! `import` as it is called: where its report goes, and how it ends.

use std::{
    fs::{File, OpenOptions, Permissions},
    io::{self, BufWriter, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use super::{ImportError, Progress, Settings, SettingsError, summarise};
use crate::args::ImportArgs;

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A setting cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The import was broken off.
    #[error(transparent)]
    Import(#[from] ImportError),
}

/// Imports, and writes the report to `output` or to the file that was asked
/// for, and then the summary to `output`. Whether every row is here now.
pub async fn run(args: ImportArgs, mut output: impl Write + Send) -> Result<bool, CommandError> {
    let file = args.report.clone();
    let settings = Settings::from_args(args)?;
    let mut progress = Progress::on_stderr();
    let totals = if let Some(path) = file {
        // Opened first: the import is not to be done before it can be reported.
        let file = private_file(&path)
            .map_err(ImportError::Report)
            .map_err(|error| error.of_report(&path))?;
        let totals = super::run(&settings, &mut BufWriter::new(file), &mut progress)
            .await
            .map_err(|error| error.of_report(&path))?;
        summarise(&totals, &settings, &mut output).map_err(ImportError::Report)?;
        totals
    } else {
        super::run(&settings, &mut BufWriter::new(output), &mut progress).await?
    };
    Ok(totals.refused + totals.left_out == 0)
}

/// A new or emptied file that only this user can read.
fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(path)?;
    // One that was there keeps its mode otherwise.
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}
