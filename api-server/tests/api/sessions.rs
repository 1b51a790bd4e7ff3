//! `/auth/sessions` and `POST /auth/logout/all`

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use time::OffsetDateTime;

use crate::support::{Answer, Pair, Server, assert_forgets, tokens};

fn session_of(server: &Server, pair: &Pair) -> String {
    let claims = tokens().read_access(&pair.access, server.app.now());
    claims.unwrap().sid.to_string()
}

async fn list(server: &Server, pair: &Pair, query: &str) -> Answer {
    let call = server.get(&format!("/auth/sessions{query}"));
    call.bearer(&pair.access).send().await
}

async fn end(server: &Server, pair: &Pair, id: &str) -> Answer {
    let call = server.call(Method::DELETE, &format!("/auth/sessions/{id}"));
    call.bearer(&pair.access).send().await
}

fn ids(answer: &Answer) -> Vec<&str> {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let items = answer.json["items"].as_array().unwrap().iter();
    items.map(|item| item["id"].as_str().unwrap()).collect()
}

#[sqlx::test(migrations = false)]
async fn the_list_shows_where_each_session_is(pool: PgPool) {
    let server = Server::with_flags(pool, &["--trusted-proxy-hops=1"]).await;
    let first = server.tokens("guybrush").await;
    server.tokens("lechuck").await;
    let body = json!({"username": "guybrush", "password": crate::support::PASSWORD});
    let call = server.post("/auth/login").json(&body);
    let call = call.header("user-agent", "A ship's log/1.0");
    let call = call.header("x-forwarded-for", "2001:db8::7");
    let second = call.send().await.pair();

    let answer = list(&server, &second, "").await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let [newer, older] = [&second, &first].map(|pair| session_of(&server, pair));
    assert_eq!(ids(&answer), [&*newer, &*older], "the newest first");
    assert_eq!(answer.json["next_cursor"], Value::Null);
    let item = answer.json["items"][0].as_object().unwrap();
    let members: Vec<_> = item.keys().map(String::as_str).collect();
    let expected = [
        "client_address",
        "created_at",
        "current",
        "expires_at",
        "id",
        "last_used",
        "user_agent",
    ];
    assert_eq!(members, expected);
    assert_eq!(item["client_address"], "2001:db8::7");
    assert_eq!(item["user_agent"], "A ship's log/1.0");
    assert_eq!(item["current"], true);
    assert_eq!(answer.json["items"][1]["current"], false);
    let time = |name: &str| {
        let text = item[name].as_str().unwrap();
        OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).unwrap()
    };
    assert_eq!(
        time("expires_at") - time("created_at"),
        time::Duration::days(7)
    );
    assert_eq!(time("last_used"), time("created_at"));
    let text = answer.text;
    for secret in ["secret", "counter", "jti"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[sqlx::test(migrations = false)]
async fn a_refresh_is_a_use(pool: PgPool) {
    let server = Server::new(pool).await;
    let first = server.tokens("guybrush").await;
    server.age_rotations(100).await;
    let before = list(&server, &first, "").await.json["items"][0]["last_used"].clone();
    let next = server.refresh(&first.refresh).await.pair();
    let after = list(&server, &next, "").await.json["items"][0]["last_used"].clone();
    assert!(after.as_str() > before.as_str(), "{before} {after}");
}

#[sqlx::test(migrations = false)]
async fn what_is_over_is_not_listed(pool: PgPool) {
    let server = Server::new(pool).await;
    let [logged_out, expired, mine] = {
        let first = server.tokens("guybrush").await;
        let second = server.login("guybrush").await.pair();
        [first, second, server.login("guybrush").await.pair()]
    };
    let call = server.post("/auth/logout").bearer(&logged_out.access);
    call.send().await;
    let id: uuid::Uuid = session_of(&server, &expired).parse().unwrap();
    sqlx::query("UPDATE authstack.sessions SET expires_at = now() WHERE id = $1")
        .bind(id)
        .execute(&server.pool)
        .await
        .unwrap();
    let answer = list(&server, &mine, "").await;
    assert_eq!(ids(&answer), [session_of(&server, &mine)]);
}

#[sqlx::test(migrations = false)]
async fn pages_follow_one_another_without_gap_or_overlap(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    sqlx::query(
        "INSERT INTO authstack.sessions (id, user_id, secret, expires_at)
         SELECT gen_random_uuid(), user_id, secret, expires_at
         FROM authstack.sessions, generate_series(1, 9)",
    )
    .execute(&server.pool)
    .await
    .unwrap();
    let all = list(&server, &pair, "?limit=100").await;
    let all = ids(&all);
    assert_eq!(all.len(), 10);
    assert!(all.is_sorted_by(|a, b| a > b));
    for limit in [1, 3, 5, 9, 10, 11] {
        let mut seen: Vec<String> = Vec::new();
        let mut query = format!("?limit={limit}");
        for page in 1.. {
            let answer = list(&server, &pair, &query).await;
            let items = ids(&answer);
            assert!(items.len() <= limit && !items.is_empty());
            seen.extend(items.into_iter().map(str::to_owned));
            let Some(next) = answer.json["next_cursor"].as_str() else {
                assert_eq!(page, 10_usize.div_ceil(limit));
                break;
            };
            query = format!("?cursor={next}&limit={limit}");
        }
        assert_eq!(seen, all, "{limit}");
    }
}

#[sqlx::test(migrations = false)]
async fn bad_parameters_are_all_told(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    for (query, expected) in [
        ("?limit=0", &["limit"][..]),
        ("?limit=101", &["limit"]),
        ("?limit=", &["limit"]),
        ("?limit=1&limit=2", &["limit"]),
        ("?cursor=", &["cursor"]),
        ("?cursor=garbage", &["cursor"]),
        ("?cursor=AAAAAAAAAAAAAAAAAAAAAA%3D%3D", &["cursor"]),
        ("?cursor=%00&limit=-1", &["limit", "cursor"]),
    ] {
        let answer = list(&server, &pair, query).await;
        answer.assert_problem(422, "validation");
        let errors = answer.json["errors"].as_array().unwrap().iter();
        let told: Vec<_> = errors.map(|error| &error["parameter"]).collect();
        assert_eq!(told, expected, "{query}");
    }
    // Who is not logged in learns nothing about parameters.
    let answer = server.get("/auth/sessions?limit=0").send().await;
    answer.assert_problem(401, "no-token");
    assert_eq!(
        list(&server, &pair, "?other=1").await.status,
        StatusCode::OK
    );
}

#[sqlx::test(migrations = false)]
async fn one_session_is_ended_on_every_server_at_once(pool: PgPool) {
    let servers = [Server::new(pool.clone()).await, Server::new(pool).await];
    let lost = servers[0].tokens("guybrush").await;
    let mine = servers[0].login("guybrush").await.pair();
    let id = session_of(&servers[0], &lost);
    let answer = end(&servers[1], &mine, &id).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert!(answer.text.is_empty() && answer.cookies().is_empty());
    for server in &servers {
        let answer = server.me(&lost.access).await;
        answer.assert_problem(401, "invalid-token");
        let answer = server.refresh(&lost.refresh).await;
        answer.assert_problem(401, "invalid-token");
        assert_eq!(server.me(&mine.access).await.status, StatusCode::OK);
    }
    let again = end(&servers[0], &mine, &id).await;
    again.assert_problem(404, "not-found");
}

#[sqlx::test(migrations = false)]
async fn ending_the_current_session_makes_the_browser_forget_it(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    let path = format!("/auth/sessions/{}", session_of(&server, &pair));
    let call = server.call(Method::DELETE, &path);
    let answer = call.cookie("access_token", &pair.access).send().await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_forgets(&answer);
    let answer = server.me(&pair.access).await;
    answer.assert_problem(401, "invalid-token");
}

#[sqlx::test(migrations = false)]
async fn nobody_ends_what_is_not_theirs(pool: PgPool) {
    let server = Server::new(pool).await;
    let theirs = server.tokens("lechuck").await;
    let mine = server.tokens("guybrush").await;
    let id = session_of(&server, &theirs);
    let unknown = uuid::Uuid::now_v7().to_string();
    let mut answers = Vec::new();
    for id in [&*id, &unknown, "garbage", "%00", &id.to_uppercase()] {
        let answer = end(&server, &mine, id).await;
        answer.assert_problem(404, "not-found");
        answers.push(answer.json["detail"].clone());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "another's is like none: {answers:?}");
    assert_eq!(server.me(&theirs.access).await.status, StatusCode::OK);
    let call = server.call(Method::DELETE, &format!("/auth/sessions/{id}"));
    call.send().await.assert_problem(401, "no-token");
}

#[sqlx::test(migrations = false)]
async fn logging_out_everywhere_ends_every_session_of_one_user(pool: PgPool) {
    let servers = [Server::new(pool.clone()).await, Server::new(pool).await];
    let bystander = servers[0].tokens("lechuck").await;
    let other = servers[0].tokens("guybrush").await;
    let mine = servers[0].login("guybrush").await.pair();
    let call = servers[1].post("/auth/logout/all");
    let answer = call.cookie("access_token", &mine.access).send().await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_forgets(&answer);
    for server in &servers {
        for pair in [&other, &mine] {
            let answer = server.me(&pair.access).await;
            answer.assert_problem(401, "invalid-token");
            let answer = server.refresh(&pair.refresh).await;
            answer.assert_problem(401, "invalid-token");
        }
        assert_eq!(server.me(&bystander.access).await.status, StatusCode::OK);
    }
    let reason = "SELECT count(*) FROM authstack.sessions WHERE revoked_reason = 'logout_all'";
    assert_eq!(servers[0].count(reason).await, 2);
}

#[sqlx::test(migrations = false)]
async fn logging_out_everywhere_takes_an_access_token(pool: PgPool) {
    let server = Server::new(pool).await;
    let pair = server.tokens("guybrush").await;
    for (call, kind) in [
        (server.post("/auth/logout/all"), "no-token"),
        (
            server.post("/auth/logout/all").bearer(&pair.refresh),
            "invalid-token",
        ),
        (
            server
                .post("/auth/logout/all")
                .cookie("refresh_token", &pair.refresh),
            "no-token",
        ),
        (
            server
                .post("/auth/logout/all")
                .json(&json!({"refresh_token": pair.refresh})),
            "no-token",
        ),
    ] {
        let answer = call.send().await;
        answer.assert_problem(401, kind);
        assert!(
            answer.cookies().is_empty(),
            "a client can refresh and retry"
        );
    }
    assert_eq!(server.me(&pair.access).await.status, StatusCode::OK);
}
