//! What tools make of the status: `kubectl wait`, and Flux and Argo CD by the
//! rules of kstatus.

use authstack_crds::ConditionType;
use serde_json::{Value, json};

use super::fake::failure;
use super::stage::Stage;

/// What kstatus says of an object with conditions (`Compute` in cli-utils'
/// pkg/kstatus/status, in its order).
fn kstatus(object: &Value) -> &'static str {
    let is = |kind: &str, status: &str| {
        let conditions = object["status"]["conditions"].as_array();
        let mut conditions = conditions.into_iter().flatten();
        conditions.any(|one| one["type"] == kind && one["status"] == status)
    };
    let observed = &object["status"]["observedGeneration"];
    let is_behind = observed.is_i64() && *observed != object["metadata"]["generation"];
    if object["metadata"]["deletionTimestamp"].is_string() {
        "Terminating"
    } else if is_behind || is("Reconciling", "True") {
        "InProgress"
    } else if is("Stalled", "True") {
        "Failed"
    } else if is("Ready", "False") || is("Ready", "Unknown") {
        "InProgress"
    } else {
        "Current"
    }
}

/// Whether `kubectl wait --for=condition=KIND` returns: the condition's own
/// generation counts, else the status's.
fn wait(object: &Value, kind: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|one| {
        let own = one["observedGeneration"].as_i64();
        let observed = own.or(object["status"]["observedGeneration"].as_i64());
        one["type"] == kind
            && one["status"] == "True"
            && observed >= object["metadata"]["generation"].as_i64()
    })
}

/// What both say, and the reason of `Ready`.
fn verdict(stage: &Stage) -> (&'static str, bool, String) {
    let object = stage.object();
    let is_ready = wait(&object, "Ready");
    (
        kstatus(&object),
        is_ready,
        stage.condition(ConditionType::Ready).1,
    )
}

fn is(kstatus: &'static str, ready: bool, reason: &str) -> (&'static str, bool, String) {
    (kstatus, ready, reason.to_owned())
}

#[tokio::test]
async fn a_stack_is_in_progress_until_this_generation_is_rolled_out() {
    let stage = Stage::new(&json!({}));
    stage.reconcile().await.unwrap();
    assert_eq!(verdict(&stage), is("InProgress", false, "Progressing"));
    stage.settle().await;
    assert_eq!(verdict(&stage), is("Current", true, "Ready"));

    stage.edit(&json!({"api": {"replicas": 5}}));
    assert_eq!(
        verdict(&stage),
        is("InProgress", false, "Ready"),
        "stale, and told to be"
    );
    stage.reconcile().await.unwrap();
    assert_eq!(verdict(&stage), is("InProgress", false, "Progressing"));
    stage.settle().await;
    assert_eq!(verdict(&stage), is("Current", true, "Ready"));
}

#[tokio::test]
async fn what_waits_for_somebody_has_failed_and_what_does_not_has_not() {
    let stage = Stage::new(&json!({}));
    stage.settle().await;
    stage.edit(&json!({"version": "9.0.0"}));
    stage.reconcile().await.unwrap_err();
    assert_eq!(verdict(&stage), is("Failed", false, "UnsupportedVersion"));
    assert!(
        wait(&stage.object(), "Available"),
        "it serves all the while"
    );

    stage.edit(&json!({"version": "0.1.0"}));
    let broken = failure(500, "InternalError", "etcd is away");
    stage.fake.fail("PATCH /deployments", usize::MAX, broken);
    stage.edit(&json!({"api": {"replicas": 5}}));
    stage.reconcile().await.unwrap_err();
    assert_eq!(kstatus(&stage.object()), "InProgress");
    assert!(!wait(&stage.object(), "Ready"));
    stage.fake.heal();
    stage.settle().await;
    assert_eq!(verdict(&stage), is("Current", true, "Ready"));
}

#[tokio::test]
async fn after_the_operator_is_replaced_the_status_stays_true() {
    let mut stage = Stage::new(&json!({}));
    stage.settle().await;
    let before = stage.status();
    stage.restart();
    assert_eq!(
        verdict(&stage),
        is("Current", true, "Ready"),
        "nothing is older than it says"
    );
    stage.settle().await;
    assert_eq!(stage.status(), before);
}

#[tokio::test]
async fn a_paused_stack_is_left_alone_and_says_what_is_true_of_it() {
    let stage = Stage::new(&json!({}));
    stage.settle().await;
    stage.edit(&json!({"paused": true}));
    let before = stage.fake.requests().len();
    stage.settle().await;
    assert_eq!(verdict(&stage), is("Current", true, "Paused"));
    assert_eq!(stage.condition(ConditionType::Reconciling).1, "Paused");
    let wrote = |since: usize| -> Vec<_> {
        let requests = stage.fake.requests().split_off(since);
        let writes = requests.into_iter().filter(|one| !one.starts_with("GET "));
        writes
            .filter(|one| !one.ends_with("/authstacks/shop/status"))
            .collect()
    };
    let events = |writes: Vec<String>| writes.iter().all(|one| one.contains("/events"));
    assert!(events(wrote(before)), "{:?}", wrote(before));

    // What somebody does to the children by hand stays, and is seen.
    stage
        .fake
        .merge("/deployments/shop-api", &json!({"spec": {"replicas": 7}}));
    stage.report();
    stage.reconcile().await.unwrap();
    assert_eq!(verdict(&stage), is("InProgress", false, "Progressing"));
    stage.settle().await;
    assert_eq!(verdict(&stage), is("Current", true, "Paused"));
    assert_eq!(stage.status().replicas, Some(7));

    // A changed manifest waits, and is never called ready meanwhile.
    stage.edit(&json!({"nginx": {"replicas": 4}}));
    stage.settle().await;
    assert_eq!(verdict(&stage), is("InProgress", false, "Paused"));
    assert!(wait(&stage.object(), "Available"));
    let nginx = || stage.fake.get("/deployments/shop-nginx").unwrap()["spec"]["replicas"].clone();
    assert_eq!(nginx(), 2);
    assert!(events(wrote(before)), "{:?}", wrote(before));

    stage.edit(&json!({"paused": false}));
    stage.settle().await;
    assert_eq!(verdict(&stage), is("Current", true, "Ready"));
    assert_eq!(nginx(), 4);
    assert_eq!(stage.status().replicas, Some(3), "and drift is undone");
}

#[tokio::test]
async fn a_stack_that_is_paused_from_the_start_is_never_made() {
    let stage = Stage::new(&json!({"paused": true}));
    stage.settle().await;
    assert_eq!(verdict(&stage), is("InProgress", false, "Paused"));
    let made = stage.fake.paths();
    let foreign = |path: &&String| !path.contains("/authstacks/") && !path.contains("/events/");
    assert_eq!(made.iter().filter(foreign).count(), 0, "{made:?}");
}

#[tokio::test]
async fn a_stack_stops_from_the_outside_in_and_starts_again() {
    let stage = Stage::new(&json!({}));
    stage.settle().await;
    let replicas = || {
        [
            "/deployments/shop-nginx",
            "/deployments/shop-api",
            "/statefulsets/shop-postgres",
        ]
        .map(|end| {
            stage.fake.get(end).unwrap()["spec"]["replicas"]
                .as_i64()
                .unwrap()
        })
    };
    stage.edit(&json!({"stopped": true}));
    let mut seen = Vec::new();
    for _ in 0..4 {
        stage.reconcile().await.unwrap();
        seen.push(replicas());
        if seen.len() < 4 {
            assert!(!wait(&stage.object(), "Ready"), "{seen:?}");
            assert_eq!(kstatus(&stage.object()), "InProgress");
        }
        stage.roll_out();
    }
    assert_eq!(seen, [[0, 3, 1], [0, 0, 1], [0, 0, 0], [0, 0, 0]]);
    assert_eq!(verdict(&stage), is("Current", true, "Stopped"));
    assert!(!wait(&stage.object(), "Available"));
    assert_eq!(stage.condition(ConditionType::Available).1, "Stopped");
    assert_eq!(stage.condition(ConditionType::DatabaseReady).1, "Stopped");

    stage.edit(&json!({"stopped": false}));
    stage.reconcile().await.unwrap();
    assert_eq!(verdict(&stage), is("InProgress", false, "Progressing"));
    stage.settle().await;
    assert_eq!(replicas(), [2, 3, 1]);
    assert_eq!(verdict(&stage), is("Current", true, "Ready"));
}
