//! Hashes from elsewhere: verified as they are, and ours from the first login.

use authstack_api::{app::Origin, crypto::phc::PasswordHash, domain::ids::UserId};
use axum::http::StatusCode;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Answer, PASSWORD, Server};

/// `securepass` at cost 4.
const BCRYPT: &str = "$2b$04$BdjZCX3YVK3Q3tbs6hcatuCQxiv3BytFNykn.UrHAyPAX0mM3nhAO";
/// `password`, as argon2-cffi makes it by default.
const ARGON2: &str = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$gduXp+Z6iReEolmbyHn5V8s1EtJzmEvZfYoY/Fn/AeI";

async fn server_with(pool: PgPool, hash: &str) -> Server {
    let server = Server::new(pool).await;
    server.register("guybrush").await;
    set_hash(&server, hash).await;
    server
}

async fn set_hash(server: &Server, hash: &str) {
    sqlx::query("UPDATE authstack.users SET password_hash = $1")
        .bind(hash)
        .execute(&server.pool)
        .await
        .unwrap();
}

async fn stored(server: &Server) -> String {
    let hash = sqlx::query_scalar("SELECT password_hash FROM authstack.users");
    hash.fetch_one(&server.pool).await.unwrap()
}

async fn login(server: &Server, password: &str) -> Answer {
    let body = json!({"username": "guybrush", "password": password});
    server.post("/auth/login").json(&body).send().await
}

const UPGRADES: &str =
    "SELECT count(*) FROM authstack.audit a JOIN authstack.users u ON u.id = a.user_id
     WHERE a.action = 'password_upgrade' AND a.result = 'success' AND a.actor_id = u.id";

#[sqlx::test(migrations = false)]
async fn a_foreign_hash_lets_its_password_in_and_is_replaced_once(pool: PgPool) {
    let server = server_with(pool, BCRYPT).await;
    for (number, (hash, password)) in [(BCRYPT, PASSWORD), (ARGON2, "password")]
        .into_iter()
        .enumerate()
    {
        set_hash(&server, hash).await;
        let refused = login(&server, "another password").await;
        refused.assert_problem(401, "login-refused");
        assert_eq!(stored(&server).await, hash, "nothing was learnt");
        let pair = login(&server, password).await.pair();
        assert_eq!(server.me(&pair.access).await.status, StatusCode::OK);
        let upgraded = stored(&server).await;
        assert!(PasswordHash::parse(&upgraded).ok().unwrap().is_live());
        assert_eq!(login(&server, password).await.status, StatusCode::OK);
        let refused = login(&server, "another password").await;
        refused.assert_problem(401, "login-refused");
        assert_eq!(stored(&server).await, upgraded, "once is enough");
        assert_eq!(
            server.count(UPGRADES).await,
            1 + i64::try_from(number).unwrap()
        );
    }
}

#[sqlx::test(migrations = false)]
async fn logins_at_once_all_get_in_though_one_upgrades(pool: PgPool) {
    let server = server_with(pool, BCRYPT).await;
    let logins = (0..12).map(|_| login(&server, PASSWORD));
    for answer in futures::future::join_all(logins).await {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
    assert!(stored(&server).await.starts_with("$argon2id$"));
    assert_eq!(server.count(UPGRADES).await, 1);
}

#[sqlx::test(migrations = false)]
async fn a_password_that_is_changed_meanwhile_stays_changed(pool: PgPool) {
    let server = server_with(pool, "changed meanwhile").await;
    let id: Uuid = sqlx::query_scalar("SELECT id FROM authstack.users")
        .fetch_one(&server.pool)
        .await
        .unwrap();
    let (old, origin) = (BCRYPT.into(), Origin::default());
    let store = &server.app.store;
    let upgrade = store.upgrade_password_hash(UserId(id), &old, "too late", &origin);
    assert!(!upgrade.await.unwrap());
    assert_eq!(stored(&server).await, "changed meanwhile");
    assert_eq!(server.count(UPGRADES).await, 0);
}

#[sqlx::test(migrations = false)]
async fn an_upgrade_that_fails_refuses_nobody(pool: PgPool) {
    let server = server_with(pool, BCRYPT).await;
    sqlx::raw_sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'not now'; END $$;
         CREATE TRIGGER refuse BEFORE UPDATE OF password_hash ON authstack.users
           FOR EACH ROW EXECUTE FUNCTION refuse();",
    )
    .execute(&server.pool)
    .await
    .unwrap();
    let pair = login(&server, PASSWORD).await.pair();
    assert_eq!(server.me(&pair.access).await.status, StatusCode::OK);
    assert_eq!(stored(&server).await, BCRYPT);
    sqlx::raw_sql("DROP TRIGGER refuse ON authstack.users")
        .execute(&server.pool)
        .await
        .unwrap();
    login(&server, PASSWORD).await.pair();
    assert!(stored(&server).await.starts_with("$argon2id$"));
}

#[sqlx::test(migrations = false)]
async fn a_long_password_is_compared_as_bcrypt_did_and_kept_in_full(pool: PgPool) {
    // Made from 72 times x, which is all that bcrypt looks at.
    let of_72 = "$2b$04$Up1ujhP7CEkWLM56D364Ser3bLbGismiCcCFCncyWJU2Zy2gDpBNu";
    let server = server_with(pool, of_72).await;
    let long = format!("{} and a tail", "x".repeat(72));
    let refused = login(&server, &"x".repeat(71)).await;
    refused.assert_problem(401, "login-refused");
    login(&server, &long).await.pair();
    login(&server, &long).await.pair();
    let refused = login(&server, &"x".repeat(72)).await;
    refused.assert_problem(401, "login-refused");
}

#[sqlx::test(migrations = false)]
async fn a_hash_out_of_bounds_is_not_computed_but_costs_one_of_ours(pool: PgPool) {
    let server = Server::new(pool).await;
    server.register("guybrush").await;
    let time = async |password| {
        let started = std::time::Instant::now();
        let answer = login(&server, password).await;
        (answer, started.elapsed())
    };
    let (_, usual) = time("not the password").await;
    for hash in [
        ARGON2.replace("m=65536", "m=4194304"),
        BCRYPT.replace("$04$", "$31$"),
        "plain text".to_owned(),
    ] {
        set_hash(&server, &hash).await;
        let (answer, took) = time(PASSWORD).await;
        answer.assert_problem(401, "login-refused");
        assert!(took.as_millis() >= 5, "{hash}: {took:?} is no hash");
        // The first of them would take more than two hundred times as long.
        assert!(took < 100 * usual, "{hash}: {took:?}, not {usual:?}");
        assert_eq!(stored(&server).await, hash);
    }
}
