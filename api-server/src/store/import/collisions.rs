//! Which rows cannot all be accounts.

use sqlx::{Connection, PgConnection, query, raw_sql};

use super::staging::{Destination, DestinationError};

impl Destination {
    /// Decides about every staged row. Rows that `source` has given before are
    /// skipped. A row that collides with an account is left out. Of rows that
    /// collide with each other all are left out, or with `keep_oldest` all but
    /// the oldest.
    pub async fn decide(
        &mut self,
        source: &str,
        keep_oldest: bool,
    ) -> Result<(), DestinationError> {
        let mut transaction = self.connection.begin().await?;
        // Temporary tables are analysed by nobody else.
        raw_sql("ANALYZE pg_temp.import_rows")
            .execute(&mut *transaction)
            .await?;
        skip_known(&mut transaction, source).await?;
        raw_sql(CLAIMS).execute(&mut *transaction).await?;
        raw_sql(AGAINST_ACCOUNTS).execute(&mut *transaction).await?;
        if keep_oldest {
            // A row that is out already stands in nobody's way.
            raw_sql(FORGET_DECIDED).execute(&mut *transaction).await?;
        }
        raw_sql(CONTEST).execute(&mut *transaction).await?;
        if keep_oldest {
            keep_the_oldest(&mut transaction).await?;
        } else {
            raw_sql(LEAVE_OUT_ALL).execute(&mut *transaction).await?;
        }
        raw_sql(MARK_LEFT_OUT).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// Skips what was imported before. An identifier alone does not tell: another
/// file may have been given the same source. A row is skipped if its account
/// has its name or its address, or if the account is gone and the row is good.
/// Other good rows are left out, and refused ones stay refused.
async fn skip_known(connection: &mut PgConnection, source: &str) -> Result<(), sqlx::Error> {
    query(
        "UPDATE pg_temp.import_rows r SET state = 'skipped'
         FROM authstack.imported_users i LEFT JOIN authstack.users u ON u.id = i.user_id
         WHERE i.source = $1 AND i.imported_id = r.old_id
           AND (u.username_key = r.username_key OR u.email_key = r.email_key
                OR u.id IS NULL AND r.state = 'good')",
    )
    .bind(source)
    .execute(&mut *connection)
    .await?;
    query(
        "WITH others AS (
           UPDATE pg_temp.import_rows r SET state = 'left_out'
           FROM authstack.imported_users i JOIN authstack.users u ON u.id = i.user_id
           WHERE i.source = $1 AND i.imported_id = r.old_id AND r.state = 'good'
           RETURNING r.place, u.id
         )
         INSERT INTO pg_temp.import_findings (place, kind, account)
         SELECT place, 'known_id', id FROM others",
    )
    .bind(source)
    .execute(connection)
    .await?;
    Ok(())
}

/// The older a row, the smaller its age: by `created_at` where it is known,
/// then by identifier, numbers as numbers.
const CLAIMS: &str = r#"
    WITH aged AS (
        SELECT r.*, row_number() OVER (
            ORDER BY created_at NULLS LAST,
              CASE WHEN old_id ~ '^[0-9]{1,18}$' THEN old_id::bigint END NULLS LAST,
              old_id COLLATE "C", place
          ) AS age
        FROM pg_temp.import_rows r WHERE state = 'good'
    )
    INSERT INTO pg_temp.import_claims (space, key, place, age, is_name, is_email)
    SELECT 'id', old_id, place, age, false, false FROM aged
    UNION ALL
    SELECT 'login', username_key, place, age, true, username_key = email_key FROM aged
    UNION ALL
    SELECT 'login', email_key, place, age, false, true FROM aged
    WHERE username_key <> email_key;
    ANALYZE pg_temp.import_claims
"#;

const AGAINST_ACCOUNTS: &str = "
    INSERT INTO pg_temp.import_findings (place, kind, account)
    SELECT c.place, CASE WHEN c.is_name THEN 'account_name' ELSE 'account_named_like' END, u.id
    FROM pg_temp.import_claims c JOIN authstack.users u ON u.username_key = c.key
    WHERE c.space = 'login'
    UNION
    SELECT c.place, CASE WHEN c.is_email THEN 'account_email' ELSE 'account_reached_by' END, u.id
    FROM pg_temp.import_claims c JOIN authstack.users u ON u.email_key = c.key
    WHERE c.space = 'login'
";

const FORGET_DECIDED: &str = "
    DELETE FROM pg_temp.import_claims c USING pg_temp.import_findings f
    WHERE f.place = c.place
";

const CONTEST: &str = "
    INSERT INTO pg_temp.import_contest (space, key, place, age, is_name, is_email)
    SELECT c.space, c.key, c.place, c.age, c.is_name, c.is_email
    FROM pg_temp.import_claims c
    JOIN (SELECT space, key FROM pg_temp.import_claims
          GROUP BY space, key HAVING count(*) > 1) AS shared USING (space, key);
    CREATE INDEX ON pg_temp.import_contest (space, key);
    CREATE INDEX ON pg_temp.import_contest (place);
    ANALYZE pg_temp.import_contest
";

/// Each row is told one of those that it collides with, and how many more
/// there are: all pairs could be very many.
const LEAVE_OUT_ALL: &str = "
    WITH ranked AS (
        SELECT c.*, count(*) OVER w AS claimants,
          first_value(place) OVER w AS first, nth_value(place, 2) OVER w AS second
        FROM pg_temp.import_contest c
        WINDOW w AS (PARTITION BY space, key ORDER BY age
                     ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
    ), paired AS (
        SELECT r.*, CASE WHEN place = first THEN second ELSE first END AS other FROM ranked r
    )
    INSERT INTO pg_temp.import_findings (place, kind, other, more)
    SELECT p.place,
      CASE WHEN p.space = 'id' THEN 'same_id'
           WHEN p.is_name AND o.is_name THEN 'same_name'
           WHEN p.is_email AND o.is_email THEN 'same_email'
           WHEN p.is_name THEN 'name_is_email'
           ELSE 'email_is_name' END,
      p.other, p.claimants - 2
    FROM paired p
    JOIN pg_temp.import_contest o ON o.space = p.space AND o.key = p.key AND o.place = p.other;
    UPDATE pg_temp.import_contest SET state = 'left_out'
";

const MARK_LEFT_OUT: &str = "
    UPDATE pg_temp.import_rows r SET state = 'left_out'
    FROM (SELECT DISTINCT place FROM pg_temp.import_findings WHERE kind <> 'refused') AS f
    WHERE f.place = r.place AND r.state = 'good'
";

/// Keeps the oldest row of each claim, then leaves out whatever collides with
/// one that is kept, and so on with the rest: a row stays if no older one that
/// stays is in its way.
async fn keep_the_oldest(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    loop {
        let kept = query(
            "WITH first AS (
               SELECT space, key, min(age) AS age FROM pg_temp.import_contest
               WHERE state = 'undecided' GROUP BY space, key
             ), winners AS (
               SELECT c.place FROM pg_temp.import_contest c JOIN first f USING (space, key)
               WHERE c.state = 'undecided' GROUP BY c.place HAVING bool_and(c.age = f.age)
             )
             UPDATE pg_temp.import_contest c SET state = 'kept'
             FROM winners w WHERE w.place = c.place",
        )
        .execute(&mut *connection)
        .await?;
        if kept.rows_affected() == 0 {
            return Ok(());
        }
        raw_sql(
            "WITH beaten AS (
               SELECT c.place, k.place AS other, k.age,
                 CASE WHEN c.space = 'id' THEN 'same_id'
                      WHEN c.is_name AND k.is_name THEN 'same_name'
                      WHEN c.is_email AND k.is_email THEN 'same_email'
                      WHEN c.is_name THEN 'name_is_email'
                      ELSE 'email_is_name' END AS kind
               FROM pg_temp.import_contest c
               JOIN pg_temp.import_contest k USING (space, key)
               WHERE c.state = 'undecided' AND k.state = 'kept'
             ), told AS (
               INSERT INTO pg_temp.import_findings (place, kind, other)
               SELECT place, kind, other FROM beaten
             )
             UPDATE pg_temp.import_contest c SET state = 'left_out'
             FROM beaten b WHERE b.place = c.place",
        )
        .execute(&mut *connection)
        .await?;
    }
}
