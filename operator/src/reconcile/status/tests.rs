use std::fmt::Write as _;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use super::*;
use crate::reconcile::apply::{Applied, Outcome};
use crate::reconcile::children::{Certificate, JobEnd, Live, Rollout, Route, State};
use crate::reconcile::dereference::{Inputs, Reference};
use crate::reconcile::desired::{Api, Desired, Nginx, Postgres};
use crate::reconcile::inspect::Details;
use crate::reconcile::observe::observe;
use crate::reconcile::optional::{Availability, Optional};
use crate::reconcile::validate;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn live(state: State) -> Outcome {
    Outcome::Live(Arc::new(Live {
        uid: "u".to_owned(),
        version: "1".to_owned(),
        content: 1,
        controller: None,
        instance: None,
        deleting: false,
        owned_by_update: false,
        owns_replicas: false,
        state,
    }))
}

fn rollout(wanted: i32, ready: i32) -> Outcome {
    live(State::Rollout(Rollout {
        current: true,
        wanted,
        existing: wanted,
        updated: wanted,
        ready,
        stopping: 0,
        failure: None,
    }))
}

/// A stack as it is when everything runs.
fn running() -> Desired<Applied> {
    let plain = || live(State::Plain);
    Desired {
        credentials: plain(),
        signing_keys: Some(plain()),
        binding: plain(),
        authority: plain(),
        postgres: Some(Postgres {
            service_account: plain(),
            tls: plain(),
            config_map: plain(),
            service: plain(),
            headless_service: plain(),
            network_policy: Some(plain()),
            job_network_policy: Some(plain()),
            stateful_set: rollout(1, 1),
            reload: None,
        }),
        cluster: None,
        api: Api {
            service_account: plain(),
            tls: plain(),
            service: plain(),
            network_policy: Some(plain()),
            disruption_budget: plain(),
            deployment: rollout(3, 3),
            autoscaler: None,
        },
        nginx: Nginx {
            service_account: plain(),
            config_map: plain(),
            service: plain(),
            network_policy: Some(plain()),
            disruption_budget: plain(),
            deployment: rollout(2, 2),
        },
        ingress_tls: None,
        certificate: None,
        ingress: Some(live(State::Ingress { has_address: false })),
        http_route: None,
        pod_monitor: None,
    }
}

fn inputs() -> Inputs {
    Inputs {
        tls: Reference::None,
        ..Inputs::placeholders()
    }
}

fn judge(applied: &Desired<Applied>, inputs: &Inputs) -> AuthStackStatus {
    judge_after(&AuthStackStatus::default(), applied, inputs, at(1_000))
}

fn judge_after(
    previous: &AuthStackStatus,
    applied: &Desired<Applied>,
    inputs: &Inputs,
    now: Timestamp,
) -> AuthStackStatus {
    let manifest = "metadata: {name: shop, namespace: store}\nspec: {}";
    let stack = serde_yaml::from_str(manifest).unwrap();
    let stack = validate::validate(&stack, inputs, &crate::args::Images::default()).unwrap();
    let observed = observe(inputs, applied, &Details::default());
    let verdict = Verdict {
        generation: 7,
        version: &stack.version,
        spec: "spec",
        paused: false,
        stopped: stack.stopped,
        names: Some(&stack.names),
        url: Some(&stack.public_url),
        observed: &observed,
        error: None,
    };
    status(previous, &verdict, now)
}

/// Type, status and reason of every condition.
fn table(status: &AuthStackStatus) -> String {
    let mut table = String::new();
    for is in &status.conditions {
        let _ = writeln!(table, "{}={} {}", is.type_, is.status, is.reason);
    }
    table
}

#[test]
fn a_stack_that_runs() {
    let status = judge(&running(), &inputs());
    insta::assert_yaml_snapshot!(status);
}

#[test]
fn every_condition_is_there_once_and_speaks_of_this_generation() {
    let whole = Desired {
        http_route: Some(live(State::Route(Route::Accepted))),
        pod_monitor: Some(live(State::Plain)),
        ..running()
    };
    let status = judge(&whole, &inputs());
    let types: Vec<_> = status
        .conditions
        .iter()
        .map(|is| is.type_.clone())
        .collect();
    assert_eq!(types, ConditionType::ALL.map(|of| of.to_string()));
    assert!(
        status
            .conditions
            .iter()
            .all(|is| is.observed_generation == Some(7))
    );
}

#[test]
fn a_rollout_is_work_in_progress_and_still_serves() {
    let mut applied = running();
    applied.api.deployment = rollout(3, 1);
    let status = judge(&applied, &inputs());
    insta::assert_snapshot!(table(&status), @r"
    Ready=False Progressing
    CredentialsReady=True Ready
    DatabaseReady=True Ready
    ApiReady=False Progressing
    NginxReady=True Ready
    IngressReady=True AddressPending
    Available=True Serving
    Reconciling=True Progressing
    Stalled=False NoProblem
    ");
    assert_eq!(status.api_replicas.as_deref(), Some("1/3"));
    assert_eq!(status.version, None, "not before it is rolled out");
}

#[test]
fn numbers_of_an_older_generation_are_not_believed() {
    let mut applied = running();
    applied.api.deployment = live(State::Rollout(Rollout {
        current: false,
        wanted: 3,
        existing: 3,
        updated: 3,
        ready: 3,
        stopping: 0,
        failure: None,
    }));
    let status = judge(&applied, &inputs());
    let ready = status.condition(ConditionType::Ready).unwrap();
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("False", "Progressing")
    );
}

#[test]
fn a_refused_child_stalls_its_part_and_no_other() {
    let mut applied = running();
    applied.nginx.service = Outcome::Refused {
        reason: "NameTaken",
        message: "Service shop-nginx exists already".to_owned(),
    };
    insta::assert_snapshot!(table(&judge(&applied, &inputs())), @r"
    Ready=False NameTaken
    CredentialsReady=True Ready
    DatabaseReady=True Ready
    ApiReady=True Ready
    NginxReady=False NameTaken
    IngressReady=True AddressPending
    Available=True Serving
    Reconciling=False Idle
    Stalled=True NameTaken
    ");
}

#[test]
fn what_needs_a_human_is_named_before_what_only_takes_time() {
    let mut applied = running();
    applied.postgres.as_mut().unwrap().stateful_set = rollout(1, 0);
    let inputs = Inputs {
        tls: Reference::Missing("Secret shop-tls does not exist".to_owned()),
        ..Inputs::placeholders()
    };
    let status = judge(&applied, &inputs);
    let ready = status.condition(ConditionType::Ready).unwrap();
    assert_eq!(ready.reason, "SecretNotFound");
    assert_eq!(ready.message, "Secret shop-tls does not exist");
    let available = status.condition(ConditionType::Available).unwrap();
    assert_eq!(available.status, "False", "the database is away");
}

#[test]
fn time_moves_with_the_status_alone() {
    let first = judge(&running(), &inputs());
    let mut applied = running();
    applied.api.deployment = rollout(3, 2);
    let second = judge_after(&first, &applied, &inputs(), at(2_000));
    applied.api.deployment = rollout(3, 1);
    let third = judge_after(&second, &applied, &inputs(), at(3_000));
    let moved = |status: &AuthStackStatus, of| {
        status
            .condition(of)
            .unwrap()
            .last_transition_time
            .0
            .as_second()
    };
    assert_eq!(moved(&second, ConditionType::ApiReady), 2_000);
    assert_eq!(
        moved(&third, ConditionType::ApiReady),
        2_000,
        "another message, the same status"
    );
    assert_eq!(moved(&third, ConditionType::NginxReady), 1_000);
    assert_eq!(
        second.version.as_deref(),
        Some("0.1.0"),
        "what was rolled out stays true"
    );
}

#[test]
fn an_api_server_that_fails_takes_nothing_back() {
    let running = judge(&running(), &inputs());
    let error = Error::StillDeleting {
        kind: "Secret",
        name: "x".to_owned(),
    };
    let next = interrupted(&running, &error, at(9_000));
    for of in ConditionType::ALL {
        if of == ConditionType::Reconciling {
            assert_eq!(next.condition(of).unwrap().status, "True");
        } else {
            assert_eq!(next.condition(of), running.condition(of));
        }
    }
    assert_eq!(next.observed_generation, running.observed_generation);
}

#[test]
fn events_are_for_arrivals_only() {
    use crate::reconcile::events::transitions;
    let reasons = |before: &AuthStackStatus, after: &AuthStackStatus| {
        let events = transitions(before, after).into_iter();
        events.map(|event| event.reason).collect::<Vec<_>>()
    };
    let ready = judge(&running(), &inputs());
    let mut applied = running();
    applied.api.deployment = rollout(3, 2);
    let rolling = judge(&applied, &inputs());
    applied.api.deployment = Outcome::Refused {
        reason: "Forbidden",
        message: "quota".to_owned(),
    };
    let stalled = judge(&applied, &inputs());
    let fresh = AuthStackStatus::default();
    assert_eq!(reasons(&fresh, &ready), ["Ready"]);
    assert!(reasons(&ready, &ready).is_empty());
    assert!(reasons(&ready, &rolling).is_empty());
    assert_eq!(reasons(&rolling, &stalled), ["Forbidden"]);
    assert!(reasons(&stalled, &stalled).is_empty());
    assert_eq!(reasons(&stalled, &ready), ["Ready"]);
}

#[test]
fn a_reload_that_failed_is_said_while_clients_are_served() {
    let mut applied = running();
    let reload = |end| Some(live(State::Job(end)));
    applied.postgres.as_mut().unwrap().reload = reload(None);
    let status = judge(&applied, &inputs());
    let of = |status: &AuthStackStatus, of| {
        let condition = status.condition(of).unwrap();
        (condition.status.clone(), condition.reason.clone())
    };
    let text = |status: &str, reason: &str| (status.to_owned(), reason.to_owned());
    assert_eq!(
        of(&status, ConditionType::DatabaseReady),
        text("True", "Ready")
    );
    let failed = JobEnd::Failed("the deadline has passed".to_owned());
    applied.postgres.as_mut().unwrap().reload = reload(Some(failed));
    let status = judge(&applied, &inputs());
    let wanted = text("False", "CertificateReloadFailed");
    assert_eq!(of(&status, ConditionType::DatabaseReady), wanted);
    assert_eq!(
        of(&status, ConditionType::Available),
        text("True", "Serving")
    );
    // Nobody has to act: another Job follows.
    assert_eq!(
        of(&status, ConditionType::Stalled),
        text("False", "NoProblem")
    );
}

#[test]
fn a_part_whose_api_the_cluster_lacks_stalls_and_the_others_do_not() {
    let missing = Outcome::Unavailable(Optional::PodMonitor, Availability::Missing);
    let applied = Desired {
        pod_monitor: Some(missing),
        http_route: Some(live(State::Route(Route::Accepted))),
        ..running()
    };
    let status = judge(&applied, &inputs());
    let table = table(&status);
    for line in [
        "Ready=False ApiMissing",
        "IngressReady=True AddressPending",
        "HTTPRouteReady=True Accepted",
        "MonitoringReady=False ApiMissing",
        "Available=True Serving",
        "Reconciling=False Idle",
        "Stalled=True ApiMissing",
    ] {
        assert!(
            table.lines().any(|found| found == line),
            "{line} in\n{table}"
        );
    }
    let without = self::table(&judge(&running(), &inputs()));
    assert!(!without.contains("HTTPRoute") && !without.contains("Monitoring"));
}

#[test]
fn the_certificate_of_cert_manager_holds_the_ingress_back_and_its_expiry_is_told() {
    let with = |certificate: Certificate| Desired {
        certificate: Some(live(State::Certificate(certificate))),
        ..running()
    };
    let waiting = Certificate {
        message: "the order is pending".to_owned(),
        ..Certificate::default()
    };
    let status = judge(&with(waiting.clone()), &inputs());
    let ingress = status.condition(ConditionType::IngressReady).unwrap();
    assert_eq!(ingress.reason, "CertificatePending");
    assert!(ingress.message.contains("the order is pending"));
    let of_the_ingress = |status: &AuthStackStatus| {
        let mut all = status.certificates.clone().into_iter();
        all.find(|one| one.secret_name == "shop-ingress-tls")
    };
    assert_eq!(of_the_ingress(&status), None);
    let ready = Certificate {
        is_ready: true,
        secret_name: "shop-ingress-tls".to_owned(),
        not_after: Some(at(9_000)),
        ..waiting
    };
    let status = judge(&with(ready), &inputs());
    let ingress = status.condition(ConditionType::IngressReady).unwrap();
    assert_eq!(ingress.status, "True");
    let certificate = of_the_ingress(&status).unwrap();
    assert_eq!(certificate.not_after, Time(at(9_000)));
}
