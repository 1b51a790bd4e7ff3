//! A real browser that reaches nothing but this machine, driven by the Chrome
//! DevTools protocol.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use crate::api::eventually;

/// How long a page may take to get where it should.
const PATIENCE: Duration = Duration::from_secs(30);

/// A browser with one page.
pub(crate) struct Browser {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The page, in the words of the protocol.
    session: Value,
    calls: u64,
    /// What the page's console said: messages, errors, breaches of its policy.
    pub(crate) console: Vec<String>,
    /// Every address that the page asked for.
    pub(crate) requests: Vec<String>,
    child: Child,
    _profile: TempDir,
}

impl Browser {
    /// Starts one, if there is one: outside CI, a machine may lack it.
    pub(crate) async fn start() -> Option<Self> {
        let Some(binary) = installed() else {
            let ci = std::env::var_os("CI").is_some();
            assert!(!ci, "chromium is not installed");
            eprintln!("skipped: chromium is not installed");
            return None;
        };
        let profile = TempDir::new().unwrap();
        let child = Command::new(binary)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu"])
            .args(["--no-first-run", "--disable-sync", "--disable-dev-shm-usage"])
            .args(["--disable-background-networking", "--disable-component-update"])
            // Every name but the server's own leads nowhere.
            .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(["--window-size=1280,2000", "--remote-debugging-port=0"])
            .arg("about:blank")
            // It is many processes, which are to end together.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let address = profile.path().join("DevToolsActivePort");
        let address = eventually(PATIENCE, async || {
            let text = fs::read_to_string(&address).ok()?;
            let (port, path) = text.trim().split_once('\n')?;
            Some(format!("ws://127.0.0.1:{port}{path}"))
        })
        .await;
        let (socket, _) = connect_async(address).await.unwrap();
        let mut browser = Self {
            socket,
            session: Value::Null,
            calls: 0,
            console: Vec::new(),
            requests: Vec::new(),
            child,
            _profile: profile,
        };
        let target = json!({"url": "about:blank"});
        let target = browser.call("Target.createTarget", target).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", attach).await;
        browser.session = attached["sessionId"].clone();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({})).await;
        }
        Some(browser)
    }

    /// Opens an address.
    pub(crate) async fn open(&mut self, url: &str) {
        let opened = self.call("Page.navigate", json!({"url": url})).await;
        assert!(opened.get("errorText").is_none(), "{url}: {opened}");
        self.until("document.readyState === 'complete'").await;
    }

    /// What an expression gives in the page.
    pub(crate) async fn evaluate(&mut self, expression: &str) -> Value {
        let what = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let result = self.call("Runtime.evaluate", what).await;
        assert!(
            result.get("exceptionDetails").is_none(),
            "{expression}: {result}"
        );
        result["result"]["value"].clone()
    }

    /// Waits until an expression is true in the page.
    pub(crate) async fn until(&mut self, expression: &str) {
        let started = std::time::Instant::now();
        while self.evaluate(&format!("Boolean({expression})")).await != json!(true) {
            if started.elapsed() > PATIENCE {
                let text = self.evaluate("document.body.innerText").await;
                let text = text.as_str().unwrap_or_default();
                unreachable!("never true: {expression}\n{:#?}\n{text}", self.console);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Clicks on the one element that a selector finds, once it is there.
    pub(crate) async fn click(&mut self, selector: &str) {
        let found = format!("document.querySelectorAll({}).length", json!(selector));
        self.until(&found).await;
        assert_eq!(self.evaluate(&found).await, json!(1), "{selector}");
        let click = format!("document.querySelector({}).click()", json!(selector));
        self.evaluate(&click).await;
    }

    /// Types into a field, as a person would.
    pub(crate) async fn type_into(&mut self, selector: &str, text: &str) {
        let field = format!("document.querySelector({})", json!(selector));
        self.until(&field).await;
        self.evaluate(&format!("{field}.focus()")).await;
        self.call("Input.insertText", json!({"text": text})).await;
    }

    /// Forgets every cookie.
    pub(crate) async fn clear_cookies(&mut self) {
        self.call("Network.clearBrowserCookies", json!({})).await;
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let mut message = json!({"id": id, "method": method, "params": params});
        if !self.session.is_null() {
            message["sessionId"] = self.session.clone();
        }
        let message = Message::text(message.to_string());
        self.socket.send(message).await.unwrap();
        loop {
            let answer = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            let answer = answer.expect("the browser answers").unwrap().unwrap();
            let Message::Text(text) = answer else {
                continue;
            };
            let mut answer: Value = serde_json::from_str(&text).unwrap();
            if answer["id"] == id {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].take();
            }
            self.hear(&answer);
        }
    }

    fn hear(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str() {
            Some("Runtime.consoleAPICalled") => self.console.push(params["args"].to_string()),
            Some("Runtime.exceptionThrown") => {
                self.console.push(params["exceptionDetails"].to_string());
            }
            // The browser's advice to authors of pages is no error.
            Some("Log.entryAdded") if params["entry"]["level"] == "verbose" => {}
            Some("Log.entryAdded") => self.console.push(params["entry"].to_string()),
            Some("Network.requestWillBeSent") => {
                let url = params["request"]["url"].as_str().unwrap();
                self.requests.push(url.to_owned());
            }
            _ => {}
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

/// The browser: `CHROMIUM`, or one of its usual names on the search path.
fn installed() -> Option<PathBuf> {
    let given = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let usual = std::env::split_paths(&path)
        .flat_map(|directory| names.map(|name| directory.join(name)))
        .find(|file| file.exists());
    given.or(usual)
}
