//! Lists in pieces: which one is asked for, and how it is answered.

use axum::{extract::FromRequestParts, http::request::Parts};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{ApiError, query::parameter};
use crate::{
    app::App,
    domain::page::{Cursor, Limit, PageRequest, Slice},
};

/// Which piece of a list is asked for, as an argument of the handler.
pub(super) struct Paging(pub(super) PageRequest);

impl FromRequestParts<App> for Paging {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        let limit = parameter(&parts.uri, "limit", Limit::parse);
        let cursor = parameter(&parts.uri, "cursor", Cursor::parse);
        match (limit, cursor) {
            (Ok(limit), Ok(cursor)) => Ok(Self(PageRequest {
                limit: limit.unwrap_or_default(),
                cursor,
            })),
            (limit, cursor) => {
                let wrong = [limit.err(), cursor.err()];
                Err(ApiError::Parameters(wrong.into_iter().flatten().collect()))
            }
        }
    }
}

/// The parameters that [`Paging`] reads, for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what Paging reads")]
pub(super) struct PageParameters {
    /// How many items a page has at most.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u8>,
    /// The `next_cursor` of the page before; absent for the first page.
    #[param(
        pattern = "^[A-Za-z0-9_-]{21}[AQgw]$",
        example = "AZqDgA8cfTKfQWrEhlK2nw"
    )]
    cursor: Option<String>,
}

/// A piece of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct Page<T: ToSchema> {
    /// The items of this page.
    items: Vec<T>,
    /// What to send as `cursor` for the next page; null on the last.
    #[schema(example = "AZqDgA8cfTKfQWrEhlK2nw")]
    next_cursor: Option<String>,
}

impl<T: ToSchema> Page<T> {
    /// The page that shows these items.
    pub(super) fn of<U>(slice: Slice<U>, show: impl Fn(U) -> T) -> Self {
        Self {
            items: slice.items.into_iter().map(show).collect(),
            next_cursor: slice.next.map(|cursor| cursor.to_string()),
        }
    }
}
