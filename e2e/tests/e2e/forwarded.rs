//! Who a client is, is nginx's to say, unless a trusted proxy said it before.

use authstack_e2e::{Answer, Gateway, PATIENCE, Site, small};
use http::Method;
use serde_json::{Value, json};

const FORGED: &str = "203.0.113.66";

#[tokio::test]
async fn what_clients_say_of_themselves_is_believed_from_trusted_networks_only() {
    let site = Site::new("forwarded").await;
    site.apply("shop", small(json!({}))).await;
    let gateway = site.serving("shop").await;
    let forged = log_in_with_headers(&gateway, "forged-1").await;
    let line = request_line(&site, forged.header("x-request-id")).await;
    assert_ne!(line["client"], FORGED, "{line}");
    assert_ne!(line["request_id"], "forged-1", "{line}");
    assert_eq!(site.logs("shop", "api").await.matches("forged").count(), 0);

    let trusting = small(json!({"nginx": {"trustedProxies": ["0.0.0.0/0", "::/0"]}}));
    site.apply("shop", trusting).await;
    let gateway = site.serving("shop").await;
    // A node's Service rules follow the rollout a moment later, and until then
    // the pod that goes may answer, by the configuration that it has.
    site.until("an answer by the new nginx", PATIENCE, async || {
        let request = gateway.request(Method::GET, "/");
        // A connection that is kept would keep to the old one.
        let request = request.header("connection", "close");
        let request = request.header("x-request-id", "given-0");
        let answer = gateway.send(request).await.ok()?;
        (answer.header("x-request-id") == "given-0").then_some(())
    })
    .await;
    log_in_with_headers(&gateway, "given-1").await;
    let line = request_line(&site, "given-1").await;
    assert_eq!(line["client"], FORGED, "{line}");
}

/// A login, from a browser by its looks, at a host that is not in the manifest.
async fn log_in_with_headers(gateway: &Gateway, id: &str) -> Answer {
    let user = gateway.register().await;
    let request = gateway
        .request(Method::POST, "/auth/login")
        .header("host", "shop.example.com:8443")
        .header("origin", "http://shop.example.com:8443")
        .header("x-forwarded-for", FORGED)
        .header("x-real-ip", FORGED)
        .header("forwarded", format!("for={FORGED}"))
        .header("x-request-id", id)
        .json(&json!({"username": user.name, "password": user.password}));
    let answer = gateway.send(request).await.unwrap();
    // 403 for another site's page: the API compares Origin with the Host that
    // nginx passed on.
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// The API's log line about a request.
async fn request_line(site: &Site, id: &str) -> Value {
    assert!(!id.is_empty());
    site.until(&format!("a log line about {id}"), PATIENCE, async || {
        let log = site.logs("shop", "api").await;
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines
            .into_iter()
            .find(|line: &Value| line["request_id"] == id && line["message"] == "request")
    })
    .await
}
