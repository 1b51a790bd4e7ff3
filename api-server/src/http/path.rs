//! Parameters in the path.

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use uuid::Uuid;

use super::ApiError;
use crate::app::{App, AppError};

/// The `{id}` of a path. What is no identifier is nobody's: 404, as for one
/// that does not exist.
pub(super) struct Id(pub(super) Uuid);

impl FromRequestParts<App> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, app).await;
        let id = path.ok().and_then(|Path(text)| canonical(&text));
        id.map(Self).ok_or(ApiError::App(AppError::NotFound))
    }
}

/// The one spelling that this API gives out; the parser knows several.
fn canonical(text: &str) -> Option<Uuid> {
    let id: Uuid = text.parse().ok()?;
    (id.hyphenated().to_string() == text).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_has_one_spelling() {
        let id = "0198c5a4-7d3e-7c11-9d33-7b6a5d1f2a10";
        assert_eq!(canonical(id).unwrap().to_string(), id);
        for text in [
            "",
            "me",
            "0198c5a47d3e7c119d337b6a5d1f2a10",
            "{0198c5a4-7d3e-7c11-9d33-7b6a5d1f2a10}",
            "urn:uuid:0198c5a4-7d3e-7c11-9d33-7b6a5d1f2a10",
            "0198C5A4-7D3E-7C11-9D33-7B6A5D1F2A10",
        ] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }
}
