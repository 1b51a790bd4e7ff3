//! Bringing users from an older service: `authstack-api import`.
//!
//! Rows are read one piece at a time, judged each on its own ([`row`]), staged
//! in the destination, where collisions are found, and then written in batches,
//! each row whole or not at all. What is not imported is reported. Memory does
//! not grow with the number of rows: what has to be known of all of them is in
//! temporary tables of the destination.

use std::{io, path::Path};

use thiserror::Error;

use crate::store::import::{Destination, DestinationError, OldServiceError, StagedRow, Totals};

pub mod command;
mod csv;
mod json_lines;
mod progress;
mod report;
pub mod row;
mod settings;
mod source;

pub use progress::Progress;
pub use report::summarise;
pub use settings::{Format, OnCollision, Settings, SettingsError, SourceKind};
use source::Source;

/// The import was broken off. What was written before stays, and a second run
/// goes on from there.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The old service's database.
    #[error("the users cannot be read: {0}")]
    OldService(#[from] OldServiceError),
    /// The file.
    #[error("the file cannot be read: {0}")]
    File(io::Error),
    /// The file is not what it should be.
    #[error("the file cannot be read: {0}")]
    Shape(String),
    /// This service's database.
    #[error("the destination cannot be used: {0}")]
    Destination(#[from] DestinationError),
    /// The report.
    #[error("the report cannot be written: {0}")]
    Report(io::Error),
}

impl ImportError {
    /// The same, saying which file it is about.
    fn of_source(self, source: &SourceKind) -> Self {
        match (self, source.file()) {
            (Self::File(error), Some(path)) => Self::File(named(path, &error)),
            (Self::Shape(reason), Some(path)) => {
                Self::Shape(format!("{}: {reason}", path.display()))
            }
            (error, _) => error,
        }
    }

    /// The same, saying to which file the report was to be written.
    fn of_report(self, path: &Path) -> Self {
        match self {
            Self::Report(error) => Self::Report(named(path, &error)),
            error => error,
        }
    }
}

/// An error of a file, which by itself does not say of which.
pub(crate) fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Imports users and writes a report of those who are not imported.
pub async fn run(
    settings: &Settings,
    report: &mut impl io::Write,
    progress: &mut Progress,
) -> Result<Totals, ImportError> {
    let mut destination = Destination::open(&settings.database).await?;
    let mut source = Source::open(&settings.source)
        .await
        .map_err(|error| error.of_source(&settings.source))?;
    progress.reading();
    loop {
        let rows = source
            .next()
            .await
            .map_err(|error| error.of_source(&settings.source))?;
        if rows.is_empty() {
            break;
        }
        progress.advance(rows.len());
        let judged = rows.into_iter().map(|read| StagedRow {
            place: read.place,
            content: read.content.and_then(|old| row::judge(&old)),
        });
        destination.stage(judged.collect()).await?;
    }
    drop(source);
    let keep_oldest = settings.on_collision == OnCollision::KeepOldest;
    let name = &settings.source_name;
    destination.decide(name, keep_oldest).await?;
    if !settings.dry_run {
        progress.writing(destination.good().await?);
        let mut last = i64::MIN;
        while let Some((done, place)) = destination.write(name, last).await? {
            progress.advance(done);
            last = place;
        }
    }
    progress.finish();
    report::write(&mut destination, settings, report).await?;
    let totals = destination.totals().await?;
    report::summarise(&totals, settings, report).map_err(ImportError::Report)?;
    report.flush().map_err(ImportError::Report)?;
    destination.close().await?;
    Ok(totals)
}
