//! Two replicas: who leads, and what the other one does.

use std::time::{Duration, Instant};

use authstack_crds::AuthStack;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Client, Config,
    api::{Api, ListParams},
};

use super::audit::{Audit, Request};
use super::operator::{Operator, apply_stack};
use super::support::{account::replica_kubeconfig, define, eventually, in_namespace};

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
async fn a_leader_that_is_killed_is_replaced_within_the_lease() {
    in_namespace("process", |config, namespace| async move {
        define(&config).await;
        let first = Operator::start(&namespace, "a", &[]);
        eventually("a leads", Duration::from_secs(20), async || first.leads()).await;
        let second = Operator::start(&namespace, "b", &[]);
        eventually("b is ready", Duration::from_secs(20), async || {
            second.is_ready()
        })
        .await;
        first.signal("KILL");
        // The Lease lasts for 15 s after the last renewal that b saw, and b looks
        // once a second.
        eventually("b leads", Duration::from_secs(18), async || second.leads()).await;
    })
    .await;
}

/// How many stacks keep a leader busy for longer than a test needs to stop it.
const MANY: usize = 30;

#[tokio::test]
async fn a_leader_stopped_in_the_middle_of_work_writes_nothing_when_it_wakes_up_too_late() {
    in_namespace("fence", |config, namespace| async move {
        let Some(mut audit) = Audit::open() else {
            return;
        };
        define(&config).await;
        let [a, b] = [
            replica_kubeconfig(&config, &namespace, "replica-a").await,
            replica_kubeconfig(&config, &namespace, "replica-b").await,
        ];
        let first = Operator::start(&namespace, "a", &[("KUBECONFIG", a.path())]);
        eventually("a leads", Duration::from_secs(20), async || first.leads()).await;
        let second = Operator::start(&namespace, "b", &[("KUBECONFIG", b.path())]);
        eventually("b is ready", Duration::from_secs(20), async || {
            second.is_ready()
        })
        .await;
        for number in 0..MANY {
            apply_stack(&config, &namespace, &format!("shop-{number}"), "{}").await;
        }
        eventually("a is at work", Duration::from_secs(20), async || {
            first.value("authstack_reconciles_in_flight") >= Some(8.0)
        })
        .await;
        first.signal("STOP");
        assert!(
            deployments(&config, &namespace).await < 2 * MANY,
            "a was done"
        );
        eventually("b leads", Duration::from_secs(25), async || second.leads()).await;
        eventually("b has done the work", Duration::from_mins(3), async || {
            deployments(&config, &namespace).await == 2 * MANY
        })
        .await;
        second.rests(Duration::from_secs(2)).await;
        audit.skip();
        let before = versions(&config, &namespace).await;

        first.signal("CONT");
        eventually("a answers", Duration::from_secs(5), async || {
            first.get("/livez").is_some()
        })
        .await;
        // Longer than a write may take, and than b takes to mend anything.
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert!(!first.leads());
        let of_a = format!("system:serviceaccount:{namespace}:replica-a");
        let writes = audit
            .requests()
            .into_iter()
            .filter(|one| one.user == of_a && one.writes());
        let (elections, writes): (Vec<_>, Vec<_>) =
            writes.partition(|one| one.uri.contains("/leases/"));
        assert!(
            elections.iter().all(|one| one.code == 409),
            "{elections:#?}"
        );
        // What had begun is a create of what b has created meanwhile, or an apply
        // of what b has applied: each of the sixteen reconciles sends one request
        // at a time, and none of them changes anything.
        assert!(writes.len() <= 16, "{writes:#?}");
        assert!(writes.iter().all(Request::is_idempotent), "{writes:#?}");
        eprintln!("figure: {} writes had begun before the stop", writes.len());
        assert_eq!(versions(&config, &namespace).await, before);
    })
    .await;
}

async fn deployments(config: &Config, namespace: &str) -> usize {
    let client = Client::try_from(config.clone()).unwrap();
    let deployments = Api::<Deployment>::namespaced(client, namespace);
    let list = deployments.list_metadata(&ListParams::default()).await;
    list.unwrap().items.len()
}

/// The generations of everything that could have been written with other content.
async fn versions(config: &Config, namespace: &str) -> Vec<(Option<String>, Option<i64>)> {
    let client = Client::try_from(config.clone()).unwrap();
    let (stacks, deployments) = (
        Api::<AuthStack>::namespaced(client.clone(), namespace),
        Api::<Deployment>::namespaced(client, namespace),
    );
    let params = ListParams::default();
    let stacks = stacks.list_metadata(&params).await.unwrap().items;
    let deployments = deployments.list_metadata(&params).await.unwrap().items;
    let of_stacks = stacks.into_iter().map(|one| one.metadata);
    let metadata = of_stacks.chain(deployments.into_iter().map(|one| one.metadata));
    metadata.map(|one| (one.uid, one.generation)).collect()
}
