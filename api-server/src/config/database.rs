//! How to reach the database, by settings or by files that may change.

use secrecy::SecretString;

use super::{ConfigError, Contents, FileSet, required};
use crate::{
    args::DatabaseArgs,
    store::connect::{ConnectOptions, connect_options},
};

const URL: &str = "DATABASE_URL";
const PASSWORD: &str = "DATABASE_PASSWORD";

/// How to reach the database, and where that may change.
pub struct Database {
    /// As it was when the settings were read.
    pub options: ConnectOptions,
    /// The files that say so, if any do.
    pub files: Option<DatabaseFiles>,
}

/// The files that say how to reach the database, and what else says so.
pub struct DatabaseFiles {
    /// That of the URL, then that of the password, as far as there are such.
    pub files: FileSet,
    url: Given,
    password: Option<Given>,
}

/// Where a setting stands.
enum Given {
    Value(SecretString),
    /// In the file with this place in the set.
    File(usize),
}

impl Database {
    /// Reads the settings, and the files that they name.
    pub fn from_args(args: DatabaseArgs) -> Result<Self, ConfigError> {
        let mut paths = Vec::new();
        let mut given = |name, value: Option<String>, file: Option<String>| match (value, file) {
            (Some(_), Some(_)) => Err(ConfigError::new(
                name,
                format!("and {name}_FILE are both set; keep one"),
            )),
            (Some(value), None) => Ok(Some(Given::Value(value.into()))),
            (None, Some(file)) => {
                paths.push((name, file));
                Ok(Some(Given::File(paths.len() - 1)))
            }
            (None, None) => Ok(None),
        };
        let url = given(URL, args.database_url, args.database_url_file)?;
        let url = required(URL, url)?;
        let password = given(
            PASSWORD,
            args.database_password,
            args.database_password_file,
        )?;
        if paths.is_empty() {
            let options = options(&url, password.as_ref(), None)?;
            return Ok(Self {
                options,
                files: None,
            });
        }
        let loaded = FileSet::load(paths.iter().map(|(_, path)| path.into()).collect());
        let (files, contents) = loaded.map_err(|error| {
            let named = paths
                .iter()
                .find(|(_, path)| error.path.as_os_str() == &**path);
            let (name, path) = named.map_or((URL, ""), |(name, path)| (*name, path));
            ConfigError::new(name, format!("cannot be read from {path}: {}", error.error))
        })?;
        let options = options(&url, password.as_ref(), Some(&contents))?;
        let files = DatabaseFiles {
            files,
            url,
            password,
        };
        Ok(Self {
            options,
            files: Some(files),
        })
    }

    /// How to reach it as the files say now, or else as they said at first.
    #[must_use]
    pub fn current(&self) -> ConnectOptions {
        let read = |files: &DatabaseFiles| files.options(&files.files.read().ok()?).ok();
        let current = self.files.as_ref().and_then(read);
        current.unwrap_or_else(|| self.options.clone())
    }
}

impl DatabaseFiles {
    /// How to reach the database when the files hold this.
    pub fn options(&self, contents: &Contents) -> Result<ConnectOptions, ConfigError> {
        options(&self.url, self.password.as_ref(), Some(contents))
    }
}

fn options(
    url: &Given,
    password: Option<&Given>,
    contents: Option<&Contents>,
) -> Result<ConnectOptions, ConfigError> {
    let url = secret(URL, url, contents)?;
    let password = password.map(|given| secret(PASSWORD, given, contents));
    let password = password.transpose()?;
    connect_options(&url, password.as_ref()).map_err(|error| ConfigError::new(URL, error))
}

fn secret(
    name: &'static str,
    given: &Given,
    contents: Option<&Contents>,
) -> Result<SecretString, ConfigError> {
    match (given, contents) {
        (Given::Value(value), _) => Ok(value.clone()),
        (Given::File(place), Some(contents)) => {
            let text = str::from_utf8(&contents[*place]);
            let text = text.map_err(|_| ConfigError::new(name, "is no text in its file"))?;
            // Editors and `echo` end a file with a newline that is not meant.
            Ok(text.trim_end_matches(['\r', '\n']).into())
        }
        (Given::File(_), None) => Err(ConfigError::new(name, "is in a file that was not read")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn args() -> DatabaseArgs {
        DatabaseArgs {
            database_url: None,
            database_url_file: None,
            database_password: None,
            database_password_file: None,
        }
    }

    #[test]
    fn each_part_comes_from_a_value_or_a_file_and_files_are_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name| directory.path().join(name).display().to_string();
        let (url, password) = (path("url"), path("password"));
        fs::write(&url, "postgres://one@db/auth\n").unwrap();
        fs::write(&password, "hunter22\n").unwrap();

        let plain = DatabaseArgs {
            database_url: Some("postgres://one@db/auth".into()),
            ..args()
        };
        assert!(Database::from_args(plain).unwrap().files.is_none());

        let database = Database::from_args(DatabaseArgs {
            database_url_file: Some(url.clone()),
            database_password_file: Some(password.clone()),
            ..args()
        });
        let database = database.unwrap();
        assert_eq!(database.current().get_username(), "one");
        fs::write(&url, "postgres://two@db/auth").unwrap();
        assert_eq!(database.current().get_username(), "two");
        fs::write(&url, "mysql://three@db/auth").unwrap();
        assert_eq!(
            database.current().get_username(),
            "one",
            "better than nothing"
        );
        let files = database.files.unwrap();
        let refused = files.options(&files.files.read().unwrap()).unwrap_err();
        assert!(refused.to_string().starts_with("DATABASE_URL must begin"));

        let missing = Database::from_args(DatabaseArgs {
            database_url_file: Some(url),
            database_password_file: Some("/does/not/exist".into()),
            ..args()
        });
        let text = missing.err().unwrap().to_string();
        let expected = "DATABASE_PASSWORD cannot be read from /does/not/exist: ";
        assert!(text.starts_with(expected), "{text}");
        let both = Database::from_args(DatabaseArgs {
            database_url: Some("postgres://one@db/auth".into()),
            database_url_file: Some(password),
            ..args()
        });
        assert!(both.err().unwrap().to_string().contains("keep one"));
    }
}
