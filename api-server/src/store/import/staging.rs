//! Where rows wait until it is known what becomes of them.

use sqlx::{Connection, PgConnection, query, query_as, query_scalar, raw_sql};
use thiserror::Error;
use time::OffsetDateTime;

use crate::{
    domain::{email::Email, role::Roles, username::Username},
    store::{connect::ConnectOptions, error::in_words, migrate::known_version},
};

/// Held while an import runs: two at once would wait for each other's rows.
const IMPORT_LOCK: i64 = 0x6175_7468_696d_706f;

/// The destination cannot be used.
#[derive(Debug, Error)]
pub enum DestinationError {
    /// Its schema is older than this binary, or not there.
    #[error("the schema is not up to date; run `authstack-api migrate` first")]
    NotMigrated,
    /// Somebody else imports.
    #[error("another import is running")]
    Running,
    /// The database is away, or refuses.
    #[error("{}", in_words(.0))]
    Database(#[from] sqlx::Error),
}

/// A row that was read.
pub struct StagedRow {
    /// Its line or number: unique, and rising.
    pub place: i64,
    /// What it says.
    pub content: Result<StagedUser, RefusedRow>,
}

/// A user who can be imported, as far as they alone are concerned.
pub struct StagedUser {
    /// The identifier in the old service.
    pub old_id: String,
    /// The user name.
    pub username: Username,
    /// The e-mail address.
    pub email: Email,
    /// The hash, as it was read.
    pub password_hash: String,
    /// What the user may do.
    pub roles: Roles,
    /// Whether the user may not log in.
    pub disabled: bool,
    /// When the account was made, if that is known.
    pub created_at: Option<OffsetDateTime>,
}

/// A row that cannot be imported, with what there is to recognise it by.
pub struct RefusedRow {
    /// The identifier in the old service.
    pub old_id: Option<String>,
    /// The user name.
    pub username: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// By what the user name is compared, if it is one.
    pub username_key: Option<Box<str>>,
    /// By what the e-mail address is compared, if it is one.
    pub email_key: Option<Box<str>>,
    /// Everything that is wrong with it.
    pub reasons: Box<[String]>,
}

/// What became of the rows, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rows that were read.
    pub read: u64,
    /// Rows that are, or in a dry run would be, imported.
    pub imported: u64,
    /// How many of those are administrators.
    pub admins: u64,
    /// Rows that an earlier run imported.
    pub skipped: u64,
    /// Rows that are wrong in themselves.
    pub refused: u64,
    /// Rows that collide with others, or with accounts.
    pub left_out: u64,
}

/// The database that users go to, with the tables that only this connection
/// sees.
pub struct Destination {
    pub(super) connection: PgConnection,
}

impl Destination {
    /// Connects and prepares. Nothing that others see is changed.
    pub async fn open(options: &ConnectOptions) -> Result<Self, DestinationError> {
        let mut connection = PgConnection::connect_with(options).await?;
        let exists: bool =
            query_scalar("SELECT to_regclass('authstack._sqlx_migrations') IS NOT NULL")
                .fetch_one(&mut connection)
                .await?;
        if !exists {
            return Err(DestinationError::NotMigrated);
        }
        let version: Option<i64> =
            query_scalar("SELECT max(version) FROM authstack._sqlx_migrations WHERE success")
                .fetch_one(&mut connection)
                .await?;
        if version.is_none_or(|version| version < known_version()) {
            return Err(DestinationError::NotMigrated);
        }
        let locked: bool = query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(IMPORT_LOCK)
            .fetch_one(&mut connection)
            .await?;
        if !locked {
            return Err(DestinationError::Running);
        }
        raw_sql(TABLES).execute(&mut connection).await?;
        Ok(Self { connection })
    }

    /// Stages rows, good and bad.
    pub async fn stage(&mut self, rows: Vec<StagedRow>) -> Result<(), DestinationError> {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for row in rows {
            match row.content {
                Ok(user) => good.push((row.place, user)),
                Err(refused) => bad.push((row.place, refused)),
            }
        }
        let mut transaction = self.connection.begin().await?;
        if !good.is_empty() {
            stage_good(&mut transaction, &good).await?;
        }
        if !bad.is_empty() {
            stage_bad(&mut transaction, &bad).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// What became of the rows so far.
    pub async fn totals(&mut self) -> Result<Totals, DestinationError> {
        let (read, imported, admins, skipped, refused, left_out): (i64, i64, i64, i64, i64, i64) =
            query_as(
                "SELECT count(*), count(*) FILTER (WHERE state IN ('good', 'imported')),
                   count(*) FILTER (WHERE state IN ('good', 'imported') AND $1 = ANY (roles)),
                   count(*) FILTER (WHERE state = 'skipped'),
                   count(*) FILTER (WHERE state = 'refused'),
                   count(*) FILTER (WHERE state = 'left_out')
                 FROM pg_temp.import_rows",
            )
            .bind(crate::domain::role::ADMIN)
            .fetch_one(&mut self.connection)
            .await?;
        Ok(Totals {
            read: read.unsigned_abs(),
            imported: imported.unsigned_abs(),
            admins: admins.unsigned_abs(),
            skipped: skipped.unsigned_abs(),
            refused: refused.unsigned_abs(),
            left_out: left_out.unsigned_abs(),
        })
    }

    /// Ends the connection, and the tables with it.
    pub async fn close(self) -> Result<(), DestinationError> {
        Ok(self.connection.close().await?)
    }
}

const TABLES: &str = "
    CREATE TEMPORARY TABLE import_rows (
        place         bigint PRIMARY KEY,
        old_id        text,
        username      text,
        username_key  text,
        email         text,
        email_key     text,
        password_hash text,
        roles         text[],
        disabled      boolean,
        created_at    timestamptz,
        -- good, refused, skipped, left_out or imported
        state         text NOT NULL
    );
    -- Why a row is not imported.
    CREATE TEMPORARY TABLE import_findings (
        id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        place   bigint NOT NULL,
        kind    text NOT NULL,
        -- Of a refused row: what is wrong.
        reason  text,
        -- Of a collision: another row, how many more there are, or an account.
        other   bigint,
        more    bigint NOT NULL DEFAULT 0,
        account uuid
    );
    -- What only one row may have. A name and an address share one space: what
    -- is typed at login must mean one user.
    CREATE TEMPORARY TABLE import_claims (
        space    text NOT NULL,
        key      text NOT NULL,
        place    bigint NOT NULL,
        age      bigint NOT NULL,
        is_name  boolean NOT NULL,
        is_email boolean NOT NULL
    );
    -- The claims of rows that share one, while it is decided who keeps it.
    CREATE TEMPORARY TABLE import_contest (
        space    text NOT NULL,
        key      text NOT NULL,
        place    bigint NOT NULL,
        age      bigint NOT NULL,
        is_name  boolean NOT NULL,
        is_email boolean NOT NULL,
        -- undecided, kept or left_out
        state    text NOT NULL DEFAULT 'undecided'
    );
";

async fn stage_good(
    connection: &mut PgConnection,
    rows: &[(i64, StagedUser)],
) -> Result<(), sqlx::Error> {
    let users = || rows.iter().map(|(_, user)| user);
    let text = |of: fn(&StagedUser) -> &str| users().map(of).collect::<Vec<_>>();
    // A list of lists must be even; so roles travel as JSON.
    let roles: Vec<_> = users()
        .map(|user| serde_json::json!(user.roles.as_slice()))
        .collect();
    query(
        "INSERT INTO pg_temp.import_rows
           (place, old_id, username, username_key, email, email_key, password_hash,
            disabled, created_at, roles, state)
         SELECT place, old_id, username, username_key, email, email_key, password_hash,
            disabled, created_at, ARRAY(SELECT jsonb_array_elements_text(roles)), 'good'
         FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                     $7::text[], $8::boolean[], $9::timestamptz[], $10::jsonb[])
           AS t (place, old_id, username, username_key, email, email_key, password_hash,
                 disabled, created_at, roles)",
    )
    .bind(rows.iter().map(|(place, _)| *place).collect::<Vec<_>>())
    .bind(text(|user| &user.old_id))
    .bind(text(|user| user.username.display()))
    .bind(text(|user| user.username.key()))
    .bind(text(|user| user.email.display()))
    .bind(text(|user| user.email.key()))
    .bind(text(|user| &user.password_hash))
    .bind(users().map(|user| user.disabled).collect::<Vec<_>>())
    .bind(users().map(|user| user.created_at).collect::<Vec<_>>())
    .bind(roles)
    .execute(connection)
    .await?;
    Ok(())
}

async fn stage_bad(
    connection: &mut PgConnection,
    rows: &[(i64, RefusedRow)],
) -> Result<(), sqlx::Error> {
    let text = |of: fn(&RefusedRow) -> Option<&str>| {
        let values = rows.iter().map(|(_, row)| of(row));
        values.collect::<Vec<_>>()
    };
    query(
        "INSERT INTO pg_temp.import_rows
           (place, old_id, username, username_key, email, email_key, state)
         SELECT place, old_id, username, username_key, email, email_key, 'refused'
         FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
           AS t (place, old_id, username, username_key, email, email_key)",
    )
    .bind(rows.iter().map(|(place, _)| *place).collect::<Vec<_>>())
    .bind(text(|row| row.old_id.as_deref()))
    .bind(text(|row| row.username.as_deref()))
    .bind(text(|row| row.username_key.as_deref()))
    .bind(text(|row| row.email.as_deref()))
    .bind(text(|row| row.email_key.as_deref()))
    .execute(&mut *connection)
    .await?;
    let reasons = || {
        let of_row = |(place, row): &'_ (i64, RefusedRow)| {
            let place = *place;
            let reasons = row.reasons.iter().cloned();
            reasons
                .map(move |reason| (place, reason))
                .collect::<Vec<_>>()
        };
        rows.iter().flat_map(of_row)
    };
    query(
        "INSERT INTO pg_temp.import_findings (place, kind, reason)
         SELECT place, 'refused', reason FROM unnest($1::bigint[], $2::text[]) AS t (place, reason)",
    )
    .bind(reasons().map(|(place, _)| place).collect::<Vec<_>>())
    .bind(reasons().map(|(_, reason)| reason).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
