//! `GET /admin/users` and `GET /admin/users/{id}`

use axum::{Json, extract::State, http::Uri};
use utoipa::IntoParams;

use super::AccountResponse;
use crate::{
    app::App,
    domain::{ids::UserId, role::Role, search::Search},
    http::{
        ApiError,
        identity::Admin,
        page::{Page, PageParameters, Paging},
        path::Id,
        query::{Parameters, true_or_false},
    },
    store::account_list::AccountFilter,
};

/// Which accounts are asked for, for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `filter` reads")]
struct AccountParameters {
    /// The beginning of the user name or of the e-mail address, in upper or
    /// lower case. No character has a special meaning.
    #[param(min_length = 1, max_length = 254, example = "guy")]
    search: Option<String>,
    /// A role that the users have.
    #[param(
        min_length = 1,
        max_length = 64,
        pattern = r"^[a-z][a-z0-9._:-]*$",
        example = "admin"
    )]
    role: Option<String>,
    /// Whether the users may not log in.
    disabled: Option<bool>,
}

fn filter(uri: &Uri) -> Result<AccountFilter, ApiError> {
    let mut parameters = Parameters::of(uri);
    let filter = AccountFilter {
        search: parameters.take("search", Search::parse),
        role: parameters.take("role", Role::parse),
        disabled: parameters.take("disabled", true_or_false),
    };
    parameters.check(filter)
}

/// Lists accounts, the oldest first.
///
/// An account that is made or removed meanwhile moves no other to another page.
#[utoipa::path(get, path = "/admin/users", tag = "administration", operation_id = "list_users",
    security(("bearer" = []), ("cookie" = [])),
    params(AccountParameters, PageParameters),
    responses((status = 200, description = "A page of accounts", body = Page<AccountResponse>)),
    extensions(("x-problems" = json!(["forbidden", "validation"]))),
)]
pub(super) async fn list(
    State(app): State<App>,
    Admin(_): Admin,
    Paging(page): Paging,
    uri: Uri,
) -> Result<Json<Page<AccountResponse>>, ApiError> {
    let accounts = app.accounts(&filter(&uri)?, page).await?;
    Ok(Json(Page::of(accounts, AccountResponse::from)))
}

/// Shows one account.
#[utoipa::path(get, path = "/admin/users/{id}", tag = "administration", operation_id = "show_user",
    security(("bearer" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The account")),
    responses((status = 200, description = "The account", body = AccountResponse)),
    extensions(("x-problems" = json!(["forbidden"]))),
)]
pub(super) async fn show(
    State(app): State<App>,
    Admin(_): Admin,
    Id(id): Id,
) -> Result<Json<AccountResponse>, ApiError> {
    let account = app.account(UserId(id)).await?;
    Ok(Json(account.into()))
}
