//! What is written down of what happens, route by route. `tests/server` looks
//! for the same secrets in the log.

use authstack_api::crypto::jwt::RefreshClaims;
use axum::http::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Call, PASSWORD, Pair, Server, tokens};

const NEW: &str = "look behind you";

/// A user and what they have shown to the service.
struct History {
    server: Server,
    /// The user whom the rows are about.
    user: Option<Uuid>,
    /// Everything that must be in no row.
    secrets: Vec<String>,
    requests: u32,
}

/// An event, in words: `login success by self to self in a session null`.
#[derive(sqlx::FromRow)]
struct Row {
    action: String,
    result: String,
    actor_id: Option<Uuid>,
    user_id: Option<Uuid>,
    session_id: Option<Uuid>,
    address: Option<String>,
    user_agent: Option<String>,
    detail: Option<Value>,
}

impl History {
    /// Sends a request that must be answered like this and leave these rows.
    async fn expect(
        &mut self,
        call: Call,
        status: u16,
        expected: &[&str],
    ) -> crate::support::Answer {
        self.requests += 1;
        let request = format!("request-{}", self.requests);
        let call = call.header("x-request-id", &request);
        let answer = call.header("user-agent", "A ship").send().await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
        for token in ["access_token", "refresh_token"] {
            let token = answer.json[token].as_str();
            self.secrets.extend(token.map(str::to_owned));
        }
        if answer.json["message"] == "User created successfully" {
            self.user = answer.json["id"].as_str().unwrap().parse().ok();
        }
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT action, result, actor_id, user_id, session_id,
               host(client_address) AS address, user_agent, detail
             FROM authstack.audit WHERE request_id = $1 ORDER BY id",
        )
        .bind(&request)
        .fetch_all(&self.server.pool)
        .await
        .unwrap();
        let told: Vec<_> = rows.iter().map(|row| self.describe(row)).collect();
        assert_eq!(told, expected);
        answer
    }

    fn describe(&self, row: &Row) -> String {
        assert_eq!(row.address.as_deref(), Some("10.0.0.9"));
        assert_eq!(row.user_agent.as_deref(), Some("A ship"));
        let who = |id: Option<Uuid>| match id {
            None => "nobody",
            id if id == self.user => "self",
            Some(_) => "other",
        };
        let session = row.session_id.map_or("no", |_| "a");
        format!(
            "{} {} by {} to {} in {session} session {}",
            row.action,
            row.result,
            who(row.actor_id),
            who(row.user_id),
            row.detail.clone().unwrap_or(Value::Null)
        )
    }

    fn call(&self, method: Method, path: &str, pair: &Pair, body: &Value) -> Call {
        let call = self.server.call(method, path).bearer(&pair.access);
        if body.is_null() {
            call
        } else {
            call.json(body)
        }
    }

    fn post(&self, path: &str, body: &Value) -> Call {
        self.server.post(path).json(body)
    }

    async fn login(&mut self, password: &str) -> Pair {
        let call = self.post(
            "/auth/login",
            &json!({"username": "Guybrush", "password": password}),
        );
        let rows = ["login success by self to self in a session null"];
        self.expect(call, 200, &rows).await.pair()
    }

    async fn execute(&self, sql: &'static str) {
        sqlx::query(sql).execute(&self.server.pool).await.unwrap();
    }

    /// That nothing that was said in confidence is in any row.
    async fn check_rows(&self) {
        let rows: Vec<String> = sqlx::query_scalar("SELECT audit::text FROM authstack.audit")
            .fetch_all(&self.server.pool)
            .await
            .unwrap();
        assert!(rows.len() > 20);
        for row in rows {
            self.check_text(&row);
        }
    }

    fn check_text(&self, text: &str) {
        let text = text.to_lowercase();
        for secret in &self.secrets {
            let secret = secret.to_lowercase();
            assert!(!text.contains(&secret), "{secret} is in {text}");
        }
    }
}

#[sqlx::test(migrations = false)]
async fn every_route_writes_down_what_matters_and_no_secret(pool: PgPool) {
    let mut history = History {
        server: Server::new(pool).await,
        user: None,
        secrets: [
            "guybrush",
            "threepwood",
            "lechuck",
            "example.com",
            PASSWORD,
            NEW,
            "a guess",
        ]
        .map(str::to_owned)
        .to_vec(),
        requests: 0,
    };
    history.server.register("LeChuck").await;
    entering(&mut history).await;
    staying(&mut history).await;
    sessions(&mut history).await;
    account(&mut history).await;
    leaving(&mut history).await;

    history.check_rows().await;
}

async fn entering(history: &mut History) {
    let body =
        json!({"username": "Guybrush", "email": "guybrush@example.com", "password": PASSWORD});
    let call = history.post("/auth/register", &body);
    history
        .expect(
            call,
            201,
            &["register success by self to self in no session null"],
        )
        .await;
    let call = history.post("/auth/register", &body);
    history.expect(call, 409, &[]).await;
    let call = history.post(
        "/auth/register",
        &json!({"username": "", "email": "", "password": ""}),
    );
    history.expect(call, 422, &[]).await;

    let body = json!({"username": "guybrush@example.com", "password": "a guess"});
    let call = history.post("/auth/login", &body);
    let refused = r#"login failure by nobody to self in no session {"reason":"wrong_password"}"#;
    history.expect(call, 401, &[refused]).await;
    let body = json!({"username": "threepwood", "password": "a guess"});
    let call = history.post("/auth/login", &body);
    let refused = r#"login failure by nobody to nobody in no session {"reason":"unknown_user"}"#;
    history.expect(call, 401, &[refused]).await;
    history
        .execute("UPDATE authstack.users SET disabled_at = now() WHERE username = 'Guybrush'")
        .await;
    let body = json!({"username": "guybrush", "password": PASSWORD});
    let call = history.post("/auth/login", &body);
    let refused = r#"login failure by nobody to self in no session {"reason":"disabled"}"#;
    history.expect(call, 401, &[refused]).await;
    history
        .execute("UPDATE authstack.users SET disabled_at = NULL")
        .await;
    let call = history.post("/auth/login", &body);
    history
        .expect(call.header("sec-fetch-site", "cross-site"), 403, &[])
        .await;
}

async fn staying(history: &mut History) {
    let first = history.login(PASSWORD).await;
    let body = |pair: &Pair| json!({"refresh_token": pair.refresh});
    let call = history.post("/auth/refresh", &body(&first));
    let second = history.expect(call, 200, &[]).await.pair();
    let call = history.post("/auth/refresh", &body(&second));
    history.expect(call, 200, &[]).await;
    let call = history.post("/auth/refresh", &body(&first));
    let replayed = "token_replay success by nobody to self in a session null";
    history.expect(call, 401, &[replayed]).await;
    let call = history.post("/auth/refresh", &body(&first));
    history.expect(call, 401, &[]).await;

    let pair = history.login(PASSWORD).await;
    let now = history.server.app.now();
    let claims = RefreshClaims {
        jti: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".into(),
        ..tokens().read_refresh(&pair.refresh, now).unwrap()
    };
    let forged = json!({"refresh_token": tokens().sign_refresh(&claims, now).unwrap()});
    let call = history.post("/auth/refresh", &forged);
    let forgery = "token_forgery success by nobody to self in a session null";
    history.expect(call, 401, &[forgery]).await;

    let pair = history.login(PASSWORD).await;
    let call = history.call(Method::POST, "/auth/logout", &pair, &Value::Null);
    let logout = "logout success by self to self in a session null";
    history.expect(call, 204, &[logout]).await;
    let call = history.call(Method::POST, "/auth/logout", &pair, &Value::Null);
    history.expect(call, 204, &[]).await;
    let call = history.call(Method::GET, "/auth/user/me", &pair, &Value::Null);
    history.expect(call, 401, &[]).await;
}

async fn sessions(history: &mut History) {
    let lost = history.login(PASSWORD).await;
    let mine = history.login(PASSWORD).await;
    let call = history.call(Method::GET, "/auth/sessions", &mine, &Value::Null);
    history.expect(call, 200, &[]).await;
    let now = history.server.app.now();
    let id = tokens().read_access(&lost.access, now).unwrap().sid;
    let path = format!("/auth/sessions/{id}");
    let call = history.call(Method::DELETE, &path, &mine, &Value::Null);
    let ended = "session_end success by self to self in a session null";
    history.expect(call, 204, &[ended]).await;
    let call = history.call(Method::DELETE, &path, &mine, &Value::Null);
    history.expect(call, 404, &[]).await;
    history.login(PASSWORD).await;
    let call = history.call(Method::POST, "/auth/logout/all", &mine, &Value::Null);
    let all = r#"logout_all success by self to self in a session {"sessions_ended":2}"#;
    history.expect(call, 204, &[all]).await;
    let call = history.call(Method::POST, "/auth/logout/all", &mine, &Value::Null);
    history.expect(call, 401, &[]).await;
}

async fn account(history: &mut History) {
    let pair = history.login(PASSWORD).await;
    let me = "/auth/user/me";
    let call = history.call(Method::GET, me, &pair, &Value::Null);
    history.expect(call, 200, &[]).await;
    let body = json!({"username": "GUYBRUSH"});
    let call = history.call(Method::PATCH, me, &pair, &body);
    let renamed = r#"profile_change success by self to self in a session {"fields":["username"]}"#;
    history.expect(call, 200, &[renamed]).await;
    let call = history.call(Method::PATCH, me, &pair, &json!({"username": "lechuck"}));
    history.expect(call, 409, &[]).await;
    let body = |password: &str| json!({"username": "Guybrush", "email": "threepwood@example.com", "current_password": password});
    let call = history.call(Method::PATCH, me, &pair, &body("a guess"));
    let refused = |action: &str| {
        format!(r#"{action} failure by self to self in a session {{"reason":"wrong_password"}}"#)
    };
    history
        .expect(call, 403, &[&refused("profile_change")])
        .await;
    let call = history.call(Method::PATCH, me, &pair, &body(PASSWORD));
    let changed =
        r#"profile_change success by self to self in a session {"fields":["username","email"]}"#;
    history.expect(call, 200, &[changed]).await;

    let path = "/auth/user/me/password";
    history.login(PASSWORD).await;
    let body = json!({"current_password": "a guess", "new_password": NEW});
    let call = history.call(Method::POST, path, &pair, &body);
    history
        .expect(call, 403, &[&refused("password_change")])
        .await;
    let body = json!({"current_password": PASSWORD, "new_password": PASSWORD});
    let call = history.call(Method::POST, path, &pair, &body);
    history.expect(call, 422, &[]).await;
    let body = json!({"current_password": PASSWORD, "new_password": NEW});
    let call = history.call(Method::POST, path, &pair, &body);
    let changed = r#"password_change success by self to self in a session {"sessions_ended":1}"#;
    history.expect(call, 204, &[changed]).await;
    let call = history.call(Method::GET, "/auth/user/me/export", &pair, &Value::Null);
    let exported = "account_export success by self to self in a session null";
    history.expect(call, 200, &[exported]).await;
}

async fn leaving(history: &mut History) {
    let pair = history.login(NEW).await;
    let me = "/auth/user/me";
    let call = history.call(
        Method::DELETE,
        me,
        &pair,
        &json!({"current_password": "a guess"}),
    );
    let refused =
        r#"account_delete failure by self to self in a session {"reason":"wrong_password"}"#;
    history.expect(call, 403, &[refused]).await;
    history
        .execute("UPDATE authstack.users SET roles = '{admin}' WHERE username = 'Guybrush'")
        .await;
    let body = json!({"current_password": NEW});
    let call = history.call(Method::DELETE, me, &pair, &body);
    let refused = r#"account_delete failure by self to self in a session {"reason":"last_admin"}"#;
    history.expect(call, 409, &[refused]).await;
    history
        .execute("UPDATE authstack.users SET roles = '{}'")
        .await;
    let call = history.call(Method::DELETE, me, &pair, &body);
    let gone = "account_delete success by self to self in a session null";
    history.expect(call, 204, &[gone]).await;
}
