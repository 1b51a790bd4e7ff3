//! What each version of a stack consists of.
//!
//! A version pins every image to a full minor release, so that a stack changes
//! when its manifest does and at no other time.

/// The images of one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The auth API.
    pub api: &'static str,
    /// nginx, the unprivileged variant.
    pub nginx: &'static str,
    postgres: [(i32, &'static str); 4],
}

impl Pinned {
    /// The image of a major version of PostgreSQL, if the version has one.
    #[must_use]
    pub fn postgres(&self, major: i32) -> Option<&'static str> {
        self.postgres
            .iter()
            .find_map(|&(of, image)| (of == major).then_some(image))
    }
}

const VERSIONS: &[(&str, Pinned)] = &[(
    "0.1.0",
    Pinned {
        api: "docker.io/dataviv/authstack-api:0.1.0",
        nginx: "docker.io/nginxinc/nginx-unprivileged:1.29.3",
        postgres: [
            (15, "docker.io/library/postgres:15.18"),
            (16, "docker.io/library/postgres:16.14"),
            (17, "docker.io/library/postgres:17.10"),
            (18, "docker.io/library/postgres:18.4"),
        ],
    },
)];

/// The images of a version, if this operator knows it.
#[must_use]
pub fn pinned(version: &str) -> Option<&'static Pinned> {
    VERSIONS
        .iter()
        .find_map(|(of, images)| (*of == version).then_some(images))
}

/// The versions that this operator knows, oldest first, for messages.
#[must_use]
pub fn known() -> String {
    let names: Vec<_> = VERSIONS.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}
