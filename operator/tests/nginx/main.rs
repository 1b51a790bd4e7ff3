//! What nginx makes of the configuration that the operator writes: the real
//! nginx, in front of servers that count.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod proxy;
mod tls;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use proxy::{Answer, Backend, Behaviour, Proxy, check, free_port, rendered};

/// Headers that every answer of nginx itself has.
fn assert_own(answer: &Answer, status: u16, slug: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let problem: Value = serde_json::from_str(&answer.body).unwrap();
    let kind = problem["type"].as_str().unwrap();
    assert!(kind.ends_with(&format!("/problems/{slug}")), "{answer:?}");
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(
        answer.header("content-security-policy"),
        Some("default-src 'none'; frame-ancestors 'none'")
    );
    let id = answer.header("x-request-id").unwrap();
    assert!(!id.is_empty() && problem["instance"] == id, "{answer:?}");
}

#[test]
fn nginx_takes_what_is_written_for_every_manifest() {
    for spec in [
        "{}",
        "{nginx: {trustedProxies: [10.0.0.0/8, 'fd00::/8']}, ingress: {host: a.example.com, tls: {secretName: t}}}",
        "{ingress: {enabled: false}}",
    ] {
        check(&rendered(spec));
    }
}

#[tokio::test]
async fn a_pod_that_cannot_be_reached_is_followed_by_another_for_any_request() {
    let api = Backend::start(Behaviour::Answer(200)).await;
    let gone = free_port();
    let proxy = Proxy::start([gone, gone, api.port]).await;
    for method in ["GET", "POST", "DELETE"] {
        for _ in 0..5 {
            assert_eq!(proxy.send(method, "/auth/sessions", "").await.status, 200);
        }
    }
    assert_eq!(api.requests(), 15, "each once");
}

#[tokio::test]
async fn who_is_not_the_api_by_the_stacks_authority_is_told_nothing() {
    let stranger = Backend::start(Behaviour::Stranger).await;
    let proxy = Proxy::start([stranger.port; 3]).await;
    let answer = proxy.send("POST", "/auth/login", "{}").await;
    assert_own(&answer, 503, "no-server");
    assert_eq!(stranger.requests(), 0);

    let api = Backend::start(Behaviour::Answer(200)).await;
    let proxy = Proxy::start([stranger.port, stranger.port, api.port]).await;
    assert_eq!(proxy.send("POST", "/auth/login", "{}").await.status, 200);
    assert_eq!(stranger.requests(), 0);
}

#[tokio::test]
async fn a_pod_that_breaks_off_is_followed_by_another_unless_that_could_do_it_twice() {
    let broken = Backend::start(Behaviour::BreakOff).await;
    let api = Backend::start(Behaviour::Answer(200)).await;
    let proxy = Proxy::start([broken.port, broken.port, api.port]).await;
    for _ in 0..6 {
        assert_eq!(proxy.send("GET", "/auth/user/me", "").await.status, 200);
    }
    let (tried, answered) = (broken.requests(), api.requests());
    assert_eq!(answered, 6);
    assert!(tried > 0);

    let mut statuses = BTreeSet::new();
    for _ in 0..6 {
        let answer = proxy.send("POST", "/auth/refresh", "").await;
        if answer.status != 200 {
            assert_own(&answer, 503, "no-server");
            assert_eq!(answer.header("retry-after"), Some("2"));
        }
        statuses.insert(answer.status);
    }
    assert!(statuses.contains(&503), "{statuses:?}");
    let sent = broken.requests() - tried + api.requests() - answered;
    assert_eq!(sent, 6, "each was sent to one pod alone");
}

#[tokio::test]
async fn a_503_of_the_api_itself_is_passed_on_and_not_tried_again() {
    let api = Backend::start(Behaviour::Answer(503)).await;
    let proxy = Proxy::start([api.port; 3]).await;
    let answer = proxy.send("GET", "/auth/user/me", "").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body, "of the API");
    assert_eq!(api.requests(), 1);
}

#[tokio::test]
async fn nginxs_own_answers_are_problems_with_all_headers() {
    let gone = free_port();
    let proxy = Proxy::start([gone; 3]).await;
    let nobody = proxy.send("GET", "/auth/", "").await;
    assert_own(&nobody, 503, "no-server");
    assert_eq!(nobody.header("retry-after"), Some("2"));
    let no_method = proxy.send("TRACE", "/auth/", "").await;
    assert_own(&no_method, 405, "method-not-allowed");
    assert_eq!(
        no_method.header("allow"),
        Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
    );
    let body = "x".repeat(64 * 1024 + 1);
    let too_large = proxy.send("POST", "/auth/login", &body).await;
    assert_own(&too_large, 413, "too-large");
    let path = format!("/{}", "x".repeat(20_000));
    assert_own(&proxy.send("GET", &path, "").await, 414, "uri-too-long");
    let header = format!("X-Large: {}\r\n", "x".repeat(20_000));
    let too_large = proxy.with("GET", "/auth/", &header, "").await;
    assert_own(&too_large, 431, "headers-too-large");
    let malformed = proxy.raw(b"NONSENSE\r\n\r\n").await;
    assert_own(&malformed, 400, "bad-request");
}

#[tokio::test]
async fn what_costs_a_hash_is_limited_by_address_and_nothing_else_is() {
    let api = Backend::start(Behaviour::Answer(200)).await;
    let proxy = Proxy::start([api.port; 3]).await;
    let flood = (0..400).map(|_| proxy.send("POST", "/auth/login", "{}"));
    let answers = futures::future::join_all(flood).await;
    let (served, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    assert!(served.len() >= 64, "a burst passes: {}", served.len());
    assert_eq!(api.requests(), served.len());
    let refused = refused.first().expect("not all of it");
    assert_own(refused, 429, "rate-limited");
    assert_eq!(refused.header("retry-after"), Some("2"));
    for (method, path) in [
        ("GET", "/auth/user/me"),
        ("POST", "/auth/refresh"),
        ("GET", "/auth/verify"),
    ] {
        for _ in 0..20 {
            assert_eq!(
                proxy.send(method, path, "").await.status,
                200,
                "{method} {path}"
            );
        }
    }
    let elsewhere = proxy.client_at("127.0.0.2");
    assert_eq!(
        elsewhere.send("POST", "/auth/login", "{}").await.status,
        200
    );
}

#[tokio::test]
async fn only_what_is_public_is_compressed() {
    let api = Backend::start(Behaviour::Answer(200)).await;
    let proxy = Proxy::start([api.port; 3]).await;
    let accepts = "Accept-Encoding: gzip\r\n";
    for path in [
        "/openapi.json",
        "/docs/swagger-ui.css",
        "/redoc/start.js",
        "/problems/busy",
    ] {
        let path = format!("{path}?large");
        let answer = proxy.with("GET", &path, accepts, "").await;
        assert_eq!(answer.header("content-encoding"), Some("gzip"), "{path}");
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"), "{path}");
    }
    let small = proxy.with("GET", "/openapi.json", accepts, "").await;
    assert_eq!(small.header("content-encoding"), None);
    for (method, path) in [
        ("POST", "/auth/login"),
        ("POST", "/auth/refresh"),
        ("GET", "/admin/users"),
        ("GET", "/docsx"),
    ] {
        let path = format!("{path}?large");
        let answer = proxy.with(method, &path, accepts, "").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-encoding"), None, "{path}");
    }
}

#[tokio::test]
async fn a_pod_that_is_about_to_stop_ends_its_connections_and_serves_on() {
    let api = Backend::start(Behaviour::Answer(200)).await;
    let gone = free_port();
    let proxy = Proxy::start([api.port; 3]).await;
    let lonely = Proxy::start([gone; 3]).await;
    let answer = proxy.kept("POST", "/auth/login", "{}").await;
    assert_eq!(answer.header("connection"), Some("keep-alive"));
    for proxy in [&proxy, &lonely] {
        proxy.begin_to_drain();
    }
    for (method, path) in [("POST", "/auth/login"), ("GET", "/openapi.json")] {
        let answer = proxy.kept(method, path, "{}").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("connection"), Some("close"), "{path}");
        assert_eq!(answer.header("x-body"), Some("{}"), "the body went along");
    }
    let answer = lonely.kept("GET", "/auth/", "").await;
    assert_own(&answer, 503, "no-server");
}

#[tokio::test]
async fn metrics_are_in_prometheuss_text_format() {
    let api = Backend::start(Behaviour::Answer(200)).await;
    let proxy = Proxy::start([api.port; 3]).await;
    let health = proxy.operations("/healthz").await;
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
    let metrics = proxy.operations("/metrics").await;
    assert_eq!(
        metrics.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let mut names = BTreeSet::new();
    for sample in metrics.body.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = sample.split_once(' ').unwrap();
        let _: u64 = value.parse().unwrap();
        assert!(metrics.body.contains(&format!("# TYPE {name} ")), "{name}");
        names.insert(name.to_owned());
    }
    assert_eq!(names.len(), 6, "{names:?}");
    assert!(
        metrics.body.contains("nginx_connections_active 1\n"),
        "{}",
        metrics.body
    );
}

#[tokio::test]
async fn a_line_of_the_log_names_the_request_and_no_secret() {
    let api = Backend::start(Behaviour::Answer(200)).await;
    let gone = free_port();
    let proxy = Proxy::start([gone, gone, api.port]).await;
    let mut through_two = false;
    for _ in 0..3 {
        let header = "Authorization: Bearer secret\r\nX-Request-Id: forged\r\n";
        let answer = proxy
            .with("GET", "/auth/verify?token=secret", header, "")
            .await;
        let id = answer.header("x-seen-request-id").unwrap();
        let line = proxy.log_line(id, Duration::from_secs(5)).await;
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&line["path"], &line["status"]),
            (&"/auth/verify".into(), &200.into())
        );
        assert!(
            !line.to_string().contains("secret") && id != "forged",
            "{line}"
        );
        through_two |= line["upstream_status"]
            .as_str()
            .unwrap()
            .starts_with("502, ");
    }
    assert!(through_two, "what was tried is in the log");
}
