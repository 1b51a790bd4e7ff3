//! Digests of what pods read at start, and of manifests.

use std::fmt::Write as _;

use authstack_crds::AuthStackSpec;
use sha2::{Digest as _, Sha256};

/// SHA-256 over parts, each with its length before it so that no two lists of
/// parts look alike; 128 bits of it in hexadecimal, which suffice to notice a
/// change.
pub(super) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let full: [u8; 32] = hash.finalize().into();
    hex(&full[..16])
}

/// What tells one manifest from another, `paused` apart: pausing by itself
/// changes nothing that is applied.
pub(super) fn of_spec(spec: &AuthStackSpec) -> String {
    let spec = AuthStackSpec {
        paused: false,
        ..spec.clone()
    };
    // A spec always encodes, and always alike: its maps are sorted.
    let text = serde_json::to_string(&spec).unwrap_or_default();
    digest([text.as_bytes()])
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{digest, of_spec};

    #[test]
    fn borders_count() {
        let ab_c = digest([b"ab".as_slice(), b"c"]);
        let a_bc = digest([b"a".as_slice(), b"bc"]);
        assert_ne!(ab_c, a_bc);
        assert_eq!(ab_c.len(), 32);
        assert_eq!(ab_c, digest([b"ab".as_slice(), b"c"]));
    }

    #[test]
    fn pausing_makes_no_other_manifest() {
        let of = |spec: &str| of_spec(&serde_yaml::from_str(spec).unwrap());
        assert_eq!(of("{}"), of("{paused: true}"));
        assert_ne!(of("{}"), of("{stopped: true}"));
        assert_ne!(of("{}"), of("{api: {replicas: 4}}"));
    }
}
