//! Where rows come from, one piece at a time.

use std::{fs::File, path::Path};

use super::{ImportError, SourceKind, csv::CsvRows, json_lines::JsonLines};
use crate::store::import::{OldService, OldUser, RefusedRow};

/// How many rows of a file are read at once.
const PIECE: usize = 1000;
/// The most bytes of one row of a file: one that is longer is none.
pub(super) const MAX_ROW_BYTES: usize = 1024 * 1024;

/// A row that was read, or that could not be.
pub(super) struct ReadRow {
    /// Its line, or its number.
    pub(super) place: i64,
    pub(super) content: Result<OldUser, RefusedRow>,
}

pub(super) enum Source {
    Database { service: OldService, read: i64 },
    Csv(Box<CsvRows<File>>),
    JsonLines(JsonLines<File>),
}

impl Source {
    pub(super) async fn open(kind: &SourceKind) -> Result<Self, ImportError> {
        Ok(match kind {
            SourceKind::Database(options) => Self::Database {
                service: OldService::open(options).await?,
                read: 0,
            },
            SourceKind::Csv(path) => Self::Csv(Box::new(CsvRows::new(open(path)?)?)),
            SourceKind::JsonLines(path) => Self::JsonLines(JsonLines::new(open(path)?)),
        })
    }

    /// The next rows; none at the end.
    pub(super) async fn next(&mut self) -> Result<Vec<ReadRow>, ImportError> {
        match self {
            Self::Database { service, read } => {
                let users = service.next().await?;
                let number = |user| {
                    *read += 1;
                    ReadRow {
                        place: *read,
                        content: Ok(user),
                    }
                };
                Ok(users.into_iter().map(number).collect())
            }
            Self::Csv(rows) => rows.take(PIECE).collect(),
            Self::JsonLines(rows) => rows.take(PIECE).collect(),
        }
    }
}

fn open(path: &Path) -> Result<File, ImportError> {
    File::open(path).map_err(ImportError::File)
}
