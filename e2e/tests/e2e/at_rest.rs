//! When nothing happens, the operator does nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::time::Duration;

use authstack_e2e::{Site, figure, small};
use serde_json::{Value, json};

const OPERATOR: &str = "system:serviceaccount:authstack-system:authstack-operator";

#[tokio::test]
async fn at_rest_the_operator_writes_nothing_but_lease_renewals() {
    let Ok(path) = std::env::var("AUTHSTACK_AUDIT_LOG") else {
        assert!(
            std::env::var_os("CI").is_none(),
            "AUTHSTACK_AUDIT_LOG must name the API server's audit log"
        );
        figure("at rest: NOT TESTED, AUTHSTACK_AUDIT_LOG names no audit log of the API server");
        return;
    };
    let site = Site::alone("at-rest").await;
    site.apply("shop", small(json!({}))).await;
    site.serving("shop").await;
    // The last of what made it Ready, such as events, is written.
    tokio::time::sleep(Duration::from_secs(5)).await;

    let mut log = File::open(&path).expect(&path);
    let start = log.seek(SeekFrom::End(0)).unwrap();
    tokio::time::sleep(Duration::from_mins(1)).await;
    let length = std::fs::metadata(&path).unwrap().len();
    assert!(length > start, "the audit log was rotated, or is dead");

    let mut writes = BTreeMap::<String, usize>::new();
    let mut reads = 0;
    for line in BufReader::new(log).lines() {
        // The last line may be half written.
        let Ok(event) = serde_json::from_str::<Value>(&line.unwrap()) else {
            continue;
        };
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or("");
        if text("/user/username") != OPERATOR {
            continue;
        }
        let verb = text("/verb");
        if ["get", "list", "watch"].contains(&verb) {
            reads += 1;
        } else {
            let what = format!("{verb} {}", text("/requestURI"));
            let namespace = text("/objectRef/namespace");
            // Somebody else may be running these tests on this cluster.
            if !namespace.starts_with("e2e-") || namespace == site.namespace {
                *writes.entry(what).or_default() += 1;
            }
        }
    }
    let lease = "/apis/coordination.k8s.io/v1/namespaces/authstack-system/leases/";
    let (renewals, others): (Vec<_>, Vec<_>) =
        writes.iter().partition(|(what, _)| what.contains(lease));
    let renewals: usize = renewals.into_iter().map(|(_, count)| count).sum();
    figure(&format!(
        "at rest for 60 s: {renewals} Lease renewals, {} other writes, {reads} reads",
        others.len()
    ));
    assert!(others.is_empty(), "{others:#?}");
    assert!((1..=13).contains(&renewals), "{renewals} renewals");
}
