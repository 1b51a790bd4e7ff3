//! `keys generate` and `keys rotate`: key files for people without the
//! operator.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use secrecy::ExposeSecret;
use thiserror::Error;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    args::{KeysArgs, KeysCommand, RotateArgs},
    crypto::keys::rotation::{self, Rotation, RotationError},
    domain::ttl::Ttl,
};

/// A key file cannot be made or rotated.
#[derive(Debug, Error)]
pub enum KeysError {
    /// It cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// Its keys cannot be moved on.
    #[error("{path}: {error}")]
    Rotation {
        /// Which file.
        path: String,
        /// Why.
        error: RotationError,
    },
    /// A key cannot be made.
    #[error(transparent)]
    Generation(#[from] RotationError),
    /// Nobody listens.
    #[error("the result cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// Runs the subcommand, and says to `output` what it did.
pub fn run(args: &KeysArgs, output: &mut impl Write) -> Result<(), KeysError> {
    match &args.command {
        KeysCommand::Generate => {
            output.write_all(rotation::generate()?.expose_secret().as_bytes())?;
        }
        KeysCommand::Rotate(RotateArgs {
            file,
            refresh_token_ttl,
            refresh_token_expire_days,
        }) => {
            let days = u64::from(*refresh_token_expire_days);
            let lifetime = refresh_token_ttl.unwrap_or(Ttl::from_secs(days * 86_400));
            for step in rotate(file, lifetime)?.steps {
                writeln!(output, "{step}")?;
            }
        }
    }
    Ok(())
}

/// Replaces a file by one whose keys have moved on.
fn rotate(path: &Path, lifetime: Ttl) -> Result<Rotation, KeysError> {
    let shown = path.display().to_string();
    let of_file = |error| KeysError::File {
        path: shown.clone(),
        error,
    };
    // The file itself, where the path is a link to it.
    let file = fs::canonicalize(path).map_err(of_file)?;
    let directory = file.parent().unwrap_or(Path::new("/"));
    // Held to the end: of two that rotate at once, the second sees what the
    // first has written, whose next key is too young.
    let lock = File::open(directory).map_err(of_file)?;
    lock.lock().map_err(of_file)?;
    let mut text = Vec::new();
    let opened = File::open(&file).and_then(|mut opened| opened.read_to_end(&mut text));
    opened.map_err(of_file)?;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let rotation = rotation::rotate(&text, now, lifetime.as_secs());
    let rotation = rotation.map_err(|error| KeysError::Rotation {
        path: shown.clone(),
        error,
    })?;
    let new = beside(&file);
    let written = write_new(&new, rotation.text.expose_secret().as_bytes())
        .and_then(|()| fs::rename(&new, &file))
        .and_then(|()| lock.sync_all());
    if written.is_err() {
        // It may not even be there.
        let _ = fs::remove_file(&new);
    }
    written.map_err(of_file)?;
    Ok(rotation)
}

/// A name that nobody has, in the same directory, so that renaming is atomic.
fn beside(file: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(file.file_name().unwrap_or_default());
    name.push(format!(".{}", Uuid::new_v4()));
    file.with_file_name(name)
}

/// Writes a file that only its owner reads, to the disk.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
