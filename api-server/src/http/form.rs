//! Reading forms, as the OAuth endpoints take them (RFC 6749, appendix B).

use axum::{
    extract::{FromRequest, Request},
    http::header,
};
use url::form_urlencoded;

use super::{ApiError, body};
use crate::app::App;

const TYPE: &str = "application/x-www-form-urlencoded";

/// A body that must be a form.
pub(super) struct Form(Vec<(String, String)>);

impl FromRequest<App> for Form {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &App) -> Result<Self, ApiError> {
        let given = request.headers().get(header::CONTENT_TYPE);
        let essence = given.and_then(|value| value.to_str().ok()?.split(';').next());
        let is_form = essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(TYPE));
        let bytes = body::read(request).await?;
        if !is_form {
            return Err(ApiError::MediaType(TYPE));
        }
        let pairs = form_urlencoded::parse(&bytes);
        Ok(Self(pairs.map(|(k, v)| (k.into(), v.into())).collect()))
    }
}

impl Form {
    /// A parameter that must be there. One without a value counts as absent,
    /// and none may be there twice (RFC 6749, section 3.1).
    pub(super) fn required(&self, name: &'static str) -> Result<&str, ApiError> {
        let value = self.optional(name)?;
        value.ok_or_else(|| wrong(format!("the parameter {name} is missing")))
    }

    /// A parameter that may be there.
    pub(super) fn optional(&self, name: &'static str) -> Result<Option<&str>, ApiError> {
        let mut values = self.0.iter().filter(|(key, _)| key == name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(wrong(format!(
                "the parameter {name} was sent more than once"
            ))),
            (first, None) => Ok(first.map(|(_, value)| &**value).filter(|v| !v.is_empty())),
        }
    }
}

fn wrong(detail: String) -> ApiError {
    ApiError::BadParameter(detail)
}
