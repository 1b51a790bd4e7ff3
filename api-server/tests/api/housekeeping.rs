//! Housekeeping: what goes, what stays, and who does it.

use authstack_api::{
    app::housekeeping::{Bookmark, Removed},
    domain::ttl::Ttl,
    store::migrate::migrate,
};
use axum::http::StatusCode;
use sqlx::{Connection, PgConnection, PgPool};

use crate::support::Server;

const NINETY_DAYS: Ttl = Ttl::from_secs(90 * 86_400);

async fn execute(pool: &PgPool, sql: &'static str) {
    sqlx::raw_sql(sql).execute(pool).await.unwrap();
}

async fn tidy(server: &Server) -> Removed {
    let mut bookmark = Bookmark::default();
    server.app.tidy(NINETY_DAYS, &mut bookmark).await.unwrap()
}

/// Sessions, events and buckets, `count` of each to go and one of each kind to
/// stay.
async fn litter(server: &Server, count: i32) {
    server.register("guybrush").await;
    execute(&server.pool, "DELETE FROM authstack.audit").await;
    sqlx::query(
        "INSERT INTO authstack.sessions (id, user_id, secret, expires_at, revoked_at, revoked_reason)
         SELECT gen_random_uuid(), u.id, decode(repeat('00', 32), 'hex'), now() + s.expires,
           now() + s.revoked, CASE WHEN s.revoked IS NOT NULL THEN 'logout' END
         FROM authstack.users u, (
           SELECT interval '6 days' AS expires, interval '-25 hours' AS revoked
           FROM generate_series(1, $1)
           UNION ALL SELECT interval '-25 hours', NULL
           UNION ALL SELECT interval '-25 hours', interval '-26 hours'
           UNION ALL SELECT interval '6 days', interval '-23 hours'
           UNION ALL SELECT interval '-23 hours', NULL
           UNION ALL SELECT interval '6 days', NULL
         ) s",
    )
    .bind(count - 2)
    .execute(&server.pool)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO authstack.audit (id, at, action, result)
         SELECT gen_random_uuid(), now() - interval '91 days', 'login', 'success'
         FROM generate_series(1, $1)
         UNION ALL SELECT gen_random_uuid(), now() - interval '89 days', 'login', 'success'",
    )
    .bind(count)
    .execute(&server.pool)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO authstack.buckets (key, full_at)
         SELECT decode(md5(n::text), 'hex'),
           now() + CASE WHEN n = 0 THEN interval '1 minute' ELSE interval '-1 second' END
         FROM generate_series(0, $1) n",
    )
    .bind(count)
    .execute(&server.pool)
    .await
    .unwrap();
}

async fn assert_tidy(server: &Server) {
    let count = async |sql| server.count(sql).await;
    assert_eq!(count("SELECT count(*) FROM authstack.sessions").await, 3);
    assert_eq!(count("SELECT count(*) FROM authstack.audit").await, 1);
    assert_eq!(count("SELECT count(*) FROM authstack.buckets").await, 1);
    assert_eq!(count("SELECT count(*) FROM authstack.users").await, 1);
}

#[sqlx::test(migrations = false)]
async fn what_is_old_goes_and_the_rest_stays(pool: PgPool) {
    let server = Server::new(pool).await;
    litter(&server, 2_500).await;
    let all = Removed {
        sessions: 2_500,
        audit: 2_500,
        buckets: 2_500,
    };
    assert_eq!(tidy(&server).await, all, "batch after batch");
    assert_tidy(&server).await;
    assert_eq!(tidy(&server).await, Removed::default());
    let metrics = server.probe("/metrics").send().await.text;
    for line in [
        r#"housekeeping_removed_total{what="sessions"} 2500"#,
        r#"housekeeping_removed_total{what="audit"} 2500"#,
        r#"housekeeping_removed_total{what="buckets"} 2500"#,
        r#"housekeeping_runs_total{result="success"} 2"#,
        "sessions_live 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[sqlx::test(migrations = false)]
async fn the_audit_log_is_kept_for_as_long_as_the_setting_says(pool: PgPool) {
    let server = Server::new(pool).await;
    litter(&server, 10).await;
    let mut bookmark = Bookmark::default();
    let years = Ttl::from_secs(1_000 * 86_400);
    let removed = server.app.tidy(years, &mut bookmark).await.unwrap();
    assert_eq!(removed.audit, 0);
    let day = Ttl::from_secs(86_400);
    let removed = server.app.tidy(day, &mut bookmark).await.unwrap();
    assert_eq!(removed.audit, 11);
}

#[sqlx::test(migrations = false)]
async fn two_servers_at_once_remove_everything_once(pool: PgPool) {
    let servers = [Server::new(pool.clone()).await, Server::new(pool).await];
    litter(&servers[0], 3_000).await;
    let mut sum = Removed::default();
    // Whoever finds the other at work leaves; the next round is soon.
    for _ in 0..5 {
        let (one, two) = tokio::join!(tidy(&servers[0]), tidy(&servers[1]));
        for removed in [one, two] {
            sum.sessions += removed.sessions;
            sum.audit += removed.audit;
            sum.buckets += removed.buckets;
        }
    }
    assert_eq!(
        sum,
        Removed {
            sessions: 3_000,
            audit: 3_000,
            buckets: 3_000
        }
    );
    assert_tidy(&servers[0]).await;
}

#[sqlx::test(migrations = false)]
async fn while_one_is_at_it_others_leave_it_alone_until_it_dies(pool: PgPool) {
    let server = Server::new(pool.clone()).await;
    litter(&server, 10).await;
    let mut other = PgConnection::connect_with(&pool.connect_options())
        .await
        .unwrap();
    let mut transaction = other.begin().await.unwrap();
    let mine: bool =
        sqlx::query_scalar("SELECT pg_try_advisory_xact_lock(x'6175746874696479'::bigint)")
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
    assert!(mine);
    assert_eq!(tidy(&server).await, Removed::default());
    drop(transaction);
    // Without a word, as of a process that was killed.
    drop(other);
    let all = Removed {
        sessions: 10,
        audit: 10,
        buckets: 10,
    };
    let mut sum = Removed::default();
    for _ in 0..100 {
        let removed = tidy(&server).await;
        sum.sessions += removed.sessions;
        sum.audit += removed.audit;
        sum.buckets += removed.buckets;
        if sum == all {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{sum:?}");
}

/// A bucket that is being used while housekeeping looks at it stays.
#[sqlx::test(migrations = false)]
async fn a_bucket_in_use_is_not_removed(pool: PgPool) {
    let server = Server::new(pool.clone()).await;
    execute(
        &pool,
        "INSERT INTO authstack.buckets VALUES (decode(repeat('07', 16), 'hex'), now())",
    )
    .await;
    let mut using = pool.begin().await.unwrap();
    sqlx::raw_sql("UPDATE authstack.buckets SET full_at = now() + interval '6 s'")
        .execute(&mut *using)
        .await
        .unwrap();
    assert_eq!(tidy(&server).await.buckets, 0, "nor waited for");
    using.commit().await.unwrap();
    assert_eq!(tidy(&server).await.buckets, 0);
    assert_eq!(
        server.count("SELECT count(*) FROM authstack.buckets").await,
        1
    );
}

/// Limits and housekeeping need no more than the role that `serve` has.
#[sqlx::test(migrations = false)]
async fn the_rights_of_the_runtime_role_are_enough(pool: PgPool) {
    let role = format!("tidy-{}", uuid::Uuid::now_v7());
    let create = sqlx::AssertSqlSafe(format!("CREATE ROLE \"{role}\" LOGIN PASSWORD 'x'"));
    sqlx::raw_sql(create).execute(&pool).await.unwrap();
    let owner = (*pool.connect_options()).clone();
    let patience = std::time::Duration::from_secs(30);
    migrate(&owner, Some(&role), patience).await.unwrap();
    let runtime = PgPool::connect_with(owner.username(&role).password("x"))
        .await
        .unwrap();
    let server = Server::as_is(runtime.clone(), &["--rate-limits=on"]);
    litter(&server, 10).await;
    assert_eq!(server.login("guybrush").await.status, StatusCode::OK);
    let removed = tidy(&server).await;
    assert_eq!((removed.sessions, removed.audit), (10, 10));
    // Of those that the login took from, some may be full again.
    assert!(removed.buckets >= 10, "{}", removed.buckets);
    runtime.close().await;
    let drop = sqlx::AssertSqlSafe(format!("DROP OWNED BY \"{role}\"; DROP ROLE \"{role}\""));
    sqlx::raw_sql(drop).execute(&pool).await.unwrap();
}
