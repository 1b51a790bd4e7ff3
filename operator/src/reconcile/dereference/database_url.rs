//! What a database URL says that the operator must know.

use secrecy::{ExposeSecret as _, SecretString};

use crate::reconcile::names::POSTGRES_PORT;

/// The role in a URL `postgres://role:password@host/database`, where it is
/// written without escapes, as roles are.
pub(super) fn role(url: &SecretString) -> Option<String> {
    let (_, rest) = url.expose_secret().split_once("://")?;
    let (authority, _) = rest.split_once(['/', '?']).unwrap_or((rest, ""));
    let (user, _) = authority.rsplit_once('@')?;
    let (role, _) = user.split_once(':').unwrap_or((user, ""));
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (!role.is_empty() && role.chars().all(plain)).then(|| role.to_owned())
}

/// The port in a URL `postgres://role:password@host:port/database?port=…`, of
/// which the last wins; PostgreSQL's own where there is none.
pub(super) fn port(url: &SecretString) -> i32 {
    let url = url.expose_secret();
    let (rest, query) = url.split_once('?').unwrap_or((url, ""));
    let parameter = query.split('&').rev();
    let parameter = parameter.filter_map(|pair| pair.strip_prefix("port="));
    let rest = rest.split_once("://").map_or(rest, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let (_, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let written = host.rsplit_once(':').map(|(_, port)| port);
    let mut candidates = parameter.chain(written);
    let port = candidates.find_map(|text| text.parse::<u16>().ok());
    port.map_or(POSTGRES_PORT, i32::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_of_a_url() {
        let of = |url: &str| role(&SecretString::from(url));
        assert_eq!(
            of("postgres://app:p%40ss@db:5432/auth").as_deref(),
            Some("app")
        );
        assert_eq!(
            of("postgresql+asyncpg://app@db/auth?sslmode=require").as_deref(),
            Some("app")
        );
        assert_eq!(of("postgres://db/auth"), None);
        assert_eq!(of("postgres://a'b:x@db/auth"), None);
        assert_eq!(of("nonsense"), None);
    }

    #[test]
    fn the_port_of_a_url() {
        let of = |url: &str| port(&SecretString::from(url));
        assert_eq!(of("postgres://app:p%40ss:1@db:6432/auth"), 6432);
        assert_eq!(of("postgres://app:77@db/auth?sslmode=require"), 5432);
        assert_eq!(of("postgres://app@[fd00::1]:7000/auth"), 7000);
        assert_eq!(of("postgres://app@[fd00::5]/auth"), 5432);
        assert_eq!(
            of("postgres://app@db:1/auth?sslmode=require&port=6000"),
            6000
        );
        assert_eq!(of("nonsense"), 5432);
    }
}
