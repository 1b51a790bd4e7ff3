//! A failure that stays is not run against: the whole controller, in virtual
//! time, against an API server that goes on failing.

use std::time::Duration;

use authstack_operator::args::{Images, WatchNamespaces};
use authstack_operator::controller::{self, Settings};
use authstack_operator::health::Health;
use serde_json::json;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::fake::{Answer, Fake, failure, terminating};
use super::stage::{STACKS, manifest};

/// A controller at work on the stack `shop`.
fn control(fake: &Fake) -> CancellationToken {
    fake.create(STACKS, manifest(&json!({})));
    let settings = Settings {
        namespaces: WatchNamespaces::Only(["store".to_owned()].into()),
        images: Images::default(),
        instance: "test".to_owned(),
    };
    let (client, stop) = (fake.client(), CancellationToken::new());
    let stopped = stop.clone();
    tokio::spawn(async move {
        controller::run(client, settings, &Health::default(), &stopped).await;
    });
    stop
}

/// Waits, in virtual time, until an object is there.
async fn appears(fake: &Fake, end: &str) {
    let there = async {
        while fake.get(end).is_none() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_mins(3), there).await.expect(end);
}

/// How often something was asked for.
fn count(fake: &Fake, method: &str, part: &str) -> usize {
    let requests = fake.requests();
    let asked = |line: &&String| line.starts_with(method) && line.contains(part);
    requests.iter().filter(asked).count()
}

#[tokio::test(start_paused = true)]
async fn attempts_grow_rare_and_the_first_after_the_failure_finishes() {
    let quota = || failure(403, "Forbidden", "it is forbidden: exceeded quota: small");
    for (answer, most, is_said) in [
        (failure(500, "InternalError", "etcd is away"), 30, true),
        (failure(429, "TooManyRequests", "slow down"), 30, true),
        (Answer::Lost, 30, true),
        (terminating(), 30, false),
        (failure(409, "Conflict", "it has been modified"), 30, false),
        // Another look every 10 s, at one object.
        (quota(), 190, true),
    ] {
        let fake = Fake::default();
        fake.fail("POST /deployments", usize::MAX, answer);
        let stop = control(&fake);
        sleep(Duration::from_mins(30)).await;
        let attempts = count(&fake, "POST", "/deployments");
        assert!(
            (5..=2 * most).contains(&attempts),
            "{attempts} attempts in half an hour"
        );
        let reports = count(&fake, "PATCH", "/authstacks/shop/status");
        assert!(reports <= 4, "{reports} writes of one status");
        assert_eq!(reports > 0, is_said);
        fake.heal();
        appears(&fake, "/ingresses/shop").await;
        appears(&fake, "/deployments/shop-api").await;
        appears(&fake, "/deployments/shop-nginx").await;
        stop.cancel();
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_gone_is_begun_anew_and_misses_nothing() {
    let fake = Fake::default();
    let stop = control(&fake);
    appears(&fake, "/ingresses/shop").await;
    sleep(Duration::from_mins(1)).await;
    let lists = || {
        let requests = fake.requests().into_iter();
        let list = |line: &String| line.starts_with("GET ") && line.ends_with("/deployments");
        requests.filter(list).count()
    };
    let before = lists();
    let edit = json!({"spec": {"replicas": 9}});
    fake.change_unseen("/deployments/shop-api", &edit);
    let undone = async {
        let replicas = || fake.get("/deployments/shop-api").unwrap()["spec"]["replicas"].clone();
        while replicas() != 3 {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_mins(3), undone).await.unwrap();
    assert_eq!(lists(), before + 1, "listed once more");
    stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn at_rest_only_watches_are_renewed() {
    let fake = Fake::default();
    let stop = control(&fake);
    appears(&fake, "/ingresses/shop").await;
    sleep(Duration::from_mins(1)).await;
    let before = fake.requests().len();
    sleep(Duration::from_hours(1)).await;
    let requests = fake.requests().split_off(before);
    // Which APIs there are is asked all the time.
    let other: Vec<_> = requests
        .iter()
        .filter(|line| !line.starts_with("WATCH ") && *line != "GET /apis")
        .collect();
    assert!(other.is_empty(), "{other:?}");
    stop.cancel();
}
