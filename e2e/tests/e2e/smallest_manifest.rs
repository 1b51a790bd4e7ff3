//! `spec: {}` is a complete manifest.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use authstack_e2e::{Gateway, Site, Tokens, figure, seconds};
use futures::TryStreamExt as _;
use http::Method;
use kube::api::{Api, ApiResource, DynamicObject, WatchEvent, WatchParams};
use kube::core::{GroupVersion, GroupVersionKind};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// What the operator's own snapshot test says that such a stack, called `shop`,
/// consists of.
const RENDERED: &str =
    include_str!("../../../operator/tests/snapshots/render__the_smallest_manifest.snap");

#[tokio::test]
async fn an_empty_spec_becomes_a_running_service() {
    let site = Site::new("smallest").await;
    let expected = expected();
    let mut seen = watch_objects(&site, &expected).await;
    let start = Instant::now();
    site.apply("demo", json!({})).await;
    let mut missing: BTreeSet<_> = expected.iter().map(|(_, name)| name.clone()).collect();
    let creating = async {
        while !missing.is_empty() {
            missing.remove(&seen.recv().await.unwrap());
        }
    };
    let created = tokio::time::timeout(Duration::from_secs(30), creating).await;
    let all = seconds(start);
    assert!(created.is_ok(), "without {missing:?}");
    figure(&format!(
        "apply of spec {{}} to the last of {} objects: {all}",
        expected.len()
    ));

    site.ready("demo").await;
    figure(&format!("apply of spec {{}} to Ready: {}", seconds(start)));
    assert_eq!(site.pods("demo", "api").await.len(), 3);
    assert_eq!(site.pods("demo", "nginx").await.len(), 2);
    assert_table(&site.client, &site.namespace).await;

    let gateway = site.serving("demo").await;
    programs_log_in(&gateway).await;
    browsers_log_in(&gateway).await;
    roles_are_bounded(&site).await;
}

/// The kinds and the names, as `Kind name`, of the stack's objects.
fn expected() -> Vec<(GroupVersionKind, String)> {
    let manifests = RENDERED.split("\n---\n").skip(1);
    let of = |manifest: &str| {
        let field = |start: &str| {
            let mut lines = manifest.lines();
            lines
                .find_map(|line| line.strip_prefix(start))
                .unwrap()
                .to_owned()
        };
        let (version, kind) = (field("apiVersion: "), field("kind: "));
        let version: GroupVersion = version.parse().unwrap();
        let name = format!("{kind} {}", field("  name: ").replacen("shop", "demo", 1));
        (version.with_kind(&kind), name)
    };
    let all: Vec<_> = manifests.map(of).collect();
    assert!(all.len() > 10, "{all:?}");
    all
}

/// A stream of the names of what is created from now on, of these kinds.
async fn watch_objects(
    site: &Site,
    of: &[(GroupVersionKind, String)],
) -> UnboundedReceiver<String> {
    let (send, receive) = unbounded_channel();
    let kinds: HashSet<_> = of.iter().map(|(kind, _)| kind).collect();
    for kind in kinds {
        let resource = ApiResource::from_gvk(kind);
        let objects: Api<DynamicObject> =
            Api::namespaced_with(site.client.clone(), &site.namespace, &resource);
        let (kind, send) = (kind.kind.clone(), send.clone());
        let params = WatchParams::default();
        let events = objects.watch_metadata(&params, "0").await.unwrap();
        tokio::spawn(async move {
            let mut events = std::pin::pin!(events);
            while let Ok(Some(event)) = events.try_next().await {
                if let WatchEvent::Added(object) = event {
                    let _ = send.send(format!("{kind} {}", object.name_any()));
                }
            }
        });
    }
    receive
}

/// What `kubectl get authstack` prints.
async fn assert_table(client: &Client, namespace: &str) {
    let path = format!("/apis/auth.dataviv.com/v1alpha1/namespaces/{namespace}/authstacks/demo");
    let request = http::Request::get(path)
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(Vec::new())
        .unwrap();
    let table: Value = client.request(request).await.unwrap();
    let columns = table["columnDefinitions"].as_array().unwrap();
    let cell = |name: &str| {
        let at = columns.iter().position(|column| column["name"] == name);
        table["rows"][0]["cells"][at.expect(name)].clone()
    };
    assert_eq!(cell("Ready"), "True", "{table}");
    assert_eq!(cell("API"), "3/3", "{table}");
    assert_eq!(cell("Database"), "Ready", "{table}");
    assert_eq!(cell("URL"), format!("http://demo-nginx.{namespace}.svc"));
    assert_eq!(cell("Version"), "0.1.0", "{table}");
}

/// With tokens in JSON and headers.
async fn programs_log_in(gateway: &Gateway) {
    let user = gateway.register().await;
    let first = gateway.login(&user).await;
    let me = gateway.me(&first).await.unwrap();
    assert_eq!((me.status, &me.body["username"]), (200, &json!(user.name)));
    let body = json!({"refresh_token": first.refresh});
    let second = Tokens::of(&gateway.post("/auth/refresh", &body).await.unwrap());
    assert_ne!(first.refresh, second.refresh);
    let logout = gateway.request(Method::POST, "/auth/logout");
    let logout = gateway.send(logout.bearer_auth(&second.access)).await;
    assert_eq!(logout.unwrap().status, 204);
    // At once, on every replica: the next requests meet several of them.
    for _ in 0..6 {
        let me = gateway.without_keepalive().me(&second).await.unwrap();
        assert_eq!(me.status, 401, "{me:?}");
    }
}

/// With cookies alone.
async fn browsers_log_in(gateway: &Gateway) {
    let browser = gateway.browser();
    let user = browser.register().await;
    let login = browser.try_login(&user).await.unwrap();
    for cookie in login.headers.get_all("set-cookie") {
        assert!(cookie.to_str().unwrap().contains("HttpOnly"), "{cookie:?}");
    }
    assert_eq!(browser.get("/auth/user/me").await.unwrap().status, 200);
    for (path, status) in [("/auth/refresh", 200), ("/auth/logout", 204)] {
        let request = browser.request(Method::POST, path);
        assert_eq!(browser.send(request).await.unwrap().status, status);
    }
    assert_eq!(browser.get("/auth/user/me").await.unwrap().status, 401);
}

/// The role that serves cannot change the schema, and no role that is used
/// daily is a superuser.
async fn roles_are_bounded(site: &Site) {
    let psql = async |role: &str, password: &str, sql: &str| {
        let script = format!(
            "PGPASSWORD=$(cat /run/secrets/postgres/{password}) \
             psql -h 127.0.0.1 -U {role} -d authstack -v ON_ERROR_STOP=1 -qAtc \"{sql}\""
        );
        site.exec("demo-postgres-0", &script).await
    };
    let runtime = async |sql: &str| psql("authstack_runtime", "runtime-password", sql).await;
    let owner = async |sql: &str| psql("authstack_owner", "owner-password", sql).await;
    let rows = runtime("SELECT count(*) FROM authstack.users").await;
    assert!(rows.succeeded, "{rows:?}");
    for forbidden in [
        "CREATE TABLE public.mine ()",
        "CREATE TABLE authstack.mine ()",
        "CREATE SCHEMA mine",
        "DROP TABLE authstack.users",
        "ALTER TABLE authstack.users ADD COLUMN mine text",
    ] {
        let refused = runtime(forbidden).await;
        assert!(!refused.succeeded, "{forbidden}: {refused:?}");
        let why = ["permission denied", "must be owner"];
        let said = why.iter().any(|why| refused.output.contains(why));
        assert!(said, "{forbidden}: {refused:?}");
    }
    let made = owner("CREATE TABLE authstack.mine (); DROP TABLE authstack.mine").await;
    assert!(made.succeeded, "{made:?}");
    let powers = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'authstack_%' \
                  AND NOT (rolsuper OR rolcreaterole OR rolcreatedb) ORDER BY 1";
    let plain = owner(powers).await;
    assert_eq!(plain.output.trim(), "authstack_owner\nauthstack_runtime");
}
