//! Key files: a JWK Set (RFC 7517, section 5) whose keys have four members of
//! ours, `state`, `activates_at`, `retires_at` and `published_at`. Members that
//! are not known are ignored, as the RFC asks.

use secrecy::SecretString;
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    error::{KeyFileError, Place},
    jwk::{self, Material},
};
use crate::domain::key_schedule::{KeyState, Schedule};

/// Longer than any key file.
pub const MAX_FILE_BYTES: usize = 256 * 1024;
/// More keys than anybody needs; the JWKS stays short.
const MAX_KEYS: usize = 64;
/// A thumbprint has 43.
const MAX_KID_BYTES: usize = 128;

/// A key file that has been read and checked.
pub struct KeyFile {
    pub(super) keys: Vec<FileKey>,
}

/// A key as the file has it.
pub(super) struct FileKey {
    pub(super) kid: String,
    pub(super) schedule: Schedule,
    /// When it was first given to servers, by whoever wrote the file: servers
    /// believe what they have seen instead.
    pub(super) published_at: Option<i64>,
    pub(super) material: Material,
}

#[derive(Deserialize)]
struct RawFile {
    keys: Vec<RawKey>,
}

/// Every member that matters, unchecked.
#[derive(Deserialize)]
pub(super) struct RawKey {
    pub(super) kty: Option<String>,
    pub(super) crv: Option<String>,
    pub(super) alg: Option<String>,
    #[serde(rename = "use")]
    pub(super) usage: Option<String>,
    pub(super) x: Option<String>,
    pub(super) y: Option<String>,
    pub(super) n: Option<String>,
    pub(super) e: Option<String>,
    pub(super) d: Option<SecretString>,
    kid: Option<String>,
    state: Option<String>,
    activates_at: Option<String>,
    retires_at: Option<String>,
    published_at: Option<String>,
}

impl KeyFile {
    /// Reads a file's bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyFileError> {
        if bytes.len() > MAX_FILE_BYTES {
            return Err(KeyFileError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| KeyFileError::NotText)?;
        let raw = raw(text)?;
        if raw.keys.len() > MAX_KEYS {
            return Err(KeyFileError::TooMany(MAX_KEYS));
        }
        let mut keys: Vec<FileKey> = Vec::new();
        for (index, raw) in raw.keys.iter().enumerate() {
            let kid = raw.kid.as_deref().filter(|kid| is_harmless(kid));
            let place = || Place::new(index, kid);
            let key = checked(raw, kid).map_err(|reason| KeyFileError::Key(place(), reason))?;
            if keys.iter().any(|earlier| earlier.kid == key.kid) {
                return Err(KeyFileError::Duplicate(place()));
            }
            keys.push(key);
        }
        Ok(Self { keys })
    }
}

/// The parser's own messages quote what they stumble over, which may be a
/// private key: only the place is told.
fn raw(text: &str) -> Result<RawFile, KeyFileError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let file: Result<RawFile, _> = serde_path_to_error::deserialize(&mut reader);
    let file = file.map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        let (line, column) = (inner.line(), inner.column());
        match inner.classify() {
            serde_json::error::Category::Data => KeyFileError::Shape { line, column, path },
            _ => KeyFileError::Syntax { line, column },
        }
    })?;
    reader.end().map_err(|error| KeyFileError::Syntax {
        line: error.line(),
        column: error.column(),
    })?;
    Ok(file)
}

fn checked(raw: &RawKey, kid: Option<&str>) -> Result<FileKey, &'static str> {
    let kid = kid.ok_or(
        "must have a kid of 1 to 128 characters: letters, digits, '-', '_' and '.', such as its \
         thumbprint",
    )?;
    let state = match raw.state.as_deref() {
        Some("next") => KeyState::Next,
        Some("active") => KeyState::Active,
        Some("retired") => KeyState::Retired,
        _ => return Err("must have a state: next, active or retired"),
    };
    let activates_at = time(
        raw.activates_at.as_deref(),
        "has an activates_at that is no time, such as 2027-01-31T00:00:00Z",
    )?;
    let retires_at = time(
        raw.retires_at.as_deref(),
        "has a retires_at that is no time, such as 2027-01-31T00:00:00Z",
    )?;
    let published_at = time(
        raw.published_at.as_deref(),
        "has a published_at that is no time, such as 2027-01-31T00:00:00Z",
    )?;
    if state == KeyState::Retired && retires_at.is_none() {
        return Err("is retired and must have a retires_at: when what it signed has expired");
    }
    if let (Some(start), Some(end)) = (activates_at, retires_at)
        && start >= end
    {
        return Err("has an activates_at that is not before its retires_at");
    }
    Ok(FileKey {
        kid: kid.to_owned(),
        schedule: Schedule {
            state,
            activates_at,
            retires_at,
        },
        published_at,
        material: jwk::material(raw)?,
    })
}

fn time(text: Option<&str>, wrong: &'static str) -> Result<Option<i64>, &'static str> {
    let read = |text| OffsetDateTime::parse(text, &Rfc3339);
    let time = text.map(read).transpose().map_err(|_| wrong)?;
    Ok(time.map(OffsetDateTime::unix_timestamp))
}

/// Fit for a header, a URL, a log and a shell.
fn is_harmless(kid: &str) -> bool {
    (1..=MAX_KID_BYTES).contains(&kid.len())
        && kid
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}
