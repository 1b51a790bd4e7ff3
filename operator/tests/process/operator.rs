//! A running operator, as whoever runs it sees it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use authstack_crds::AuthStack;
use kube::{
    Client, Config,
    api::{Api, Patch, PatchParams},
};
use serde_json::{Value, json};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_authstack-operator");

/// A running operator, which is killed when it goes out of scope.
pub(crate) struct Operator {
    child: Child,
    port: u16,
    log: Arc<Mutex<Vec<String>>>,
}

impl Operator {
    /// `run` in a namespace of its own, beside the variables given.
    pub(crate) fn start(namespace: &str, name: &str, variables: &[(&str, &str)]) -> Self {
        let port = free_port();
        let mut child = Command::new(BINARY)
            .arg("run")
            .env("HEALTH_PORT", port.to_string())
            .env("POD_NAMESPACE", namespace)
            .env("WATCH_NAMESPACES", namespace)
            .env("POD_NAME", name)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::<Mutex<Vec<String>>>::default();
        let (lines, keep) = (
            BufReader::new(child.stdout.take().unwrap()),
            Arc::clone(&log),
        );
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                keep.lock().unwrap().push(line);
            }
        });
        Self { child, port, log }
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> Vec<Value> {
        let lines = self.log.lock().unwrap();
        let parse = |line: &String| serde_json::from_str(line).expect(line);
        lines.iter().map(parse).collect()
    }

    /// The value of a series, such as `authstack_leader`.
    pub(crate) fn value(&self, series: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics")?;
        let mut lines = text.lines();
        let found = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        found.parse().ok()
    }

    /// The sum of a family's series, of those that hold all of `labels`.
    pub(crate) fn sum(&self, family: &str, labels: &[&str]) -> f64 {
        let (_, text) = self.get("/metrics").unwrap_or_default();
        let of_family = text.lines().filter_map(|line| line.strip_prefix(family));
        of_family
            .filter_map(|line| line.strip_prefix('{')?.rsplit_once("} "))
            .filter(|(found, _)| labels.iter().all(|label| found.contains(label)))
            .map(|(_, value)| value.parse::<f64>().unwrap())
            .sum()
    }

    /// Waits until it has written nothing for so long.
    pub(crate) async fn rests(&self, quiet: Duration) {
        let of_election = ["resource=\"leases\""];
        let writes = || {
            let all = self.sum("authstack_writes_total", &[]);
            all - self.sum("authstack_writes_total", &of_election)
        };
        let (mut last, mut since) = (writes(), Instant::now());
        while since.elapsed() < quiet {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = writes();
            if (now - last).abs() > 0.5 {
                (last, since) = (now, Instant::now());
            }
        }
    }

    /// Status and body of a probe; nothing while it does not answer.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        )
        .ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    pub(crate) fn leads(&self) -> bool {
        self.get("/metrics")
            .is_some_and(|(_, text)| text.lines().any(|line| line == "authstack_leader 1"))
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.get("/readyz").is_some_and(|(status, _)| status == 200)
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(status.unwrap().success());
    }

    pub(crate) async fn exit(mut self, limit: Duration) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begin.elapsed() < limit, "still running after {limit:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Applies a stack as somebody other than the operator.
pub(crate) async fn apply_stack(config: &Config, namespace: &str, name: &str, spec: &str) {
    let client = Client::try_from(config.clone()).unwrap();
    let stacks = Api::<AuthStack>::namespaced(client, namespace);
    let stack = json!({
        "apiVersion": "auth.dataviv.com/v1alpha1",
        "kind": "AuthStack",
        "metadata": {"name": name},
        "spec": serde_json::from_str::<Value>(spec).unwrap(),
    });
    let params = PatchParams::apply("kubectl").force();
    stacks
        .patch(name, &params, &Patch::Apply(&stack))
        .await
        .unwrap();
}
