//! Files as a Secret is mounted: each is a link through a link, and the latter
//! is exchanged.

use std::{fs, os::unix::fs::symlink};

use tempfile::TempDir;

/// A mounted Secret.
pub(crate) struct Mount {
    directory: TempDir,
    version: u32,
}

impl Mount {
    /// Mounts these files, by name and content.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let directory = TempDir::new().unwrap();
        for (name, _) in files {
            symlink(format!("..data/{name}"), directory.path().join(name)).unwrap();
        }
        let mut mount = Self {
            directory,
            version: 0,
        };
        mount.write(files);
        mount
    }

    /// Exchanges all of them at once.
    pub(crate) fn write(&mut self, files: &[(&str, &str)]) {
        self.version += 1;
        let root = self.directory.path();
        let version = format!("..v{}", self.version);
        fs::create_dir(root.join(&version)).unwrap();
        for (name, content) in files {
            fs::write(root.join(&version).join(name), content).unwrap();
        }
        symlink(&version, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    }

    /// Where a file is.
    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }
}
