//! What other services and other sites may do.

use super::{ConfigError, bare_origin, secret};
use crate::{args::ServiceArgs, crypto::clients::Clients};

/// What other services and other sites may do.
pub struct Services {
    /// The services that may ask about tokens and revoke them.
    pub clients: Clients,
    /// The sites whose pages may call this service.
    pub cors_origins: CorsOrigins,
}

impl Services {
    /// Checks the settings.
    pub fn from_args(args: ServiceArgs) -> Result<Self, ConfigError> {
        const CLIENTS: &str = "OAUTH_CLIENTS";
        let clients = secret(CLIENTS, args.oauth_clients, args.oauth_clients_file)?;
        let clients = match clients {
            Some(text) => Clients::parse(&text).map_err(|e| ConfigError::new(CLIENTS, e))?,
            None => Clients::none(),
        };
        Ok(Self {
            clients,
            cors_origins: CorsOrigins::parse(args.cors_origins.as_deref().unwrap_or_default())?,
        })
    }
}

/// Origins (RFC 6454) that are trusted as our own is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorsOrigins(Vec<String>);

impl CorsOrigins {
    /// Reads origins separated by commas. `*` is none: with cookies, it would
    /// let every site act for every user.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let entries = text.split(',').map(str::trim);
        let entries = entries.filter(|entry| !entry.is_empty());
        let read = |entry: &str| match bare_origin(entry) {
            Ok(url) => Ok(url.origin().ascii_serialization()),
            Err(reason) => Err(ConfigError::new(
                "CORS_ORIGINS",
                format!("has an entry {entry:?}, which {reason}"),
            )),
        };
        entries.map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether no site is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a header `Origin` is one of them. Browsers write origins in one
    /// way only, which is how they are kept.
    #[must_use]
    pub fn contains(&self, origin: &[u8]) -> bool {
        self.0.iter().any(|trusted| trusted.as_bytes() == origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_kept_as_browsers_write_them() {
        let origins =
            CorsOrigins::parse("https://App.Example.com:443/, http://localhost:3000,").unwrap();
        assert!(origins.contains(b"https://app.example.com"));
        assert!(origins.contains(b"http://localhost:3000"));
        for other in [
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com/",
            "https://app.example.com.evil.example",
            "https://xapp.example.com",
            "null",
            "",
        ] {
            assert!(!origins.contains(other.as_bytes()), "{other}");
        }
        assert!(CorsOrigins::parse("").unwrap().is_empty());
        assert!(CorsOrigins::parse(" , ").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_origin_is_refused_by_name() {
        for text in [
            "*",
            "null",
            "app.example.com",
            "https://*.example.com",
            "https://app.example.com/path",
            "https://user@app.example.com",
            "https://app.example.com?q",
            "file:///etc",
            "https://ok.example.com,*",
        ] {
            let error = CorsOrigins::parse(text).unwrap_err().to_string();
            assert!(error.starts_with("CORS_ORIGINS has an entry"), "{error}");
        }
    }
}
