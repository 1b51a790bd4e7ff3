//! Digests of what pods read at start.

use std::fmt::Write as _;

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
    use super::digest;

    #[test]
    fn borders_count() {
        let ab_c = digest([b"ab".as_slice(), b"c"]);
        let a_bc = digest([b"a".as_slice(), b"bc"]);
        assert_ne!(ab_c, a_bc);
        assert_eq!(ab_c.len(), 32);
        assert_eq!(ab_c, digest([b"ab".as_slice(), b"c"]));
    }
}
