//! Why rows are not imported, for the report.

use sqlx::{Row, postgres::PgRow, query};
use uuid::Uuid;

use super::staging::{Destination, DestinationError};

/// How many findings are read at once.
const PIECE: i64 = 1000;

/// One reason why one row is not imported.
pub struct Finding {
    /// The row: its line or number.
    pub place: i64,
    /// Its identifier in the old service.
    pub old_id: Option<String>,
    /// Its user name.
    pub username: Option<String>,
    /// Its e-mail address.
    pub email: Option<String>,
    /// The reason.
    pub found: Found,
    /// Where the next ones begin.
    id: i64,
}

/// What was found.
pub enum Found {
    /// The row is wrong in itself, in words.
    Refused(String),
    /// The row collides with another one.
    Row {
        /// In what.
        collision: Collision,
        /// That row's line or number.
        other: i64,
        /// Its identifier in the old service.
        other_id: Option<String>,
        /// How many more rows there are like it.
        more: u64,
    },
    /// The row collides with this account.
    Account {
        /// In what.
        collision: Collision,
        /// The account.
        account: Uuid,
    },
    /// The row's identifier was imported before, as an account whose name and
    /// address are both different.
    KnownId {
        /// The account.
        account: Uuid,
    },
    /// An account with this name or address was made while the import ran.
    AccountMeanwhile,
}

/// In what two users collide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collision {
    /// The identifier in the old service.
    Id,
    /// The user name, but for case and spelling.
    Name,
    /// The e-mail address, but for case and spelling.
    Email,
    /// The row's name is the other's address.
    NameIsEmail,
    /// The row's address is the other's name.
    EmailIsName,
}

impl Destination {
    /// The next findings after `last`, in the order of rows; none at the end.
    pub async fn findings(
        &mut self,
        last: Option<&Finding>,
    ) -> Result<Vec<Finding>, DestinationError> {
        let after = last.map_or((i64::MIN, i64::MIN), |last| (last.place, last.id));
        let rows = query(
            "SELECT f.id, f.place, r.old_id, r.username, r.email, f.kind, f.reason, f.other,
               o.old_id AS other_id, f.more, f.account
             FROM pg_temp.import_findings f
             JOIN pg_temp.import_rows r USING (place)
             LEFT JOIN pg_temp.import_rows o ON o.place = f.other
             WHERE r.state IN ('refused', 'left_out') AND (f.place, f.id) > ($1, $2)
             ORDER BY f.place, f.id LIMIT $3",
        )
        .bind(after.0)
        .bind(after.1)
        .bind(PIECE)
        .fetch_all(&mut self.connection)
        .await?;
        let findings: Result<_, sqlx::Error> = rows.iter().map(finding).collect();
        Ok(findings?)
    }
}

fn finding(row: &PgRow) -> Result<Finding, sqlx::Error> {
    let kind: String = row.try_get("kind")?;
    let found = match &*kind {
        "refused" => Found::Refused(row.try_get("reason")?),
        "known_id" => Found::KnownId {
            account: row.try_get("account")?,
        },
        "account_meanwhile" => Found::AccountMeanwhile,
        "account_name" => account(row, Collision::Name)?,
        "account_email" => account(row, Collision::Email)?,
        "account_named_like" => account(row, Collision::EmailIsName)?,
        "account_reached_by" => account(row, Collision::NameIsEmail)?,
        "same_id" => another(row, Collision::Id)?,
        "same_name" => another(row, Collision::Name)?,
        "same_email" => another(row, Collision::Email)?,
        "name_is_email" => another(row, Collision::NameIsEmail)?,
        "email_is_name" => another(row, Collision::EmailIsName)?,
        _ => return Err(sqlx::Error::Decode("unknown finding".into())),
    };
    Ok(Finding {
        place: row.try_get("place")?,
        old_id: row.try_get("old_id")?,
        username: row.try_get("username")?,
        email: row.try_get("email")?,
        found,
        id: row.try_get("id")?,
    })
}

fn account(row: &PgRow, collision: Collision) -> Result<Found, sqlx::Error> {
    let account = row.try_get("account")?;
    Ok(Found::Account { collision, account })
}

fn another(row: &PgRow, collision: Collision) -> Result<Found, sqlx::Error> {
    Ok(Found::Row {
        collision,
        other: row.try_get("other")?,
        other_id: row.try_get("other_id")?,
        more: row.try_get::<i64, _>("more")?.unsigned_abs(),
    })
}
