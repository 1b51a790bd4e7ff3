//! `POST /auth/register`

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Answer, PASSWORD, Server};

async fn register(server: &Server, body: Value) -> Answer {
    server.post("/auth/register").json(&body).send().await
}

fn with(field: &str, value: Value) -> Value {
    let mut body = json!({
        "username": "guybrush", "email": "guybrush@example.com", "password": PASSWORD,
    });
    body[field] = value;
    body
}

#[sqlx::test(migrations = false)]
async fn an_account_is_made(pool: PgPool) {
    let server = Server::new(pool).await;
    let body = json!({
        "username": "Guybrush", "email": "Guybrush@Example.com", "password": "securepass",
    });
    let answer = register(&server, body).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let id: Uuid = answer.json["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
    let expected = json!({
        "message": "User created successfully",
        "id": id, "username": "Guybrush", "email": "Guybrush@Example.com",
    });
    assert_eq!(answer.json, expected);
    let hash: String = sqlx::query_scalar("SELECT password_hash FROM authstack.users")
        .fetch_one(&server.pool)
        .await
        .unwrap();
    assert!(
        hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{hash}"
    );
}

#[sqlx::test(migrations = false)]
async fn a_taken_name_is_a_conflict(pool: PgPool) {
    let server = Server::new(pool).await;
    register(&server, with("username", json!("guybrush"))).await;
    for name in ["guybrush", "GUYBRUSH", "ｇｕｙｂｒｕｓｈ"] {
        let body = json!({"username": name, "email": "other@example.com", "password": PASSWORD});
        let answer = register(&server, body).await;
        answer.assert_problem(409, "taken");
        assert_eq!(answer.pointers(), ["/username"]);
    }
}

#[sqlx::test(migrations = false)]
async fn a_taken_address_is_a_conflict(pool: PgPool) {
    let server = Server::new(pool).await;
    register(&server, with("username", json!("guybrush"))).await;
    let answer = register(&server, with("username", json!("other"))).await;
    answer.assert_problem(409, "taken");
    assert_eq!(answer.pointers(), ["/email"]);
    let body = json!({
        "username": "guybrush", "email": "GuyBrush@EXAMPLE.com", "password": PASSWORD,
    });
    let answer = register(&server, body).await;
    answer.assert_problem(409, "taken");
    assert_eq!(answer.pointers(), ["/username", "/email"]);
}

#[sqlx::test(migrations = false)]
async fn strings_that_break_rules_are_told_by_field(pool: PgPool) {
    let server = Server::new(pool).await;
    let long = "x".repeat(300);
    for (field, value) in [
        ("email", "not an address"),
        ("email", "a@b"),
        ("email", ""),
        ("email", "a\0@example.com"),
        ("email", &*format!("{long}@example.com")),
        ("username", ""),
        ("username", "with space"),
        ("username", "with@sign"),
        ("username", "nul\0inside"),
        ("username", &*long),
        ("password", ""),
        ("password", "short"),
        ("password", "password1"),
        ("password", "guybrush1"),
        ("password", "nul\0inside"),
        ("password", &*long),
    ] {
        let answer = register(&server, with(field, json!(value))).await;
        answer.assert_problem(422, "validation");
        assert_eq!(answer.pointers(), [format!("/{field}")], "{value:?}");
        assert!(!answer.text.contains("nul"), "input is not repeated");
    }
    assert_eq!(
        server.count("SELECT count(*) FROM authstack.users").await,
        0
    );
}

#[sqlx::test(migrations = false)]
async fn everything_wrong_is_told_at_once(pool: PgPool) {
    let server = Server::new(pool).await;
    let body = json!({"username": "", "email": "", "password": ""});
    let answer = register(&server, body).await;
    answer.assert_problem(422, "validation");
    assert_eq!(answer.pointers(), ["/username", "/email", "/password"]);
    assert_eq!(answer.json["detail"], "3 fields break rules");
}

#[sqlx::test(migrations = false)]
async fn wrong_types_are_problems(pool: PgPool) {
    let server = Server::new(pool).await;
    for value in [
        json!(5),
        json!(null),
        json!(["x"]),
        json!({"x": 1}),
        json!(true),
        json!(1e300_f64),
    ] {
        for field in ["username", "email", "password"] {
            let answer = register(&server, with(field, value.clone())).await;
            answer.assert_problem(422, "validation");
            assert_eq!(answer.pointers(), [format!("/{field}")], "{value}");
        }
    }
    for body in [
        json!([]),
        json!("x"),
        json!(5),
        json!(null),
        json!(["a", "b@c.de", PASSWORD]),
    ] {
        register(&server, body)
            .await
            .assert_problem(422, "validation");
    }
    let missing = json!({"username": "guybrush", "password": PASSWORD});
    let answer = register(&server, missing).await;
    answer.assert_problem(422, "validation");
    assert_eq!(answer.pointers(), ["/email"]);
    let twice = r#"{"username":"a","username":"b","email":"a@b.cd","password":"securepass"}"#;
    let call = server
        .post("/auth/register")
        .header("content-type", "application/json");
    call.body(twice)
        .send()
        .await
        .assert_problem(422, "validation");
}

#[sqlx::test(migrations = false)]
async fn a_wrong_password_type_is_not_repeated(pool: PgPool) {
    let server = Server::new(pool).await;
    let answer = register(&server, with("password", json!(123_456_789_u64))).await;
    answer.assert_problem(422, "validation");
    assert!(!answer.text.contains("123456789"), "{}", answer.text);
}

#[sqlx::test(migrations = false)]
async fn bodies_that_are_not_json_are_problems(pool: PgPool) {
    let server = Server::new(pool).await;
    for body in [
        "",
        "{",
        "{\"username\": \"x\"",
        "username=x",
        "\u{0}",
        "{} trailing",
    ] {
        let call = server
            .post("/auth/register")
            .header("content-type", "application/json");
        call.body(body)
            .send()
            .await
            .assert_problem(400, "malformed-json");
    }
    let invalid = vec![b'{', b'"', 0xff, 0xfe, b'"', b':', b'1', b'}'];
    let call = server
        .post("/auth/register")
        .header("content-type", "application/json");
    call.body(invalid)
        .send()
        .await
        .assert_problem(400, "malformed-json");
    let deep = "[".repeat(10_000);
    let call = server
        .post("/auth/register")
        .header("content-type", "application/json");
    call.body(format!("{{\"username\":{deep}"))
        .send()
        .await
        .assert_problem(400, "malformed-json");
}

#[sqlx::test(migrations = false)]
async fn another_content_type_is_a_problem(pool: PgPool) {
    let server = Server::new(pool).await;
    let body = with("username", json!("guybrush")).to_string();
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ] {
        let call = server
            .post("/auth/register")
            .header("content-type", content_type);
        call.body(body.clone())
            .send()
            .await
            .assert_problem(415, "media-type");
    }
    let call = server.post("/auth/register").body(body);
    call.send().await.assert_problem(415, "media-type");
}

#[sqlx::test(migrations = false)]
async fn a_body_of_a_mebibyte_is_a_problem(pool: PgPool) {
    let server = Server::new(pool).await;
    let answer = register(&server, with("username", json!("x".repeat(1 << 20)))).await;
    answer.assert_problem(413, "too-large");
    // Up to the limit it is read, and refused for what it says.
    let answer = register(&server, with("username", json!("x".repeat(60 * 1024)))).await;
    answer.assert_problem(422, "validation");
    // Without a length, it is counted as it comes.
    let pieces = (0..100).map(|_| Ok::<_, std::io::Error>("x".repeat(1024)));
    let stream = axum::body::Body::from_stream(futures::stream::iter(pieces));
    let call = server
        .post("/auth/register")
        .header("content-type", "application/json");
    call.body(stream)
        .send()
        .await
        .assert_problem(413, "too-large");
}

#[sqlx::test(migrations = false)]
async fn closed_registration_is_refused(pool: PgPool) {
    let server = Server::with_flags(pool, &["--registration=closed"]).await;
    let answer = register(&server, with("username", json!("guybrush"))).await;
    answer.assert_problem(403, "registration-closed");
    assert_eq!(
        server.count("SELECT count(*) FROM authstack.users").await,
        0
    );
}

#[sqlx::test(migrations = false)]
async fn the_minimum_length_is_configurable(pool: PgPool) {
    let server = Server::with_flags(pool, &["--password-min-length=12"]).await;
    let answer = register(&server, with("password", json!("securepass"))).await;
    answer.assert_problem(422, "validation");
    assert!(
        answer.text.contains("at least 12 characters"),
        "{}",
        answer.text
    );
}

#[sqlx::test(migrations = false)]
async fn an_older_services_table_is_not_touched(pool: PgPool) {
    sqlx::raw_sql("CREATE TABLE public.users (id int, username text); INSERT INTO public.users VALUES (1, 'guybrush')")
        .execute(&pool)
        .await
        .unwrap();
    let server = Server::new(pool).await;
    assert_eq!(
        server.register("guybrush").await.status,
        StatusCode::CREATED
    );
    assert_eq!(server.count("SELECT count(*) FROM public.users").await, 1);
    assert_eq!(
        server
            .count("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            .await,
        1
    );
}

/// OWASP ASVS 5.0, 6.2.11.
#[sqlx::test(migrations = false)]
async fn names_of_the_service_are_no_passwords(pool: PgPool) {
    let flags = [
        "--public-url=https://login.rocketshop.example",
        "--password-forbidden-words=Lechuck, Melee",
    ];
    let server = Server::with_flags(pool, &flags).await;
    for password in ["rocketshop1", "LeChuck!!", "authstack1", "melee123"] {
        let body = json!({
            "username": "elaine", "email": "elaine@example.com", "password": password,
        });
        let answer = server.post("/auth/register").json(&body).send().await;
        assert_eq!(answer.status.as_u16(), 422, "{password}");
        assert_eq!(answer.pointers(), ["/password"], "{password}");
    }
}

/// A name with an `@` was imported, and is what its user types to log in. The
/// same text as somebody's address would take its place.
#[sqlx::test(migrations = false)]
async fn an_address_that_is_an_imported_name_is_taken(pool: PgPool) {
    let server = Server::new(pool).await;
    server.register("lechuck").await;
    let imported = "UPDATE authstack.users SET username = 'Ghost@example.com',
        username_key = 'ghost@example.com' WHERE username = 'lechuck'";
    sqlx::query(imported).execute(&server.pool).await.unwrap();
    let answer = server.register("ghost").await;
    answer.assert_problem(409, "taken");
    assert_eq!(answer.pointers(), ["/email"]);

    let pair = server.tokens("guybrush").await;
    let change = async |access: &str, email: &str| {
        let body = json!({"email": email, "current_password": PASSWORD});
        let call = server.call(Method::PATCH, "/auth/user/me").bearer(access);
        call.json(&body).send().await
    };
    let answer = change(&pair.access, "GHOST@example.com").await;
    answer.assert_problem(409, "taken");
    assert_eq!(answer.pointers(), ["/email"]);
    // Its user may have it as an address too.
    let body = json!({"username": "ghost@example.com", "password": PASSWORD});
    let own = server.post("/auth/login").json(&body).send().await.pair();
    let answer = change(&own.access, "ghost@example.com").await;
    assert_eq!(answer.status, StatusCode::OK);
}
