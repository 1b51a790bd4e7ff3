//! Files that settings name and that are read again while the server runs.

use std::{
    fs::File,
    io::{self, Read},
    ops::{Deref, Index},
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretSlice};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// The most bytes of a file that are read: more than any of them may have, so
/// that what parses one sees that it is too long.
const MAX_BYTES: u64 = 1024 * 1024;
/// How often files that belong together are read until they hold still.
const READINGS: usize = 5;

/// Files that belong together, and what they held when they were loaded.
#[derive(Clone, Debug)]
pub struct FileSet {
    paths: Vec<PathBuf>,
    loaded: [u8; 32],
}

/// What the files of a set hold, in the set's order.
pub struct Contents {
    files: Vec<SecretBytes>,
    digest: [u8; 32],
}

/// A file's content, which may be secret.
pub struct SecretBytes(SecretSlice<u8>);

/// A file cannot be read. The text is the second half of a sentence.
#[derive(Debug, Error)]
#[error("cannot be read: {error}")]
pub struct Unreadable {
    /// Which one.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

impl FileSet {
    /// The files as they are now, and what they hold.
    pub fn load(paths: Vec<PathBuf>) -> Result<(Self, Contents), Unreadable> {
        let contents = read_still(&paths)?;
        let loaded = contents.digest;
        Ok((Self { paths, loaded }, contents))
    }

    /// Reads the files as they are now.
    pub fn read(&self) -> Result<Contents, Unreadable> {
        read_still(&self.paths)
    }

    /// Tells the content that was loaded from others.
    #[must_use]
    pub fn loaded(&self) -> [u8; 32] {
        self.loaded
    }

    /// Where they are, for people.
    #[must_use]
    pub fn names(&self) -> String {
        let names = self.paths.iter().map(|path| path.display().to_string());
        names.collect::<Vec<_>>().join(", ")
    }
}

impl Contents {
    /// Tells these contents from others: a SHA-256.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

impl Index<usize> for Contents {
    type Output = SecretBytes;

    fn index(&self, index: usize) -> &SecretBytes {
        &self.files[index]
    }
}

impl Deref for SecretBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

/// Reads files that may be exchanged meanwhile: a certificate of before and a
/// key of after would be no pair. So they are read until they are twice the same.
fn read_still(paths: &[PathBuf]) -> Result<Contents, Unreadable> {
    let mut contents = read_all(paths)?;
    if paths.len() > 1 {
        for _ in 0..READINGS {
            let before = contents.digest;
            contents = read_all(paths)?;
            if contents.digest == before {
                break;
            }
        }
    }
    Ok(contents)
}

fn read_all(paths: &[PathBuf]) -> Result<Contents, Unreadable> {
    let files = paths.iter().map(|path| read(path));
    let files = files.collect::<Result<Vec<_>, _>>()?;
    let mut digest = Sha256::new();
    for bytes in &files {
        // Each by itself first, so that no byte can move from one to the next.
        digest.update(Sha256::digest(&**bytes));
    }
    let digest = digest.finalize().into();
    Ok(Contents { files, digest })
}

fn read(path: &Path) -> Result<SecretBytes, Unreadable> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes))
        .map_err(|error| Unreadable {
            path: path.to_owned(),
            error,
        })?;
    Ok(SecretBytes(bytes.into()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn contents_are_told_apart_by_every_byte_and_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|name| directory.path().join(name));
        let write = |a: &str, b: &str| {
            fs::write(&paths[0], a).unwrap();
            fs::write(&paths[1], b).unwrap();
        };
        write("one", "two");
        let (set, contents) = FileSet::load(paths.to_vec()).unwrap();
        assert_eq!((&*contents[0], &*contents[1]), (&b"one"[..], &b"two"[..]));
        assert_eq!(set.read().unwrap().digest(), set.loaded());
        for (a, b) in [("onet", "wo"), ("two", "one"), ("one", "two ")] {
            write(a, b);
            assert_ne!(set.read().unwrap().digest(), set.loaded(), "{a} {b}");
        }
        write("one", "two");
        assert_eq!(set.read().unwrap().digest(), set.loaded());
        fs::remove_file(&paths[1]).unwrap();
        let error = set.read().err().unwrap();
        assert_eq!(error.path, paths[1]);
        assert!(error.to_string().starts_with("cannot be read"), "{error}");
    }
}
