//! What becomes of each failure that an API server can answer with.

use authstack_crds::ConditionType;
use authstack_operator::reconcile::Next;
use serde_json::json;

use super::fake::{Answer, failure, terminating};
use super::stage::Stage;

/// What a failure leads to.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// Another attempt, soon, and nothing is said of it.
    Again,
    /// Other attempts at growing intervals; what happened is in `Reconciling`.
    Later(&'static str),
    /// A look every now and then; somebody must act, and is told.
    Stalled(&'static str),
}

/// A failure, what follows, and words that the status then holds.
fn failures() -> Vec<(Answer, Then, &'static str)> {
    let conflict = "Operation cannot be fulfilled: the object has been modified";
    let webhook = "admission webhook \"check.example.com\" denied the request: no reason";
    let calling =
        "Internal error occurred: failed calling webhook \"check.example.com\": connection refused";
    vec![
        (failure(409, "Conflict", conflict), Then::Again, ""),
        (terminating(), Then::Again, ""),
        (
            failure(
                403,
                "Forbidden",
                "it is forbidden: User \"a\" cannot create it",
            ),
            Then::Stalled("Forbidden"),
            "give the operator's account this right",
        ),
        (
            failure(
                403,
                "Forbidden",
                "it is forbidden: exceeded quota: small, requested: services=1",
            ),
            Then::Stalled("QuotaExceeded"),
            "exceeded quota: small, requested: services=1: raise the namespace's quota",
        ),
        (
            failure(400, "BadRequest", webhook),
            Then::Stalled("AdmissionDenied"),
            "webhook \"check.example.com\" denied",
        ),
        (
            failure(403, "Forbidden", webhook),
            Then::Stalled("AdmissionDenied"),
            "change the manifest so that the policy agrees",
        ),
        (
            failure(422, "Invalid", "it is invalid: spec.x: Invalid value"),
            Then::Stalled("Invalid"),
            "spec.x",
        ),
        (
            failure(500, "InternalError", calling),
            Then::Later("ApiError"),
            "failed calling webhook \"check.example.com\"",
        ),
        (
            failure(503, "ServiceUnavailable", "no server"),
            Then::Later("ApiError"),
            "no server",
        ),
        (
            failure(504, "Timeout", "the server was not able to answer in time"),
            Then::Later("ApiError"),
            "in time",
        ),
        (
            failure(429, "TooManyRequests", "too many requests"),
            Then::Later("ApiError"),
            "too many requests",
        ),
        (
            failure(404, "NotFound", "namespaces \"store\" not found"),
            Then::Later("ApiError"),
            "not found",
        ),
        (Answer::Lost, Then::Later("ApiError"), "connection was lost"),
    ]
}

/// Reconciles into a failure and out of it again.
async fn check(stage: &Stage, at: &str, failure: (Answer, Then, &str)) {
    let (answer, then, says) = failure;
    stage.fake.fail(at, usize::MAX, answer);
    let before = stage.status();
    let result = stage.reconcile().await;
    let status = stage.status();
    let what = format!("{at}, {then:?}: {result:?}");
    match then {
        Then::Again => {
            assert!(result.unwrap_err().is_benign(), "{what}");
            assert_eq!(status, before, "{what}");
        }
        Then::Later(reason) => {
            let error = result.unwrap_err();
            assert!(!error.is_benign() && error.is_retryable(), "{what}");
            let condition = status.condition(ConditionType::Reconciling).unwrap();
            assert_eq!(
                (condition.status.as_str(), condition.reason.as_str()),
                ("True", reason)
            );
            assert!(condition.message.contains(says), "{}", condition.message);
            let stalled = status.condition(ConditionType::Stalled);
            assert!(stalled.is_none_or(|is| is.status == "False"), "{what}");
        }
        Then::Stalled(reason) => {
            assert_eq!(result.unwrap(), Next::LookAgain, "{what}");
            let condition = status.condition(ConditionType::Stalled).unwrap();
            assert_eq!(
                (condition.status.as_str(), condition.reason.as_str()),
                ("True", reason)
            );
            assert!(condition.message.contains(says), "{}", condition.message);
            assert!(
                !condition.message.contains("Status {"),
                "{}",
                condition.message
            );
            let ready = status.condition(ConditionType::Ready).unwrap();
            assert_eq!(
                (ready.status.as_str(), ready.reason.as_str()),
                ("False", reason)
            );
        }
    }
    stage.fake.heal();
    assert_ne!(stage.reconcile().await.unwrap(), Next::LookAgain, "{what}");
    let stalled = stage.condition(ConditionType::Stalled);
    assert_eq!(
        stalled,
        ("False".to_owned(), "NoProblem".to_owned()),
        "{what}"
    );
    stage.settle().await;
    let ready = stage.condition(ConditionType::Ready);
    assert_eq!(ready, ("True".to_owned(), "Ready".to_owned()), "{what}");
}

#[tokio::test]
async fn a_create_that_fails_is_waited_for_or_said_and_the_next_one_succeeds() {
    for at in [
        "POST /services",
        "POST /configmaps",
        "POST /statefulsets",
        "POST /deployments",
    ] {
        for failure in failures() {
            check(&Stage::new(&json!({})), at, failure).await;
        }
    }
}

#[tokio::test]
async fn an_apply_that_fails_is_waited_for_or_said_and_the_next_one_succeeds() {
    for failure in failures() {
        let stage = Stage::new(&json!({}));
        stage.settle().await;
        // The first apply takes the create's fields over; this is about the others.
        stage.edit(&json!({"api": {"replicas": 4}}));
        stage.settle().await;
        stage.edit(&json!({"api": {"replicas": 5}}));
        check(&stage, "PATCH /deployments/shop-api", failure).await;
        let api = stage.fake.get("/deployments/shop-api").unwrap();
        assert_eq!(api["spec"]["replicas"], 5);
    }
}

#[tokio::test]
async fn what_one_part_is_refused_keeps_no_other_from_going_on() {
    let stage = Stage::new(&json!({}));
    let quota = failure(403, "Forbidden", "it is forbidden: exceeded quota: small");
    stage.fake.fail("POST /deployments", 1, quota);
    stage.reconcile().await.unwrap();
    assert!(stage.fake.get("/deployments/shop-api").is_none());
    assert!(stage.fake.get("/deployments/shop-nginx").is_some());
    assert!(stage.fake.get("/ingresses/shop").is_some());
    let api = stage.condition(ConditionType::ApiReady);
    assert_eq!(api, ("False".to_owned(), "QuotaExceeded".to_owned()));
    let nginx = stage.condition(ConditionType::NginxReady);
    assert_eq!(nginx, ("False".to_owned(), "Progressing".to_owned()));
}

#[tokio::test]
async fn without_its_credentials_kept_no_database_is_made() {
    for (answer, then, _) in failures() {
        let stage = Stage::new(&json!({}));
        stage.fake.fail("POST /secrets", usize::MAX, answer);
        let error = stage.reconcile().await.unwrap_err();
        assert!(
            stage.fake.get("/statefulsets/shop-postgres").is_none(),
            "{then:?}"
        );
        if let Then::Stalled(reason) = then {
            assert_eq!(error.reason(), reason);
            let stalled = stage.condition(ConditionType::Stalled);
            assert_eq!(stalled, ("True".to_owned(), reason.to_owned()));
        }
        stage.fake.heal();
        stage.settle().await;
        assert_eq!(stage.condition(ConditionType::Ready).0, "True");
    }
}

#[tokio::test]
async fn a_read_that_fails_changes_nothing() {
    for (answer, then, says) in failures() {
        let stage = Stage::new(&json!({}));
        stage.settle().await;
        stage.fake.fail("GET /secrets/shop-credentials", 1, answer);
        let result = stage.reconcile().await;
        let status = stage.status();
        match then {
            Then::Again => assert!(result.unwrap_err().is_benign()),
            // To a read this means that it is not there, and the volume's claim
            // is not there either: new credentials meet the old Secret.
            Then::Later(_) if says == "not found" => continue,
            Then::Later(_) => {
                assert!(result.unwrap_err().is_retryable());
                assert_eq!(
                    status.condition(ConditionType::Ready).unwrap().status,
                    "True"
                );
            }
            Then::Stalled(reason) => {
                assert_eq!(result.unwrap_err().reason(), reason);
                assert_eq!(stage.condition(ConditionType::Stalled).1, reason);
            }
        }
        stage.reconcile().await.unwrap();
        assert_eq!(stage.condition(ConditionType::Ready).0, "True");
    }
}

#[tokio::test]
async fn a_status_that_could_not_be_written_is_written_next_time() {
    for (answer, then, _) in failures() {
        let stage = Stage::new(&json!({}));
        stage.fake.fail("PATCH /authstacks/shop/status", 1, answer);
        let result = stage.reconcile().await;
        assert!(stage.object().get("status").is_none());
        match (result, then) {
            // A stack that is not found is gone, and has no next attempt.
            (Ok(next), Then::Later(_)) => assert_ne!(next, Next::LookAgain),
            (result, _) => drop(result.unwrap_err()),
        }
        stage.settle().await;
        assert_eq!(stage.condition(ConditionType::Ready).0, "True");
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_written_holds_nothing_up() {
    let stage = Stage::new(&json!({}));
    let denied = failure(403, "Forbidden", "it is forbidden");
    stage.fake.fail("POST /events", usize::MAX, denied);
    stage.settle().await;
    assert_eq!(stage.condition(ConditionType::Ready).0, "True");
}
