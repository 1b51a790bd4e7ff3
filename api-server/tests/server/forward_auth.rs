//! The nginx of `docs/forward-auth.md`, as it stands there, in front of a
//! service that knows nothing of authentication.

use std::{
    fs,
    net::TcpListener as StdListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::Ordering,
    time::Duration,
};

use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::{
    api::{Api, PASSWORD, eventually},
    postgres::Postgres,
};

mod echo;

use echo::Echo;

/// nginx, as the documentation sets it up.
struct Nginx {
    child: Child,
    port: u16,
    client: Client,
    _directory: TempDir,
}

impl Nginx {
    async fn start(binary: &Path, api: &Api, echo: &Echo) -> Self {
        let [server, login_page] = documented();
        // Another host beside the first, with the login page.
        let listen = "listen 8080;";
        let pages = server.split_once("server {").unwrap().1;
        let (_, pages) = pages.split_once(listen).unwrap();
        let pages = format!("server {{ listen 8080; server_name pages.test;\n{login_page}{pages}");
        let directory = TempDir::new().unwrap();
        let at = directory.path().display();
        let port = StdListener::bind(("127.0.0.1", 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let server = format!("{server}{pages}")
            .replace("127.0.0.1:8001", &format!("127.0.0.1:{}", api.port))
            .replace("127.0.0.1:3000", &format!("127.0.0.1:{}", echo.port))
            .replace(listen, &format!("listen 127.0.0.1:{port};"));
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = temporary.map(|name| format!("{name}_temp_path {at}/{name};"));
        let temporary = temporary.join("\n");
        let config = format!(
            "daemon off; master_process off; pid {at}/pid; error_log stderr;\n\
             events {{}}\nhttp {{\naccess_log off;\n{temporary}\n{server}}}\n"
        );
        let file = directory.path().join("nginx.conf");
        fs::write(&file, config).unwrap();
        let child = Command::new(binary)
            .args(["-e", "stderr", "-p"])
            .arg(directory.path())
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        eventually(Duration::from_secs(15), async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .ok()
        })
        .await;
        Self {
            child,
            port,
            client: Client::new(),
            _directory: directory,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn get(&self) -> RequestBuilder {
        self.client.get(self.url("/things?x=1"))
    }

    fn post(&self) -> RequestBuilder {
        self.client.post(self.url("/things")).body("a thing")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// nginx's binary: `NGINX`, the search path, or Debian's place, which is not on
/// everybody's.
fn nginx() -> Option<PathBuf> {
    let given = std::env::var_os("NGINX").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|directory| directory.join("nginx"))
        .find(|file| file.exists());
    let found = given.or(usual);
    let ci = std::env::var_os("CI").is_some();
    assert!(found.is_some() || !ci, "nginx is not installed");
    found
}

/// The configuration that the documentation shows, and what it adds for a login
/// page.
fn documented() -> [String; 2] {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/forward-auth.md");
    let text = fs::read_to_string(file).unwrap();
    let blocks = text.split("```nginx\n").skip(1);
    let blocks: Vec<_> = blocks
        .map(|block| block.split_once("```").unwrap().0.to_owned())
        .collect();
    blocks.try_into().unwrap()
}

/// Gives every user two roles.
async fn give_roles(postgres: &Postgres) {
    let mut connection = PgConnection::connect(&postgres.url()).await.unwrap();
    sqlx::query("UPDATE authstack.users SET roles = '{editor,x}'")
        .execute(&mut connection)
        .await
        .unwrap();
}

async fn echoed(request: RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

/// Headers that a proxy is to set and nobody else.
fn forged(request: RequestBuilder) -> RequestBuilder {
    request
        .header("x-auth-user-id", "0198c5a4-7d3e-7c11-9d33-7b6a5d1f2a10")
        .header("x-auth-session-id", "forged")
        .header("x-auth-roles", "admin")
        .header("x-auth-username", "forged")
}

/// All of it, with somebody who logged in through nginx.
struct Stack {
    nginx: Nginx,
    echo: Echo,
    api: Api,
    postgres: Postgres,
    access: String,
}

impl Stack {
    async fn start() -> Option<Self> {
        let Some(binary) = nginx() else {
            eprintln!("skipped: nginx is not installed");
            return None;
        };
        let postgres = Postgres::migrated().await;
        let api = Api::start(&postgres.url(), &[("TRUSTED_PROXY_HOPS", "1")]).await;
        api.ready().await;
        api.tokens("guybrush").await;
        let echo = Echo::start().await;
        let nginx = Nginx::start(&binary, &api, &echo).await;
        let credentials = json!({"username": "guybrush", "password": PASSWORD});
        let login = nginx.client.post(nginx.url("/auth/login"));
        let tokens: Value = send(login.json(&credentials)).await.json().await.unwrap();
        let access = tokens["access_token"].as_str().unwrap().to_owned();
        Some(Self {
            nginx,
            echo,
            api,
            postgres,
            access,
        })
    }

    fn by_cookie(&self, request: RequestBuilder) -> RequestBuilder {
        request.header("cookie", format!("access_token={}", self.access))
    }

    /// How often the service was asked.
    fn seen(&self) -> usize {
        self.echo.requests.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn nginx_lets_through_who_is_logged_in_and_says_who_it_is() {
    let Some(stack) = Stack::start().await else {
        return;
    };
    let nginx = &stack.nginx;
    // Nobody, whatever they claim to be.
    for request in [
        nginx.get(),
        forged(nginx.get()),
        forged(nginx.post()),
        nginx.get().bearer_auth("x"),
        nginx.get().header("cookie", "access_token=x"),
    ] {
        let refused = send(request).await;
        assert_eq!(refused.status(), 401);
        assert!(refused.headers().contains_key("www-authenticate"));
    }
    // Nor is the question itself anybody's to ask in this way.
    let question = nginx.client.get(nginx.url("/.verify"));
    assert_eq!(send(question).await.status(), 404);
    assert_eq!(stack.seen(), 0);

    let me: Value = stack.api.me(&stack.access).await.json().await.unwrap();
    for request in [
        forged(nginx.get().bearer_auth(&stack.access)),
        forged(stack.by_cookie(nginx.get())),
        stack.by_cookie(nginx.get()),
    ] {
        let echoed = echoed(request).await;
        let headers = &echoed["headers"];
        assert_eq!(headers["x-auth-user-id"], me["id"]);
        assert_eq!(headers["x-auth-username"], "guybrush");
        assert_eq!(headers["x-auth-session-id"].as_str().unwrap().len(), 36);
        // No roles: nginx sends no header for an empty one.
        assert_eq!(headers.get("x-auth-roles"), None);
        assert_eq!(headers.get("authorization"), None, "the token stays here");
    }
    give_roles(&stack.postgres).await;
    let echoed = echoed(nginx.get().bearer_auth(&stack.access)).await;
    assert_eq!(echoed["headers"]["x-auth-roles"], "editor,x");
}

#[tokio::test]
async fn nginx_refuses_what_another_site_would_change_and_who_has_logged_out() {
    let Some(stack) = Stack::start().await else {
        return;
    };
    let nginx = &stack.nginx;
    let own = stack.by_cookie(nginx.post());
    let arrived = echoed(own.header("sec-fetch-site", "same-origin")).await;
    assert_eq!(arrived["method"], "POST");
    assert_eq!(arrived["body"], "a thing");
    // Without fetch metadata, the origin must be the host that was called.
    let origin = nginx.url("");
    let own = stack.by_cookie(nginx.post()).header("origin", origin);
    assert_eq!(send(own).await.status(), 200);

    let before = stack.seen();
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        let foreign = stack.by_cookie(nginx.post()).header(name, value);
        // What a client says of its method and host is not what counts.
        let foreign = foreign
            .header("x-forwarded-method", "GET")
            .header("x-original-method", "GET")
            .header("x-forwarded-host", "evil.example");
        assert_eq!(send(foreign).await.status(), 403, "{name}: {value}");
    }
    assert_eq!(stack.seen(), before);
    let reading = stack.by_cookie(nginx.get());
    let reading = reading.header("sec-fetch-site", "cross-site");
    assert_eq!(send(reading).await.status(), 200);

    let logout = nginx.client.post(nginx.url("/auth/logout"));
    let logout = send(logout.bearer_auth(&stack.access)).await;
    assert_eq!(logout.status(), 204);
    let before = stack.seen();
    for request in [
        nginx.get().bearer_auth(&stack.access),
        stack.by_cookie(nginx.get()),
    ] {
        assert_eq!(send(request).await.status(), 401);
    }
    assert_eq!(stack.seen(), before);
}

#[tokio::test]
async fn nginx_passes_the_services_cookies_on_and_not_the_token() {
    let Some(stack) = Stack::start().await else {
        return;
    };
    let nginx = &stack.nginx;
    let token = stack.access.as_str();
    for (sent, expected) in [
        ("access_token=T", None),
        ("access_token=T; theme=dark", Some("theme=dark")),
        ("theme=dark; access_token=T", Some("theme=dark")),
        (
            "a=1; access_token=T; theme=dark; b=",
            Some("a=1; theme=dark; b="),
        ),
        // As odd as the API takes it.
        ("a=1;\taccess_token\t=\tT ;b=2", Some("a=1;b=2")),
        (" access_token =T;b=2", Some("b=2")),
        // Of this name there may be a leftover from before TLS, or the other way round.
        (
            "__Host-access_token=T; a=1; access_token=T; b=2",
            Some("a=1; b=2"),
        ),
        ("access_token=T; __Host-access_token=T", None),
        // Names that only look alike.
        (
            "my_access_token=1; access_token=T; access_token2=2; x=access_token=3",
            Some("my_access_token=1; access_token2=2; x=access_token=3"),
        ),
    ] {
        let cookies = sent.replace('T', token);
        let echoed = echoed(nginx.get().header("cookie", cookies)).await;
        let arrived = echoed["headers"].get("cookie").and_then(Value::as_str);
        assert_eq!(arrived, expected, "{sent}");
    }
    // By Authorization, the cookies are not even read.
    for (sent, expected) in [
        ("theme=dark", Some("theme=dark")),
        ("__Host-access_token=T; a=1", Some("a=1")),
        ("access_token=T; a=1; access_token=T", None),
        ("a=1; __Host-access_token=T; __Host-access_token=T", None),
    ] {
        let request = nginx.get().bearer_auth(token);
        let cookies = sent.replace('T', token);
        let echoed = echoed(request.header("cookie", cookies)).await;
        let arrived = echoed["headers"].get("cookie").and_then(Value::as_str);
        assert_eq!(arrived, expected, "{sent}");
    }
}

#[tokio::test]
async fn nginx_shows_the_services_login_page_to_whoever_is_not_logged_in() {
    let Some(stack) = Stack::start().await else {
        return;
    };
    let at_pages = |request: RequestBuilder| request.header("host", "pages.test");
    let cookies = "access_token=x; theme=dark";
    let stranger = forged(at_pages(stack.nginx.get())).header("cookie", cookies);
    let refused = send(stranger).await;
    assert_eq!(refused.status(), 401);
    let page: Value = refused.json().await.unwrap();
    assert_eq!(page["headers"]["cookie"], "theme=dark");
    let names = page["headers"].as_object().unwrap().keys();
    let names: Vec<_> = names.filter(|name| name.starts_with("x-auth-")).collect();
    assert!(names.is_empty(), "{names:?}");

    let known = at_pages(stack.by_cookie(stack.nginx.get()));
    assert_eq!(
        echoed(known).await["headers"]["x-auth-username"],
        "guybrush"
    );
    // A refusal of AuthStack itself stays what it is.
    let login = stack.nginx.client.post(stack.nginx.url("/auth/login"));
    let credentials = json!({"username": "guybrush", "password": "not the password"});
    let refused = send(at_pages(login.json(&credentials))).await;
    assert_eq!(refused.status(), 401);
    assert_eq!(
        refused.headers()["content-type"],
        "application/problem+json"
    );
}
