//! The election on a real API server, with its real conflicts and its real
//! validation. The rules themselves are tested with a clock set by hand beside
//! their code; here are fewer cases, in real time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use authstack_operator::{
    client::{fenced, is_not_leading, unfenced},
    health::Health,
    leader::{Config, Elector, Leadership},
};
use futures::FutureExt as _;
use k8s_openapi::api::{
    coordination::v1::{Lease, LeaseSpec},
    core::v1::{ConfigMap, Namespace},
};
use kube::{
    Client,
    api::{Api, DeleteParams, Patch, PatchParams, PostParams},
    client::ClientBuilder,
};
use serde_json::json;
use support::{eventually, in_namespace};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::util::MapFutureLayer;

/// A fifth of the real timing.
fn quick(namespace: &str, identity: &str) -> Config {
    Config {
        lease_duration: Duration::from_secs(3),
        renew_deadline: Duration::from_secs(2),
        renew_period: Duration::from_secs(1),
        retry_period: Duration::from_millis(200),
        request_timeout: Duration::from_millis(500),
        ..Config::new(namespace.into(), "operator".into(), identity.into())
    }
}

struct Candidate {
    leadership: Leadership,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Candidate {
    fn start(client: Client, config: Config) -> Self {
        let elector = Elector::new(client, config, Health::default());
        let leadership = elector.leadership();
        let stop = CancellationToken::new();
        let task = tokio::spawn(elector.run(stop.clone().cancelled_owned()));
        Self {
            leadership,
            stop,
            task,
        }
    }

    /// As SIGTERM does.
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

async fn spec(client: &Client, namespace: &str) -> LeaseSpec {
    let leases = Api::<Lease>::namespaced(client.clone(), namespace);
    leases.get("operator").await.unwrap().spec.unwrap()
}

/// A client whose requests go nowhere while the switch is off.
fn switched(config: kube::Config, on: watch::Receiver<bool>) -> Client {
    // Nothing is sent before the future is polled.
    let gate = MapFutureLayer::new(move |answer| {
        let mut on = on.clone();
        async move {
            on.wait_for(|on| *on).await?;
            answer.await
        }
    });
    ClientBuilder::try_from(config)
        .unwrap()
        .with_layer(&gate)
        .build()
}

#[tokio::test]
async fn of_three_candidates_one_leads() {
    in_namespace("leader", |config, namespace| async move {
        let client = unfenced(config).unwrap();
        let candidates: Vec<_> = ["a", "b", "c"]
            .map(|name| Candidate::start(client.clone(), quick(&namespace, name)))
            .into();
        let acquired = candidates
            .iter()
            .map(|one| Box::pin(one.leadership.acquired()));
        futures::future::select_all(acquired).await;
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(5) {
            let leaders = candidates.iter().filter(|one| one.leadership.may_write());
            assert_eq!(leaders.count(), 1);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let spec = spec(&client, &namespace).await;
        assert_eq!(spec.lease_transitions, Some(0));
        assert_eq!(spec.lease_duration_seconds, Some(3));
        assert!(spec.renew_time > spec.acquire_time);
    })
    .await;
}

#[tokio::test]
async fn a_leader_that_stops_hands_over_at_once() {
    in_namespace("leader", |config, namespace| async move {
        // The real timing: the lease would last for 15 s.
        let real = |name: &str| Config::new(namespace.clone(), "operator".into(), name.into());
        let client = unfenced(config).unwrap();
        let first = Candidate::start(client.clone(), real("a"));
        first.leadership.acquired().await;
        let second = Candidate::start(client.clone(), real("b"));
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(!second.leadership.may_write());

        let begin = Instant::now();
        first.stop().await;
        second.leadership.acquired().await;
        assert!(
            begin.elapsed() < Duration::from_secs(3),
            "{:?}",
            begin.elapsed()
        );
        let spec = spec(&client, &namespace).await;
        assert_eq!(spec.holder_identity.as_deref(), Some("b"));
        assert_eq!(spec.lease_transitions, Some(1));
        assert_eq!(spec.lease_duration_seconds, Some(15));
    })
    .await;
}

#[tokio::test]
async fn the_last_one_to_stop_leaves_a_lease_that_nobody_holds() {
    in_namespace("leader", |config, namespace| async move {
        let client = unfenced(config).unwrap();
        let only = Candidate::start(client.clone(), quick(&namespace, "a"));
        only.leadership.acquired().await;
        let leadership = only.leadership.clone();
        only.stop().await;
        assert!(!leadership.may_write());
        let spec = spec(&client, &namespace).await;
        assert_eq!(spec.holder_identity, None);
        assert_eq!(spec.lease_duration_seconds, Some(1));
    })
    .await;
}

#[tokio::test]
async fn a_leader_cut_off_stops_writing_before_another_begins() {
    in_namespace("leader", |config, namespace| async move {
        let (switch, on) = watch::channel(true);
        let first = Candidate::start(switched(config.clone(), on), quick(&namespace, "a"));
        first.leadership.acquired().await;
        let client = unfenced(config.clone()).unwrap();
        let second = Candidate::start(client.clone(), quick(&namespace, "b"));
        tokio::time::sleep(Duration::from_secs(2)).await;

        switch.send(false).unwrap();
        let cut = Instant::now();
        let lost = async {
            first.leadership.lost().await;
            Instant::now()
        };
        let acquired = async {
            second.leadership.acquired().await;
            Instant::now()
        };
        let (lost, acquired) = tokio::join!(lost, acquired);
        assert!(
            lost - cut <= Duration::from_millis(2100),
            "{:?}",
            lost - cut
        );
        assert!(
            acquired > lost + Duration::from_millis(500),
            "{:?}",
            acquired - lost
        );
        assert!(!first.leadership.may_write());

        // Back on the network it finds that it has been replaced.
        switch.send(true).unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(!first.leadership.may_write());
        assert!(second.leadership.may_write());
        let spec = spec(&client, &namespace).await;
        assert_eq!(spec.holder_identity.as_deref(), Some("b"));
        assert_eq!(spec.lease_transitions, Some(1));
    })
    .await;
}

#[tokio::test]
async fn a_short_cut_costs_nothing() {
    in_namespace("leader", |config, namespace| async move {
        let (switch, on) = watch::channel(true);
        let leader = Candidate::start(switched(config, on), quick(&namespace, "a"));
        leader.leadership.acquired().await;
        let lost = leader.leadership.lost();
        for _ in 0..4 {
            switch.send(false).unwrap();
            tokio::time::sleep(Duration::from_millis(400)).await;
            switch.send(true).unwrap();
            tokio::time::sleep(Duration::from_millis(1600)).await;
        }
        assert!(lost.now_or_never().is_none());
        assert!(leader.leadership.may_write());
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_somebody_takes_is_given_way_to_and_taken_back_in_time() {
    in_namespace("leader", |config, namespace| async move {
        let client = unfenced(config).unwrap();
        let leader = Candidate::start(client.clone(), quick(&namespace, "a"));
        leader.leadership.acquired().await;
        let leases = Api::<Lease>::namespaced(client.clone(), &namespace);
        let theft = json!({"spec": {"holderIdentity": "thief", "leaseTransitions": 7}});
        leases
            .patch("operator", &PatchParams::default(), &Patch::Merge(theft))
            .await
            .unwrap();
        let begin = Instant::now();
        leader.leadership.lost().await;
        assert!(
            begin.elapsed() < Duration::from_millis(1500),
            "{:?}",
            begin.elapsed()
        );
        leader.leadership.acquired().await;
        assert!(
            begin.elapsed() >= Duration::from_secs(3),
            "{:?}",
            begin.elapsed()
        );
        assert_eq!(spec(&client, &namespace).await.lease_transitions, Some(8));
    })
    .await;
}

#[tokio::test]
async fn a_deleted_lease_is_made_again() {
    in_namespace("leader", |config, namespace| async move {
        let client = unfenced(config).unwrap();
        let leader = Candidate::start(client.clone(), quick(&namespace, "a"));
        leader.leadership.acquired().await;
        let leases = Api::<Lease>::namespaced(client.clone(), &namespace);
        let uid = leases.get("operator").await.unwrap().metadata.uid;
        leases
            .delete("operator", &DeleteParams::default())
            .await
            .unwrap();
        eventually("a new Lease is there", Duration::from_secs(3), || async {
            let lease = leases.get_opt("operator").await.unwrap();
            lease.is_some_and(|lease| lease.metadata.uid != uid)
        })
        .await;
        leader.leadership.acquired().await;
    })
    .await;
}

#[tokio::test]
async fn without_a_namespace_for_its_lease_a_candidate_waits_and_recovers() {
    in_namespace("leader", |config, namespace| async move {
        let client = unfenced(config).unwrap();
        let absent = format!("{namespace}-late");
        let candidate = Candidate::start(client.clone(), quick(&absent, "a"));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!candidate.leadership.may_write());

        let namespaces = Api::<Namespace>::all(client.clone());
        let mut late = Namespace::default();
        late.metadata.name = Some(absent.clone());
        namespaces
            .create(&PostParams::default(), &late)
            .await
            .unwrap();
        let acquired = timeout(Duration::from_secs(3), candidate.leadership.acquired()).await;
        candidate.stop().await;
        namespaces
            .delete(&absent, &DeleteParams::default())
            .await
            .unwrap();
        assert!(acquired.is_ok());
    })
    .await;
}

#[tokio::test]
async fn the_fence_opens_and_closes_with_the_leadership() {
    in_namespace("leader", |config, namespace| async move {
        let elector = Elector::new(
            unfenced(config.clone()).unwrap(),
            quick(&namespace, "a"),
            Health::default(),
        );
        let leadership = elector.leadership();
        let client = fenced(config, leadership.clone()).unwrap();
        let maps = Api::<ConfigMap>::namespaced(client, &namespace);
        let mut map = ConfigMap::default();
        map.metadata.generate_name = Some("written-".into());
        let params = PostParams::default();

        let error = maps.create(&params, &map).await.unwrap_err();
        assert!(is_not_leading(&error), "{error}");
        let stop = CancellationToken::new();
        let task = tokio::spawn(elector.run(stop.clone().cancelled_owned()));
        leadership.acquired().await;
        let written = maps.create(&params, &map).await.unwrap();
        stop.cancel();
        task.await.unwrap();
        let name = written.metadata.name.unwrap();
        assert!(maps.get_opt(&name).await.unwrap().is_some(), "reads go on");
        let delete = maps.delete(&name, &DeleteParams::default()).await;
        assert!(is_not_leading(&delete.unwrap_err()));
    })
    .await;
}
