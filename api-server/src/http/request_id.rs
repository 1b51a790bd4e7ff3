//! The name of one request, in its answer, its problem and its log line.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName};
use uuid::Uuid;

/// The header that carries it, both ways.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longer ones are replaced: they end up in logs.
const MAX_BYTES: usize = 128;

/// The client's (or the proxy's) own id if it is harmless, or else a new one.
pub(super) fn take_or_make(headers: &HeaderMap) -> Arc<str> {
    let given = headers.get(HEADER).and_then(|value| value.to_str().ok());
    match given.filter(|id| is_harmless(id)) {
        Some(id) => id.into(),
        None => (&*Uuid::now_v7()
            .hyphenated()
            .encode_lower(&mut Uuid::encode_buffer()))
            .into(),
    }
}

/// Characters that need no escaping, neither in a URI reference (the problem's
/// `instance`) nor in JSON or a shell.
fn is_harmless(id: &str) -> bool {
    (1..=MAX_BYTES).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_ids_are_kept_and_others_replaced() {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, "abc-123_4.5".parse().unwrap());
        assert_eq!(&*take_or_make(&headers), "abc-123_4.5");
        for bad in ["", "a b", "a\"b", "<script>", &*"x".repeat(129)] {
            headers.insert(HEADER, bad.parse().unwrap());
            assert!(Uuid::parse_str(&take_or_make(&headers)).is_ok(), "{bad:?}");
        }
    }
}
