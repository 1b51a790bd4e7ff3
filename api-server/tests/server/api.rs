//! The binary, started and watched.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use reqwest::{Certificate, Client, ClientBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const PASSWORD: &str = "securepass";
/// Nothing listens there.
pub(crate) const NO_DATABASE: &str = "postgres://nobody@127.0.0.1:1/nothing";

/// How the identifiers of the requests begin that only mark a place in the log.
const PLACE: &str = "place-in-the-log-";

/// The binary with nothing inherited but what is given here.
pub(crate) fn command(arguments: &[&str], variables: &[(&str, &str)], directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_authstack-api"));
    command
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .current_dir(directory);
    command
}

/// The same, started by a launcher such as a shell with limits.
fn under(
    launcher: &[&str],
    arguments: &[&str],
    variables: &[(&str, &str)],
    directory: &Path,
) -> Command {
    let Some((program, words)) = launcher.split_first() else {
        return command(arguments, variables, directory);
    };
    let mut command = Command::new(program);
    command
        .args(words)
        .arg(env!("CARGO_BIN_EXE_authstack-api"))
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .current_dir(directory);
    command
}

/// A connection that nothing was sent on for so long is not used again: the
/// server closes it after thirty seconds, and a request that crosses this on
/// its way would fail through nobody's fault.
const REUSED_FOR: Duration = Duration::from_secs(10);

/// A client that does without TLS, and so without reading the system's
/// authorities first.
pub(crate) fn http_client() -> ClientBuilder {
    Client::builder()
        .tls_certs_only([])
        .pool_idle_timeout(REUSED_FOR)
}

/// Runs the binary to its end.
pub(crate) fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let directory = TempDir::new().unwrap();
    command(arguments, variables, directory.path())
        .output()
        .unwrap()
}

/// Calls `attempt` until it gives something, for at most `patience`.
pub(crate) async fn eventually<T>(
    patience: Duration,
    mut attempt: impl AsyncFnMut() -> Option<T>,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = attempt().await {
            return value;
        }
        assert!(started.elapsed() < patience, "not within {patience:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A running `serve`.
pub(crate) struct Api {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<thread::JoinHandle<()>>,
    pub(crate) client: Client,
    /// Whom its clients trust, where they speak TLS with it.
    authority: Option<Certificate>,
    pub(crate) port: u16,
    pub(crate) metrics_port: u16,
    _directory: TempDir,
}

impl Api {
    /// Starts `serve` on free ports and waits until it listens.
    pub(crate) async fn start(database_url: &str, variables: &[(&str, &str)]) -> Self {
        Self::start_with_dotenv(database_url, variables, "").await
    }

    /// The same by another program, which must become the server.
    pub(crate) async fn start_under(
        launcher: &[&str],
        database_url: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        Self::launch(launcher, database_url, variables, "").await
    }

    pub(crate) async fn start_with_dotenv(
        database_url: &str,
        variables: &[(&str, &str)],
        dotenv: &str,
    ) -> Self {
        Self::launch(&[], database_url, variables, dotenv).await
    }

    async fn launch(
        launcher: &[&str],
        database_url: &str,
        variables: &[(&str, &str)],
        dotenv: &str,
    ) -> Self {
        let directory = TempDir::new().unwrap();
        std::fs::write(directory.path().join(".env"), dotenv).unwrap();
        let all = [
            &[
                ("DATABASE_URL", database_url),
                ("SECRET_KEY", SECRET),
                ("PORT", "0"),
                ("METRICS_PORT", "0"),
                ("LISTEN_ADDRESS", "127.0.0.1"),
                ("RATE_LIMITS", "off"),
            ],
            variables,
        ]
        .concat();
        let mut child = under(launcher, &["serve"], &all, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let output = BufReader::new(child.stdout.take().unwrap());
        let reader = thread::spawn({
            let lines = Arc::clone(&lines);
            move || {
                for line in output.lines() {
                    lines.lock().unwrap().push(line.unwrap());
                }
            }
        });
        let mut api = Self {
            child,
            lines,
            reader: Some(reader),
            client: http_client().build().unwrap(),
            authority: None,
            port: 0,
            metrics_port: 0,
            _directory: directory,
        };
        let listening = api.logged("listening").await;
        let port = |name: &str| {
            let address = listening[name].as_str().unwrap();
            address.rsplit(':').next().unwrap().parse().unwrap()
        };
        (api.port, api.metrics_port) = (port("address"), port("metrics_address"));
        api
    }

    /// The first log line that is so, once it is there.
    pub(crate) async fn logged_line(&self, is_so: impl Fn(&Value) -> bool) -> Value {
        eventually(Duration::from_secs(15), async || {
            self.lines_read().into_iter().find(&is_so)
        })
        .await
    }

    /// The first log line with this message, once it is there.
    pub(crate) async fn logged(&self, message: &str) -> Value {
        self.logged_line(|line| line["message"] == message).await
    }

    /// The whole log up to now. The lines of requests that only mark a place
    /// in it are left out.
    pub(crate) async fn log(&self) -> Vec<Value> {
        self.read_up_to_now().await;
        let is_mark = |line: &Value| {
            let id = line["request_id"].as_str();
            id.is_some_and(|id| id.starts_with(PLACE))
        };
        let lines = self.lines_read().into_iter();
        lines.filter(|line| !is_mark(line)).collect()
    }

    /// Everything that was printed up to now, as it was printed.
    pub(crate) async fn printed(&self) -> String {
        self.read_up_to_now().await;
        self.lines.lock().unwrap().join("\n")
    }

    /// Waits until all is read that the server has logged by now. A thread of
    /// the server's writes its lines and one of ours reads them, in order: once
    /// the line of a request that is made now is there, so is all before it.
    async fn read_up_to_now(&self) {
        static MARKS: AtomicUsize = AtomicUsize::new(0);
        if self.reader.is_none() {
            // It has ended, and its log was read to the end.
            return;
        }
        let id = format!("{PLACE}{}", MARKS.fetch_add(1, Ordering::Relaxed));
        let call = self.client.get(self.url("/")).header("x-request-id", &id);
        assert_eq!(call.send().await.unwrap().status(), 200);
        self.logged_line(|line| line["request_id"] == id).await;
    }

    /// The lines that happen to have been read.
    fn lines_read(&self) -> Vec<Value> {
        let lines = self.lines.lock().unwrap();
        let parse = |line: &String| serde_json::from_str(line).expect("every line is JSON");
        lines.iter().map(parse).collect()
    }

    /// From now on its clients speak TLS with it, and trust this authority.
    pub(crate) fn trust(&mut self, authority: &str) {
        self.authority = Some(Certificate::from_pem(authority.as_bytes()).unwrap());
        self.client = self.new_client().build().unwrap();
    }

    /// A client with connections of its own.
    pub(crate) fn new_client(&self) -> ClientBuilder {
        http_client().tls_certs_only(self.authority.clone())
    }

    pub(crate) fn url(&self, path: &str) -> String {
        let scheme = if self.authority.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://127.0.0.1:{}{path}", self.port)
    }

    /// Its figures, by a connection that cannot have grown old.
    pub(crate) async fn metrics(&self) -> String {
        let url = format!("http://127.0.0.1:{}/metrics", self.metrics_port);
        let client = http_client().build().unwrap();
        let answer = client.get(url).send().await.unwrap();
        answer.text().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    /// The status of an answer over a connection of its own, if one comes.
    pub(crate) async fn get_with_a_new_connection(&self, path: &str) -> Option<u16> {
        let client = self.new_client().build().unwrap();
        let answer = client.get(self.url(path)).send().await;
        Some(answer.ok()?.status().as_u16())
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        let call = self.client.post(self.url(path)).json(body);
        call.send().await.unwrap()
    }

    pub(crate) async fn me(&self, access: &str) -> Response {
        let call = self.client.get(self.url("/auth/user/me"));
        call.bearer_auth(access).send().await.unwrap()
    }

    pub(crate) async fn probe(&self, path: &str) -> u16 {
        let url = format!("http://127.0.0.1:{}{path}", self.metrics_port);
        let call = self.client.get(url).send().await;
        call.unwrap().status().as_u16()
    }

    pub(crate) async fn ready(&self) {
        eventually(Duration::from_secs(15), async || {
            (self.probe("/readyz").await == 200).then_some(())
        })
        .await;
    }

    /// Registers a user and gives a pair of tokens.
    pub(crate) async fn tokens(&self, username: &str) -> (String, String) {
        let account = json!({
            "username": username, "email": format!("{username}@example.com"), "password": PASSWORD,
        });
        assert_eq!(self.post("/auth/register", &account).await.status(), 201);
        self.login(username).await
    }

    pub(crate) async fn login(&self, username: &str) -> (String, String) {
        let credentials = json!({"username": username, "password": PASSWORD});
        let answer = self.post("/auth/login", &credentials).await;
        assert_eq!(answer.status(), 200);
        let body: Value = answer.json().await.unwrap();
        let token = |name: &str| body[name].as_str().unwrap().to_owned();
        (token("access_token"), token("refresh_token"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The memory that the process has in use (`VmRSS`).
    pub(crate) fn resident_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let mut lines = status.lines();
        let line = lines.find(|line| line.starts_with("VmRSS:")).unwrap();
        let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib / 1024.0
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits for the process to end, and gives its whole log.
    pub(crate) async fn ended(&mut self, patience: Duration) -> (ExitStatus, Vec<Value>) {
        let status = eventually(patience, async || self.child.try_wait().unwrap()).await;
        self.reader.take().unwrap().join().unwrap();
        (status, self.lines_read())
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All that a pipe gives.
pub(crate) fn read_all(mut from: impl Read) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).unwrap();
    text
}
