//! nginx as the operator configures it, on ports of its own.

use std::fs;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use authstack_operator::args::Images;
use authstack_operator::reconcile::render::render;
use serde::Deserialize as _;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::server::TlsStream;

use super::tls;

/// nginx's configuration for a stack of this spec.
pub(crate) fn rendered(spec: &str) -> String {
    let manifest = format!(
        "apiVersion: auth.dataviv.com/v1alpha1\nkind: AuthStack\nmetadata: {{name: shop, namespace: store}}\nspec: {spec}\n"
    );
    let objects = render(&manifest, &Images::default()).unwrap();
    let documents = serde_yaml::Deserializer::from_str(&objects);
    let mut objects = documents.map(|it| serde_yaml::Value::deserialize(it).unwrap());
    let config = objects.find_map(|object| {
        let text = object.get("data")?.get("nginx.conf")?.as_str()?;
        Some(text.to_owned())
    });
    config.unwrap()
}

/// nginx's binary: `NGINX`, the search path, or Debian's place, which is not on
/// everybody's.
fn nginx() -> PathBuf {
    let given = std::env::var_os("NGINX").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|directory| directory.join("nginx"))
        .find(|file| file.exists());
    given
        .or(usual)
        .expect("these tests need nginx: install it, or set NGINX to its path")
}

/// A file of this text, as a machine without the cluster's names reads it.
struct Config {
    directory: TempDir,
    file: PathBuf,
}

impl Config {
    fn new(text: &str, port: u16, operations: u16, servers: [u16; 3]) -> Self {
        let directory = TempDir::new().unwrap();
        let mut text = text
            .replace("/tmp/", &format!("{}/", directory.path().display()))
            .replace(
                "/dev/stdout",
                &directory.path().join("log").display().to_string(),
            )
            .replace("listen 8080 ", &format!("listen 127.0.0.1:{port} "))
            .replace("listen 8081;", &format!("listen 127.0.0.1:{operations};"));
        let trust = directory.path().join("ca.crt");
        fs::write(&trust, &tls::authority().certificate).unwrap();
        text = text.replace("/run/secrets/api-ca/ca.crt", &trust.display().to_string());
        for server in servers {
            let local = format!("server 127.0.0.1:{server}");
            text = text.replacen("server shop-api.store.svc:8001", &local, 1);
        }
        assert!(!text.contains("server shop-api."), "{text}");
        let file = directory.path().join("nginx.conf");
        fs::write(&file, text).unwrap();
        Self { directory, file }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(nginx());
        command
            .args(["-e", "stderr", "-p"])
            .arg(self.directory.path())
            .arg("-c")
            .arg(&self.file)
            .stdin(Stdio::null());
        command
    }
}

/// Fails unless nginx takes the file.
pub(crate) fn check(text: &str) {
    let config = Config::new(text, free_port(), free_port(), [1, 2, 3]);
    let output = config.command().arg("-t").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !said.contains("[warn]"),
        "{said}"
    );
}

pub(crate) fn free_port() -> u16 {
    let listener = StdListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// What a server in place of the API does with a request.
#[derive(Clone, Copy)]
pub(crate) enum Behaviour {
    /// Answers with this status.
    Answer(u16),
    /// Reads it and closes the connection.
    BreakOff,
    /// Would answer, but is somebody else: its certificate is of another
    /// authority.
    Stranger,
}

/// A server in place of the API, which counts.
pub(crate) struct Backend {
    pub(crate) port: u16,
    requests: Arc<AtomicUsize>,
}

impl Backend {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        let tls = tls::acceptor(matches!(behaviour, Behaviour::Stranger));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, counter) = (tls.clone(), Arc::clone(&counter));
                tokio::spawn(async move {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, behaviour, counter).await;
                    }
                });
            }
        });
        Self { port, requests }
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TlsStream<TcpStream>, behaviour: Behaviour, counter: Arc<AtomicUsize>) {
    while let Some((head, body)) = message(&mut stream).await {
        counter.fetch_add(1, Ordering::SeqCst);
        let Behaviour::Answer(status) = behaviour else {
            return;
        };
        let kind = if head.contains(".css") {
            "text/css"
        } else if head.contains(".js ") || head.contains(".js?") {
            "text/javascript"
        } else if head.contains("/problems/") {
            "text/html"
        } else {
            "application/json"
        };
        let text = if head.lines().next().unwrap().contains("?large") {
            "x".repeat(4096)
        } else {
            "of the API".to_owned()
        };
        let id = Answer::parse(&head, "")
            .header("x-request-id")
            .unwrap_or_default()
            .to_owned();
        let answer = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nX-Body: {body}\r\nX-Seen-Request-Id: {id}\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A head and its body, by Content-Length or up to the end.
async fn message(stream: &mut (impl AsyncRead + Unpin)) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let head_ends = |bytes: &[u8]| bytes.windows(4).position(|it| it == b"\r\n\r\n");
    loop {
        if let Some(at) = head_ends(&bytes) {
            let head = String::from_utf8_lossy(&bytes[..at]).into_owned();
            let parsed = Answer::parse(&head, "");
            let length = parsed
                .header("content-length")
                .and_then(|it| it.parse::<usize>().ok());
            let is_request = !head.starts_with("HTTP/");
            let whole = match length {
                Some(length) => bytes.len() >= at + 4 + length,
                None => is_request,
            };
            if whole {
                let body = String::from_utf8_lossy(&bytes[at + 4..]).into_owned();
                return Some((head, body));
            }
        }
        let mut buffer = vec![0; 16 * 1024];
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&buffer[..read]),
            _ => {
                let at = head_ends(&bytes)?;
                let head = String::from_utf8_lossy(&bytes[..at]).into_owned();
                return Some((head, String::from_utf8_lossy(&bytes[at + 4..]).into_owned()));
            }
        }
    }
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    fn parse(head: &str, body: &str) -> Self {
        let mut lines = head.lines();
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(": "));
        Self {
            status: status.unwrap_or_default(),
            headers: headers
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect(),
            body: body.to_owned(),
        }
    }

    /// The value of a header that stands there once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(is, _)| is == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} twice in {self:?}");
        value
    }
}

/// nginx in front of three servers.
pub(crate) struct Proxy {
    child: Child,
    config: Config,
    port: u16,
    operations: u16,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proxy {
    pub(crate) async fn start(servers: [u16; 3]) -> Self {
        let (port, operations) = (free_port(), free_port());
        let config = Config::new(&rendered("{}"), port, operations, servers);
        let child = config
            .command()
            .args(["-g", "daemon off; master_process off;"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let proxy = Self {
            child,
            config,
            port,
            operations,
        };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", operations)).await.is_err() {
            assert!(
                begun.elapsed() < Duration::from_secs(15),
                "nginx is not there"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        proxy
    }

    /// A client at an address of its own.
    pub(crate) fn client_at(&self, address: &str) -> Client {
        let address = format!("{address}:0").parse().unwrap();
        let port = self.port;
        Client { address, port }
    }

    fn client(port: u16) -> Client {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Client { address, port }
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        Self::client(self.port).send(method, path, body).await
    }

    /// With further header lines.
    pub(crate) async fn with(&self, method: &str, path: &str, lines: &str, body: &str) -> Answer {
        let lines = format!("Connection: close\r\n{lines}");
        Self::client(self.port)
            .with(method, path, &lines, body)
            .await
    }

    /// From a client that would keep its connection.
    pub(crate) async fn kept(&self, method: &str, path: &str, body: &str) -> Answer {
        Self::client(self.port).with(method, path, "", body).await
    }

    pub(crate) async fn raw(&self, bytes: &[u8]) -> Answer {
        Self::client(self.port).raw(bytes).await
    }

    /// At the port of probes and metrics.
    pub(crate) async fn operations(&self, path: &str) -> Answer {
        Self::client(self.operations).send("GET", path, "").await
    }

    /// What the pod's preStop hook does.
    pub(crate) fn begin_to_drain(&self) {
        fs::write(self.config.directory.path().join("draining"), "").unwrap();
    }

    /// The line of the log about a request.
    pub(crate) async fn log_line(&self, id: &str, limit: Duration) -> String {
        let file: &Path = &self.config.directory.path().join("log");
        let begun = Instant::now();
        loop {
            let log = fs::read_to_string(file).unwrap_or_default();
            if let Some(line) = log.lines().find(|line| line.contains(id)) {
                return line.to_owned();
            }
            assert!(begun.elapsed() < limit, "no line about {id}: {log}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// A client that opens a connection for each request.
pub(crate) struct Client {
    address: SocketAddr,
    port: u16,
}

impl Client {
    pub(crate) async fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        self.with(method, path, "Connection: close\r\n", body).await
    }

    async fn with(&self, method: &str, path: &str, lines: &str, body: &str) -> Answer {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: shop.example.com\r\n{lines}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.raw(request.as_bytes()).await
    }

    async fn raw(&self, bytes: &[u8]) -> Answer {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(self.address).unwrap();
        let to = SocketAddr::from(([127, 0, 0, 1], self.port));
        let mut stream = socket.connect(to).await.unwrap();
        // Who is refused for size need not be heard to the end.
        let _ = stream.write_all(bytes).await;
        let (head, body) = message(&mut stream).await.expect("an answer");
        Answer::parse(&head, &body)
    }
}
