//! The binary as a process: signals, probes, exit codes, and two of them on one
//! API server with the timing of production.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use support::{define, eventually, in_namespace};

const BINARY: &str = env!("CARGO_BIN_EXE_authstack-operator");

/// A running operator, which is killed when it goes out of scope.
struct Operator {
    child: Child,
    port: u16,
}

impl Operator {
    /// `run` in a namespace of its own, beside the variables given.
    fn start(namespace: &str, name: &str, variables: &[(&str, &str)]) -> Self {
        let port = free_port();
        let child = Command::new(BINARY)
            .arg("run")
            .env("HEALTH_PORT", port.to_string())
            .env("POD_NAMESPACE", namespace)
            .env("WATCH_NAMESPACES", namespace)
            .env("POD_NAME", name)
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, port }
    }

    /// Status and body of a probe; nothing while it does not answer.
    fn get(&self, path: &str) -> Option<(u16, String)> {
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

    fn leads(&self) -> bool {
        self.get("/metrics")
            .is_some_and(|(_, text)| text.lines().any(|line| line == "authstack_leader 1"))
    }

    fn is_ready(&self) -> bool {
        self.get("/readyz").is_some_and(|(status, _)| status == 200)
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(status.unwrap().success());
    }

    async fn exit(mut self, limit: Duration) -> ExitStatus {
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

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn a_leader_that_is_told_to_end_hands_over_and_exits_clean() {
    in_namespace("process", |config, namespace| async move {
        define(&config).await;
        let first = Operator::start(&namespace, "a", &[]);
        eventually("a leads", Duration::from_secs(20), async || first.leads()).await;
        let second = Operator::start(&namespace, "b", &[]);
        eventually("b is ready", Duration::from_secs(20), async || {
            second.is_ready()
        })
        .await;
        assert!(first.is_ready());
        assert!(!second.leads());
        assert_eq!(second.get("/livez").unwrap().0, 200);

        let begin = Instant::now();
        first.signal("TERM");
        let status = first.exit(Duration::from_secs(5)).await;
        assert_eq!(status.code(), Some(0));
        eventually("b leads", Duration::from_secs(3), async || second.leads()).await;
        assert!(
            begin.elapsed() < Duration::from_secs(4),
            "{:?}",
            begin.elapsed()
        );
    })
    .await;
}

/// Whatever it is waiting for, it has nothing to finish.
#[tokio::test]
async fn a_leader_that_is_told_to_end_while_it_begins_ends_at_once() {
    in_namespace("process", |config, namespace| async move {
        define(&config).await;
        for delay in [0, 20, 60, 200] {
            let operator = Operator::start(&namespace, "a", &[]);
            eventually("it leads", Duration::from_secs(20), async || {
                operator.leads()
            })
            .await;
            tokio::time::sleep(Duration::from_millis(delay)).await;
            operator.signal("TERM");
            let status = operator.exit(Duration::from_secs(3)).await;
            assert_eq!(status.code(), Some(0), "after {delay} ms");
        }
    })
    .await;
}

#[tokio::test]
async fn a_leader_that_was_frozen_wakes_up_without_its_office() {
    in_namespace("process", |config, namespace| async move {
        define(&config).await;
        let first = Operator::start(&namespace, "a", &[]);
        eventually("a leads", Duration::from_secs(20), async || first.leads()).await;
        let second = Operator::start(&namespace, "b", &[]);
        eventually("b is ready", Duration::from_secs(20), async || {
            second.is_ready()
        })
        .await;

        first.signal("STOP");
        let begin = Instant::now();
        eventually("b leads", Duration::from_secs(25), async || second.leads()).await;
        // The Lease lasts for 15 s from the last renewal, at most 6 s earlier.
        assert!(
            begin.elapsed() > Duration::from_secs(8),
            "{:?}",
            begin.elapsed()
        );
        first.signal("CONT");
        let begin = Instant::now();
        eventually("a answers", Duration::from_secs(5), async || {
            first.get("/livez").is_some()
        })
        .await;
        while begin.elapsed() < Duration::from_secs(4) {
            assert!(!first.leads());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(second.leads());
        assert_eq!(first.get("/livez").unwrap().0, 200);
    })
    .await;
}

#[tokio::test]
async fn without_an_api_server_it_is_alive_and_not_ready() {
    let file = std::env::temp_dir().join(format!("authstack-nowhere-{}", std::process::id()));
    let port = free_port();
    let kubeconfig = format!(
        "{{apiVersion: v1, kind: Config, current-context: a, \
         contexts: [{{name: a, context: {{cluster: a, user: a}}}}], \
         clusters: [{{name: a, cluster: {{server: 'http://127.0.0.1:{port}'}}}}], \
         users: [{{name: a, user: {{}}}}]}}"
    );
    std::fs::write(&file, kubeconfig).unwrap();
    let path = file.to_str().unwrap();
    let operator = Operator::start("nowhere", "a", &[("KUBECONFIG", path)]);
    eventually("it answers", Duration::from_secs(20), async || {
        operator.get("/livez").is_some()
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(operator.get("/livez").unwrap().0, 200);
    let (status, reason) = operator.get("/readyz").unwrap();
    assert_eq!(status, 503);
    assert!(reason.contains("has not answered"), "{reason}");
    assert!(!operator.leads());

    operator.signal("TERM");
    let status = operator.exit(Duration::from_secs(10)).await;
    std::fs::remove_file(&file).unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn what_cannot_start_says_why_in_one_line() {
    support::config().await;
    let taken = TcpListener::bind(("::", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let kubeconfig = "/nonexistent/kubeconfig";
    let server = std::env::var("KUBECONFIG").unwrap();
    for (variables, code, words) in [
        (vec![("HEALTH_PORT", "many")], 2, "HEALTH_PORT"),
        (vec![("LOG_LEVEL", "loud")], 2, "LOG_LEVEL"),
        (vec![("WATCH_NAMESPACES", "a b")], 2, "WATCH_NAMESPACES"),
        (
            vec![("KUBECONFIG", kubeconfig)],
            1,
            "no cluster to connect to",
        ),
        (
            vec![("KUBECONFIG", server.as_str()), ("HEALTH_PORT", &port)],
            1,
            "HEALTH_PORT",
        ),
    ] {
        let output = Command::new(BINARY)
            .arg("run")
            .env_remove("KUBERNETES_SERVICE_HOST")
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{variables:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn crd_prints_the_committed_definition() {
    let output = Command::new(BINARY).arg("crd").output().unwrap();
    assert!(output.status.success());
    let committed = include_str!("../../crds/authstacks.yaml");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), committed);
}
