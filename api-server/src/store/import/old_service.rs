//! The table of the service that users come from.

use secrecy::SecretString;
use sqlx::{Connection, PgConnection, Row, postgres::PgRow, query, query_scalar, raw_sql};
use thiserror::Error;

use crate::store::{connect::ConnectOptions, error::in_words};

/// What the table must have.
const REQUIRED: [&str; 4] = ["id", "username", "email", "hashed_password"];

/// The old service's database cannot be read.
#[derive(Debug, Error)]
pub enum OldServiceError {
    /// There is no such table, or no right to see it.
    #[error("there is no table public.users")]
    NoTable,
    /// The table is another one.
    #[error("the table public.users has no column {0}")]
    NoColumn(&'static str),
    /// The database is away, or refuses.
    #[error("{}", in_words(.0))]
    Database(#[from] sqlx::Error),
}

/// A user as the old service has them; every value as text.
pub struct OldUser {
    /// The identifier there.
    pub id: Option<String>,
    /// The user name.
    pub username: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// The hash of the password.
    pub hashed_password: Option<SecretString>,
    /// When the account was made.
    pub created_at: Option<String>,
    /// Whether the user may log in.
    pub is_active: Option<String>,
    /// Whether the user may not.
    pub disabled: Option<String>,
    /// What the user may do.
    pub roles: Option<String>,
}

/// Reads the old service's users, in one snapshot, a piece at a time.
pub struct OldService {
    connection: PgConnection,
}

impl OldService {
    /// Connects, and begins a transaction that cannot write.
    pub async fn open(options: &ConnectOptions) -> Result<Self, OldServiceError> {
        let mut connection = PgConnection::connect_with(options).await?;
        raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .execute(&mut connection)
            .await?;
        let columns: Vec<String> = query_scalar(
            "SELECT attname::text FROM pg_attribute
             WHERE attrelid = to_regclass('public.users') AND attnum > 0 AND NOT attisdropped",
        )
        .fetch_all(&mut connection)
        .await?;
        if columns.is_empty() {
            return Err(OldServiceError::NoTable);
        }
        let missing = REQUIRED
            .into_iter()
            .find(|name| !columns.iter().any(|column| column == name));
        if let Some(name) = missing {
            return Err(OldServiceError::NoColumn(name));
        }
        // By way of JSON, columns may be absent, and of any type.
        raw_sql(
            "DECLARE import_source NO SCROLL CURSOR FOR
             SELECT entry ->> 'id' AS id, entry ->> 'username' AS username,
               entry ->> 'email' AS email, entry ->> 'hashed_password' AS hashed_password,
               entry ->> 'created_at' AS created_at, entry ->> 'is_active' AS is_active,
               entry ->> 'disabled' AS disabled, entry ->> 'roles' AS roles
             FROM (SELECT to_jsonb(u) AS entry FROM public.users u) AS rows",
        )
        .execute(&mut connection)
        .await?;
        Ok(Self { connection })
    }

    /// The next users, at most a thousand; none at the end.
    pub async fn next(&mut self) -> Result<Vec<OldUser>, OldServiceError> {
        let rows = query("FETCH FORWARD 1000 FROM import_source")
            .fetch_all(&mut self.connection)
            .await?;
        let users: Result<_, sqlx::Error> = rows.iter().map(old_user).collect();
        Ok(users?)
    }
}

fn old_user(row: &PgRow) -> Result<OldUser, sqlx::Error> {
    let hash: Option<String> = row.try_get("hashed_password")?;
    Ok(OldUser {
        id: row.try_get("id")?,
        username: row.try_get("username")?,
        email: row.try_get("email")?,
        hashed_password: hash.map(SecretString::from),
        created_at: row.try_get("created_at")?,
        is_active: row.try_get("is_active")?,
        disabled: row.try_get("disabled")?,
        roles: row.try_get("roles")?,
    })
}
