//! A server for a test, and a client that reads like a transcript.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use authstack_api::{
    app::{App, Limiter, Readiness, Shared, router},
    args::{Cli, Command},
    config::Config,
    crypto::{
        hasher::{Hasher, Limits},
        jwt::Tokens,
        keys::Keys,
    },
    http::operations_router,
    metrics::Metrics,
    store::{Store, migrate::migrate_pool},
};
use axum::{
    Router,
    http::{Method, StatusCode},
};
use serde_json::{Value, json};
use sqlx::PgPool;
use time::{Duration, OffsetDateTime};

mod call;

pub(crate) use call::{Answer, Call};

/// The key that every test server signs with.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// A password that existing clients use.
pub(crate) const PASSWORD: &str = "securepass";

/// What a test may want to be different.
pub(crate) struct Setup {
    pub(crate) flags: Vec<&'static str>,
    pub(crate) limits: Limits,
    /// A pool of the server's own, with so many connections.
    pub(crate) connections: Option<u32>,
    /// What SIGNING_KEYS_FILE holds; SECRET_KEY is set besides.
    pub(crate) key_file: Option<Value>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            flags: Vec::new(),
            limits: Limits::new(2, 256),
            connections: None,
            key_file: None,
        }
    }
}

/// A server, without a network.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) app: App,
    pub(crate) pool: PgPool,
    router: Router,
    operations: Router,
    /// By how many seconds the server's clock is ahead.
    ahead: Arc<AtomicI64>,
}

impl Server {
    pub(crate) async fn new(pool: PgPool) -> Self {
        Self::with(pool, Setup::default()).await
    }

    pub(crate) async fn with_flags(pool: PgPool, flags: &[&'static str]) -> Self {
        let setup = Setup {
            flags: flags.to_vec(),
            ..Setup::default()
        };
        Self::with(pool, setup).await
    }

    pub(crate) async fn with(pool: PgPool, setup: Setup) -> Self {
        migrate_pool(&pool).await.unwrap();
        let server = Self::without_schema(pool, &setup);
        server.app.readiness.schema_seen();
        server
    }

    /// On a schema that is there, as whoever the pool connects as.
    pub(crate) fn as_is(pool: PgPool, flags: &[&'static str]) -> Self {
        let setup = Setup {
            flags: flags.to_vec(),
            ..Setup::default()
        };
        Self::without_schema(pool, &setup)
    }

    pub(crate) fn without_schema(pool: PgPool, setup: &Setup) -> Self {
        let config = config_with_keys(&setup.flags, setup.key_file.as_ref());
        let ahead = Arc::new(AtomicI64::new(0));
        let clock = {
            let ahead = Arc::clone(&ahead);
            move || OffsetDateTime::now_utc() + Duration::seconds(ahead.load(Ordering::Relaxed))
        };
        let store = match setup.connections {
            Some(max) => Store::lazy((*pool.connect_options()).clone(), max),
            None => Store::new(pool.clone()),
        };
        let metrics = Metrics::new();
        let wait = metrics.hash_wait();
        let app = App::from_parts(Shared {
            store,
            hasher: Hasher::start(setup.limits, move |waited| wait.record(waited)).unwrap(),
            tokens: Tokens::new(config.keys, config.issuer, config.audience),
            rules: config.rules,
            public_url: config.public_url,
            services: config.services,
            trusted_proxy_hops: config.trusted_proxy_hops,
            limiter: Limiter::new(config.limits),
            metrics,
            clock: Box::new(clock),
            readiness: Readiness::default(),
        });
        Self {
            router: router(app.clone()),
            operations: operations_router(app.clone()),
            app,
            pool,
            ahead,
        }
    }

    /// Moves the server's clock; the database's stays.
    pub(crate) fn advance(&self, seconds: i64) {
        self.ahead.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Makes every session look as if it had been rotated so much earlier.
    pub(crate) async fn age_rotations(&self, seconds: i32) {
        sqlx::query(
            "UPDATE authstack.sessions SET rotated_at = rotated_at - $1 * interval '1 second'",
        )
        .bind(seconds)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    pub(crate) fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call {
        Call::new(self.router.clone(), method, path)
    }

    /// On the port for operators.
    pub(crate) fn probe(&self, path: &str) -> Call {
        Call::new(self.operations.clone(), Method::GET, path).undocumented()
    }

    pub(crate) async fn register(&self, username: &str) -> Answer {
        let body = json!({
            "username": username, "email": format!("{username}@example.com"), "password": PASSWORD,
        });
        self.post("/auth/register").json(&body).send().await
    }

    pub(crate) async fn login(&self, username: &str) -> Answer {
        let body = json!({"username": username, "password": PASSWORD});
        self.post("/auth/login").json(&body).send().await
    }

    /// Registers and logs in.
    pub(crate) async fn tokens(&self, username: &str) -> Pair {
        assert_eq!(self.register(username).await.status, StatusCode::CREATED);
        self.login(username).await.pair()
    }

    /// Registers an administrator and logs in.
    pub(crate) async fn admin(&self, username: &str) -> Pair {
        assert_eq!(self.register(username).await.status, StatusCode::CREATED);
        self.grant(username, &["admin"]).await;
        self.login(username).await.pair()
    }

    /// Gives a user these roles, instead of those that there are.
    pub(crate) async fn grant(&self, username: &str, roles: &[&str]) {
        sqlx::query("UPDATE authstack.users SET roles = $2 WHERE username = $1")
            .bind(username)
            .bind(roles)
            .execute(&self.pool)
            .await
            .unwrap();
    }

    pub(crate) async fn me(&self, access: &str) -> Answer {
        self.get("/auth/user/me").bearer(access).send().await
    }

    pub(crate) async fn refresh(&self, refresh: &str) -> Answer {
        let body = json!({"refresh_token": refresh});
        self.post("/auth/refresh").json(&body).send().await
    }

    /// How many rows a query counts.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }
}

/// The settings that these flags of `serve` make.
pub(crate) fn config(flags: &[&str]) -> Config {
    let required = [
        "authstack-api",
        "serve",
        "--database-url=postgres://unused@localhost/unused",
        "--secret-key",
        SECRET,
        "--public-url=http://localhost:8001",
        // Tests that are about limits switch them on.
        "--rate-limits=off",
    ];
    let words = required.iter().chain(flags).map(Into::into).collect();
    match Cli::parse_from_layers(words, &[]).unwrap().command {
        Command::Serve(args) => Config::from_args(*args).unwrap(),
        _ => unreachable!(),
    }
}

/// The same with a key file of this content.
fn config_with_keys(flags: &[&str], key_file: Option<&Value>) -> Config {
    let Some(content) = key_file else {
        return config(flags);
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content.to_string()).unwrap();
    let flag = format!("--signing-keys-file={}", file.path().display());
    config(&[&[flag.as_str()], flags].concat())
}

/// Tokens signed with the right key, for a test to make its own.
pub(crate) fn tokens() -> Tokens {
    let keys = Keys::from_secret(&SECRET.into()).unwrap();
    Tokens::new(keys, "http://localhost:8001".into(), "authstack".into())
}

/// A pair of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// That the browser is made to forget both cookies.
#[track_caller]
pub(crate) fn assert_forgets(answer: &Answer) {
    let expected = [
        "access_token=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0",
        "refresh_token=; HttpOnly; SameSite=Lax; Path=/auth; Max-Age=0",
    ];
    assert_eq!(answer.cookies(), expected);
}
