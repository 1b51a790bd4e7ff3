//! Where clients reach this service.

use url::Host;

use super::{ConfigError, bare_origin};

/// The origin under which clients reach this service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    origin: String,
    https: bool,
    near: bool,
}

impl PublicUrl {
    /// Reads an origin such as `https://auth.example.com`.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let url = bare_origin(text).map_err(|reason| ConfigError::new("PUBLIC_URL", reason))?;
        Ok(Self {
            origin: url.origin().ascii_serialization(),
            https: url.scheme() == "https",
            near: url.host().is_some_and(|host| is_near(&host)),
        })
    }

    /// Scheme, host and port, without a trailing slash.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether clients speak TLS, whoever ends it.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether passwords and tokens cross networks as they are: without TLS,
    /// and from another machine than this one or its cluster's.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        !self.https && !self.near
    }
}

/// Whether a host is this machine (RFC 6761, section 6.3; RFC 1122, section
/// 3.2.1.3) or a name that only means something inside a cluster: a Service's,
/// or one without a dot.
fn is_near(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            let last = name.rsplit('.').next().unwrap_or_default();
            !name.contains('.')
                || matches!(last, "localhost" | "svc")
                || name.ends_with(".svc.cluster.local")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_urls_are_origins() {
        let url = PublicUrl::parse("https://Auth.Example.com:443/").unwrap();
        assert_eq!(url.origin(), "https://auth.example.com");
        assert!(url.is_https());
        let url = PublicUrl::parse("http://localhost:8001").unwrap();
        assert_eq!(url.origin(), "http://localhost:8001");
        assert!(!url.is_https());
        for text in [
            "banana",
            "localhost:8001",
            "ftp://example.com",
            "https://",
            "https://example.com/auth",
            "https://user@example.com",
            "https://example.com/?q",
            "https://example.com/#f",
        ] {
            assert!(PublicUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_what_leaves_the_cluster_without_tls_is_exposed() {
        for (url, exposed) in [
            ("https://auth.example.com", false),
            ("http://auth.example.com", true),
            ("http://auth.example.com:8001", true),
            ("http://192.0.2.1", true),
            ("http://10.0.0.1", true),
            ("http://[2001:db8::1]", true),
            ("http://localhost.example.com", true),
            ("http://svc.example.com", true),
            ("http://localhost:8001", false),
            ("http://auth.localhost", false),
            ("http://127.0.0.2", false),
            ("http://[::1]:8001", false),
            ("http://api:8001", false),
            ("http://auth-api.default.svc", false),
            ("http://auth-api.default.svc.cluster.local.", false),
        ] {
            assert_eq!(
                PublicUrl::parse(url).unwrap().is_exposed(),
                exposed,
                "{url}"
            );
        }
    }
}
