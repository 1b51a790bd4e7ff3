//! Accounts, as administrators look them up.

use sqlx::{Connection, PgConnection, query, query_as};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Store, StoreError, settle, within};
use crate::domain::{
    account::Account,
    ids::UserId,
    page::{Cursor, PageRequest, Slice},
    role::Role,
    search::Search,
};

/// Which accounts are wanted; what is absent asks for nothing.
#[derive(Default)]
pub struct AccountFilter {
    /// Those whose name or address begins like this.
    pub search: Option<Search>,
    /// Those with this role.
    pub role: Option<Role>,
    /// Those that may not log in, or those that may.
    pub disabled: Option<bool>,
}

/// An account as the table has it.
pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) username: String,
    pub(super) email: String,
    pub(super) roles: Vec<String>,
    pub(super) disabled_at: Option<OffsetDateTime>,
    pub(super) created_at: OffsetDateTime,
    pub(super) updated_at: OffsetDateTime,
}

impl From<Row> for Account {
    fn from(row: Row) -> Self {
        Self {
            id: UserId(row.id),
            username: row.username,
            email: row.email,
            roles: row.roles,
            disabled_at: row.disabled_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

impl Store {
    /// One account.
    pub async fn account(&self, user: UserId) -> Result<Option<Account>, StoreError> {
        let mut connection = self.acquire().await?;
        let found = query_as!(
            Row,
            "SELECT id, username, email, roles, disabled_at, created_at, updated_at
             FROM authstack.users WHERE id = $1",
            user.0,
        );
        let answer = within(found.fetch_optional(&mut *connection)).await;
        Ok(settle(connection, answer)?.map(Account::from))
    }

    /// A page of accounts, the oldest first.
    pub async fn accounts(
        &self,
        filter: &AccountFilter,
        page: PageRequest,
    ) -> Result<Slice<Account>, StoreError> {
        let mut connection = self.acquire().await?;
        let answer = within(async {
            let mut transaction = connection.begin().await?;
            plan_for_these_values(&mut transaction).await?;
            let rows = match &filter.search {
                Some(search) => search_rows(&mut transaction, search, filter, page).await?,
                None => rows(&mut transaction, filter, page).await?,
            };
            transaction.commit().await?;
            Ok(rows)
        })
        .await;
        let rows = settle(connection, answer)?.into_iter();
        let accounts = rows.map(Account::from).collect();
        Ok(Slice::cut(accounts, page.limit, |account: &Account| {
            account.id.0
        }))
    }
}

/// Has the statements of this transaction planned for the values that they are
/// called with. A plan for all values would have to do for absent filters too,
/// and could use no index for those that are there.
pub(super) async fn plan_for_these_values(
    transaction: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    query!("SELECT set_config('plan_cache_mode', 'force_custom_plan', true)")
        .fetch_one(transaction)
        .await?;
    Ok(())
}

async fn rows(
    connection: &mut PgConnection,
    filter: &AccountFilter,
    page: PageRequest,
) -> Result<Vec<Row>, sqlx::Error> {
    query_as!(
        Row,
        "SELECT id, username, email, roles, disabled_at, created_at, updated_at
         FROM authstack.users
         WHERE ($1::uuid IS NULL OR id > $1)
           AND ($2::text IS NULL OR (roles <> '{}' AND roles @> ARRAY[$2]))
           AND ($3::boolean IS NULL OR (disabled_at IS NOT NULL) = $3)
         ORDER BY id
         LIMIT $4",
        page.cursor.map(Cursor::id),
        filter.role.as_ref().map(Role::as_str),
        filter.disabled,
        page.limit.rows(),
    )
    .fetch_all(connection)
    .await
}

/// Names and addresses are looked up apart, each by its own index, whose
/// operators compare bytes; LIKE would give some characters a meaning.
async fn search_rows(
    connection: &mut PgConnection,
    search: &Search,
    filter: &AccountFilter,
    page: PageRequest,
) -> Result<Vec<Row>, sqlx::Error> {
    let username = search.username.as_ref();
    query_as!(
        Row,
        "SELECT u.id, u.username, u.email, u.roles, u.disabled_at, u.created_at, u.updated_at
         FROM (
           SELECT id FROM authstack.users WHERE username_key ~>=~ $5 AND username_key ~<~ $6
           UNION
           SELECT id FROM authstack.users WHERE email_key ~>=~ $7 AND email_key ~<~ $8
         ) found
         JOIN authstack.users u ON u.id = found.id
         WHERE ($1::uuid IS NULL OR u.id > $1)
           AND ($2::text IS NULL OR (u.roles <> '{}' AND u.roles @> ARRAY[$2]))
           AND ($3::boolean IS NULL OR (u.disabled_at IS NOT NULL) = $3)
         ORDER BY u.id
         LIMIT $4",
        page.cursor.map(Cursor::id),
        filter.role.as_ref().map(Role::as_str),
        filter.disabled,
        page.limit.rows(),
        username.map(|range| &*range.from),
        username.map(|range| &*range.before),
        search.email.from,
        search.email.before,
    )
    .fetch_all(connection)
    .await
}
