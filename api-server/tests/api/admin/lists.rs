//! `GET /admin/users`: pages, filters, search.

use std::collections::HashSet;

use axum::http::StatusCode;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Answer, Pair, Server};

impl Server {
    /// Adds accounts that nobody can log in to, and gives their identifiers.
    async fn fill(&self, names: &[String]) -> Vec<String> {
        let ids: Vec<_> = names.iter().map(|_| Uuid::now_v7()).collect();
        let emails: Vec<_> = names
            .iter()
            .map(|name| format!("{name}@example.net"))
            .collect();
        sqlx::query(
            "INSERT INTO authstack.users
               (id, username, username_key, email, email_key, password_hash)
             SELECT id, name, name, email, email, 'x'
             FROM unnest($1::uuid[], $2::text[], $3::text[]) AS new (id, name, email)",
        )
        .bind(&ids)
        .bind(names)
        .bind(emails)
        .execute(&self.pool)
        .await
        .unwrap();
        ids.iter().map(Uuid::to_string).collect()
    }

    async fn found(&self, admin: &Pair, query: &str) -> Vec<String> {
        let answer = self.get_as(admin, &format!("/admin/users?{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.text);
        assert_eq!(answer.json["next_cursor"], Value::Null, "{query}");
        members(&answer, "username")
    }
}

fn members(answer: &Answer, name: &str) -> Vec<String> {
    let items = answer.json["items"].as_array().unwrap().iter();
    items
        .map(|item| item[name].as_str().unwrap().to_owned())
        .collect()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[sqlx::test(migrations = false)]
async fn pages_stay_right_while_accounts_come_and_go(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    let first: Vec<_> = (0..50).map(|n| format!("first{n}")).collect();
    let ids = server.fill(&first).await;
    let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let answer = server.get_as(&admin, format!("/admin/users?limit=7{cursor}"));
        let answer = answer.await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        seen.extend(members(&answer, "id"));
        let Some(next) = answer.json["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
        pages += 1;
        if pages <= 3 {
            // One that was shown, one that was not, and the one that the
            // cursor is made from.
            let last = seen.last().unwrap().clone();
            for id in [&seen[0].clone(), &ids[40 + pages], &last] {
                let gone = "DELETE FROM authstack.users WHERE id = $1 AND roles = '{}'";
                let id: Uuid = id.parse().unwrap();
                let gone = sqlx::query(gone).bind(id).execute(&server.pool);
                gone.await.unwrap();
            }
            server.fill(&[format!("later{pages}")]).await;
        }
    }
    let once: HashSet<_> = seen.iter().collect();
    assert_eq!(once.len(), seen.len(), "none twice");
    let mut sorted = seen.clone();
    sorted.sort();
    assert_eq!(seen, sorted, "the oldest first");
    let missing = ids.iter().filter(|id| !once.contains(id)).count();
    assert_eq!(missing, 3, "those alone that went before they were shown");
    assert_eq!(seen.len(), 1 + 47 + 3, "and those that came are there");
}

#[sqlx::test(migrations = false)]
async fn filters_narrow_the_list(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    server.fill(&names(&["a", "b", "c"])).await;
    server.grant("a", &["editor"]).await;
    server.grant("b", &["editor", "writer"]).await;
    sqlx::query("UPDATE authstack.users SET disabled_at = now() WHERE username = 'b'")
        .execute(&server.pool)
        .await
        .unwrap();
    for (query, expected) in [
        ("", &["elaine", "a", "b", "c"][..]),
        ("role=editor", &["a", "b"]),
        ("role=admin", &["elaine"]),
        ("role=nothing", &[]),
        ("disabled=true", &["b"]),
        ("disabled=false", &["elaine", "a", "c"]),
        ("role=editor&disabled=false", &["a"]),
        ("role=editor&search=b", &["b"]),
        ("role=writer&search=a", &[]),
        ("search=b&disabled=false", &[]),
        ("limit=100&unknown=ignored", &["elaine", "a", "b", "c"]),
    ] {
        assert_eq!(server.found(&admin, query).await, expected, "{query}");
    }
}

#[sqlx::test(migrations = false)]
async fn a_search_is_by_the_beginning_and_means_every_character(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    let all = [
        "guybrush", "guy", "gus", "g%y", "g_y", "g\\y", "größe", "lechuck", "[g]", "g*y",
    ];
    server.fill(&names(&all)).await;
    for (query, expected) in [
        ("search=guy", &["guybrush", "guy"][..]),
        ("search=GUYB", &["guybrush"]),
        ("search=uybrush", &[]),
        ("search=g%25", &["g%y"]),
        ("search=%25", &[]),
        ("search=_", &[]),
        ("search=g_", &["g_y"]),
        ("search=g%5C", &["g\\y"]),
        ("search=%5C", &[]),
        ("search=g*", &["g*y"]),
        ("search=.*", &[]),
        ("search=%5Bg", &["[g]"]),
        ("search=gr%C3%96", &["größe"]),
        ("search=GR%C3%B6%C3%9F", &["größe"]),
        // By address: all of them but the administrator's are at .net.
        ("search=guy%40example.n", &["guy"]),
        ("search=GUY%40EXAMPLE", &["guy"]),
        ("search=guy%40example.com", &[]),
        ("search=elaine%40", &["elaine"]),
        ("search=g%20u", &[]),
        ("search=g'%20OR%20'1'='1", &[]),
        ("search=guy%F4%8F%BF%BF", &[]),
    ] {
        assert_eq!(server.found(&admin, query).await, expected, "{query}");
    }
}

#[sqlx::test(migrations = false)]
async fn a_search_has_pages_too(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    let all: Vec<_> = (0..7).map(|n| format!("pirate{n}")).collect();
    server.fill(&all).await;
    let answer = server.get_as(&admin, "/admin/users?search=pirate&limit=4");
    let answer = answer.await;
    assert_eq!(members(&answer, "username"), all[..4]);
    let next = answer.json["next_cursor"].as_str().unwrap();
    let query = format!("search=pirate&limit=4&cursor={next}");
    assert_eq!(server.found(&admin, &query).await, all[4..]);
}

#[sqlx::test(migrations = false)]
async fn wrong_parameters_are_named(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    for (query, wrong) in [
        ("limit=0", &["limit"][..]),
        ("limit=101", &["limit"]),
        ("limit=ten", &["limit"]),
        ("limit=-1", &["limit"]),
        ("limit=1&limit=2", &["limit"]),
        ("cursor=banana", &["cursor"]),
        ("cursor=", &["cursor"]),
        ("cursor=AZqDgA8cfTKfQWrEhlK2n", &["cursor"]),
        ("cursor=AZqDgA8cfTKfQWrEhlK2nwAA", &["cursor"]),
        ("cursor=0198c5a4-7d3e-7c11-9d33-7b6a5d1f2a10", &["cursor"]),
        ("cursor='%20OR%201=1", &["cursor"]),
        ("limit=x&cursor=y", &["limit", "cursor"]),
        ("disabled=yes", &["disabled"]),
        ("role=Admin", &["role"]),
        ("role=", &["role"]),
        ("search=", &["search"]),
        ("search=a%00b", &["search"]),
        ("search=a&search=b", &["search"]),
        (
            "role=%25&disabled=1&search=%00",
            &["search", "role", "disabled"],
        ),
    ] {
        let answer = server.get_as(&admin, format!("/admin/users?{query}")).await;
        answer.assert_problem(422, "validation");
        assert_eq!(answer.parameters(), wrong, "{query}");
    }
    let long = format!("/admin/users?search={}", "x".repeat(255));
    let answer = server.get_as(&admin, &long).await;
    answer.assert_problem(422, "validation");
}

#[sqlx::test(migrations = false)]
async fn a_cursor_that_somebody_made_up_is_a_place_in_the_list(pool: PgPool) {
    let server = Server::new(pool).await;
    let admin = server.admin("elaine").await;
    let beginning = "AAAAAAAAAAAAAAAAAAAAAA";
    let end = "_____________________w";
    let found = server.found(&admin, &format!("cursor={beginning}")).await;
    assert_eq!(found, ["elaine"]);
    let found = server.found(&admin, &format!("cursor={end}")).await;
    assert!(found.is_empty());
    // The last bits must be as they are given out: one place, one spelling.
    let answer = server.get_as(&admin, "/admin/users?cursor=_____________________x");
    answer.await.assert_problem(422, "validation");
}
