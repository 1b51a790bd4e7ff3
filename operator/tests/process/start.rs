//! How it starts, or says why it does not.

use std::{net::TcpListener, process::Command, time::Duration};

use super::operator::{BINARY, Operator, free_port};
use super::support::{self, eventually};

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
    let committed = include_str!("../../../crds/authstacks.yaml");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), committed);
}
