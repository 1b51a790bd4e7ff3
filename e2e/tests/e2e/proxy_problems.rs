//! What nginx refuses itself, it refuses as the API would (RFC 9457).

use authstack_crds::ConditionType::{Available, NginxReady};
use authstack_e2e::{MISSING_IMAGE, Site, small};
use http::Method;
use serde_json::json;

#[tokio::test]
async fn errors_of_nginx_itself_are_problem_details() {
    let site = Site::new("proxy-problems").await;
    // nginx without a single API behind it.
    let spec = small(json!({"api": {"image": MISSING_IMAGE}}));
    site.apply("shop", spec).await;
    site.condition("shop", NginxReady, ("True", "Ready")).await;
    let gateway = site.gateway("shop").await;

    let nobody = gateway.get("/auth/").await.unwrap();
    nobody.assert_problem(503, "no-server");
    let seconds: u32 = nobody.header("retry-after").parse().expect("Retry-After");
    assert!((1..60).contains(&seconds), "{nobody:?}");
    let available = site.now("shop", Available).await.0;
    assert_eq!(available, "False", "the status says so too");

    let body = "x".repeat(64 * 1024 + 1);
    let request = gateway.request(Method::POST, "/auth/login").body(body);
    let too_large = gateway.send(request).await.unwrap();
    too_large.assert_problem(413, "too-large");

    let path = format!("/{}", "x".repeat(20_000));
    let too_long = gateway.get(&path).await.unwrap();
    too_long.assert_problem(414, "uri-too-long");

    let request = gateway.request(Method::GET, "/auth/");
    let request = request.header("x-large", "x".repeat(20_000));
    let too_large = gateway.send(request).await.unwrap();
    too_large.assert_problem(431, "headers-too-large");

    let request = gateway.request(Method::TRACE, "/auth/");
    let no_method = gateway.send(request).await.unwrap();
    no_method.assert_problem(405, "method-not-allowed");

    // Before there is an address, nginx takes other paths through its file.
    let malformed = gateway.raw("NONSENSE\r\n\r\n").await;
    assert!(malformed.starts_with("HTTP/1.1 400 "), "{malformed}");
    for part in ["application/problem+json", "/problems/bad-request\""] {
        assert!(malformed.contains(part), "{malformed}");
    }
}
