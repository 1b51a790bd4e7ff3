//! Roles: names that say what a user may do. One has a meaning here,
//! [`ADMIN`]; the others are for the services that read tokens.

use thiserror::Error;

/// The role whose users administrate the others. The store's statements spell
/// it out, so that an index can be used.
pub const ADMIN: &str = "admin";

/// The most characters of a role's name.
pub const MAX_CHARS: usize = 64;

/// The most roles of one user: so many, each as long as may be, that an access
/// token still fits into a cookie (4,096 bytes; RFC 6265, section 6.1).
pub const MAX_ROLES: usize = 32;

/// The name of a role: a lower-case ASCII letter, then letters, digits and
/// `.`, `_`, `:`, `-`. So it is the same in a token, a header, a URL and a
/// list with commas, and no two look alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Role(String);

/// What a user may do: no role twice, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles(Vec<String>);

/// Why a role is refused. The texts are meant for the person who typed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RoleError {
    /// Empty, too long, or with a character that has no place there.
    #[error(
        "must be 1 to 64 characters: a lower-case letter, then lower-case letters, digits and '.', '_', ':', '-'"
    )]
    Name,
    /// More than [`MAX_ROLES`].
    #[error("must have at most 32 roles")]
    TooMany,
}

impl Role {
    /// Reads the name of a role.
    pub fn parse(typed: &str) -> Result<Self, RoleError> {
        let letter = |c: char| c.is_ascii_lowercase();
        let other = |c: char| letter(c) || c.is_ascii_digit() || "._:-".contains(c);
        // All ASCII, so bytes are characters.
        if typed.len() <= MAX_CHARS && typed.starts_with(letter) && typed.chars().all(other) {
            Ok(Self(typed.to_owned()))
        } else {
            Err(RoleError::Name)
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Roles {
    /// Reads the names of a user's roles. One that is named twice counts once.
    pub fn parse(typed: &[String]) -> Result<Self, RoleError> {
        let mut roles = Vec::new();
        for name in typed {
            roles.push(Role::parse(name)?.0);
        }
        roles.sort();
        roles.dedup();
        if roles.len() > MAX_ROLES {
            return Err(RoleError::TooMany);
        }
        Ok(Self(roles))
    }

    /// The role of administrators alone.
    #[must_use]
    pub fn admin() -> Self {
        Self(vec![ADMIN.to_owned()])
    }

    /// The names, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

/// Whether these are the roles of an administrator.
#[must_use]
pub fn is_admin(roles: &[String]) -> bool {
    roles.iter().any(|role| role == ADMIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(names: &[&str]) -> Result<Vec<String>, RoleError> {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        Roles::parse(&names).map(|roles| roles.as_slice().to_vec())
    }

    #[test]
    fn names_are_plain() {
        for name in ["admin", "a", "billing:read", "team.x_y-2", &"x".repeat(64)] {
            assert_eq!(Role::parse(name).unwrap().as_str(), name);
        }
        for name in [
            "",
            "Admin",
            "ADMIN",
            "аdmin", // a Cyrillic letter
            "2nd",
            "-x",
            "a b",
            "a,b",
            "a\0",
            "admin ",
            " admin",
            "a\n",
            "é",
            &"x".repeat(65),
        ] {
            assert_eq!(Role::parse(name), Err(RoleError::Name), "{name:?}");
        }
    }

    #[test]
    fn a_set_has_no_twins_and_a_bound() {
        assert_eq!(parse(&["b", "a", "b"]).unwrap(), ["a", "b"]);
        assert_eq!(parse(&[]).unwrap(), [""; 0]);
        assert_eq!(parse(&["a", "B"]), Err(RoleError::Name));
        let many: Vec<_> = (0..33).map(|n| format!("r{n}")).collect();
        assert_eq!(Roles::parse(&many), Err(RoleError::TooMany));
        assert!(Roles::parse(&many[..32]).is_ok());
        assert!(Roles::parse(&vec!["same".to_owned(); 100]).is_ok());
    }

    #[test]
    fn only_the_very_word_makes_an_administrator() {
        assert!(is_admin(Roles::admin().as_slice()));
        for role in ["administrator", "admin:read", "xadmin", "Admin"] {
            assert!(!is_admin(&[role.to_owned()]), "{role}");
        }
        assert!(!is_admin(&[]));
    }

    proptest! {
        #[test]
        fn whatever_is_typed_a_role_goes_into_a_header(typed in ".{0,80}|[a-z][a-z0-9._:-]{0,70}") {
            if let Ok(role) = Role::parse(&typed) {
                prop_assert!(role.as_str().bytes().all(|b| b.is_ascii_graphic() && b != b','));
                prop_assert!((1..=MAX_CHARS).contains(&role.as_str().len()));
            }
        }
    }
}
