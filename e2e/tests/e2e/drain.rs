//! A node that is drained takes no request with it. The node of the managed
//! database takes the database, and nothing that it had acknowledged.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use authstack_crds::ConditionType::DatabaseReady;
use authstack_e2e::{
    Cordoned, Crowd, Gateway, PATIENCE, Site, User, by_node, cluster, figure, open_nodes, seconds,
    small,
};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long the database stays away at least.
const AWAY: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_node_is_drained_and_no_request_or_user_is_lost() {
    if open_nodes(&cluster().await).await.len() < 3 {
        assert!(
            std::env::var_os("CI").is_none(),
            "the cluster must have three nodes"
        );
        figure("drain: NOT TESTED, the cluster has fewer than three nodes");
        return;
    }
    let site = Site::alone("drain").await;
    let spec = small(json!({
        "api": {"replicas": 3},
        "nginx": {"replicas": 2, "trustedProxies": ["0.0.0.0/0", "::/0"]},
        "tokens": {"accessTTL": "1h"},
    }));
    site.apply("shop", spec).await;
    let gateway = site.serving("shop").await;
    for (part, at_least) in [("api", 3), ("nginx", 2)] {
        let spread = by_node(&site.pods("shop", part).await);
        assert_eq!(spread.len(), at_least, "{part}: {spread:?}");
    }
    let crowd = Crowd::of(&gateway).await;
    without_the_database(&site, &crowd).await;
    with_the_database(&site, &gateway, &crowd).await;
}

async fn without_the_database(site: &Site, crowd: &Crowd) {
    let database = site.pods("shop", "postgres").await;
    let mut pods = site.pods("shop", "api").await;
    pods.extend(site.pods("shop", "nginx").await);
    let mut nodes = by_node(&pods);
    nodes.retain(|node, _| !by_node(&database).contains_key(node));
    let (node, count) = fullest(&nodes);
    assert!(count >= 2, "a pod of the API and one of nginx: {nodes:?}");

    let load = crowd.work();
    let node = Cordoned::new(&site.client, &node).await;
    let evicted = node.drain().await;
    site.ready("shop").await;
    let outcome = load.stop().await;
    outcome.assert_flawless(&format!(
        "a drain of a node, {evicted} pods, {count} of the stack"
    ));
    node.uncordon().await;
}

/// A volume of the testbed is a directory of its node, as local disks are: the
/// database waits for its node, and so does whoever drains it if a budget wants
/// an API pod elsewhere to be ready first. With other volumes it comes back on
/// another node by itself.
async fn with_the_database(site: &Site, gateway: &Gateway, crowd: &Crowd) {
    let database = site.pods("shop", "postgres").await;
    let (node, _) = fullest(&by_node(&database));
    let newcomers = Newcomers::arrive(gateway);
    let load = crowd.work();

    let node = Cordoned::new(&site.client, &node).await;
    let waiting = async {
        let waits = ("False", "Unschedulable");
        let waits = site.condition("shop", DatabaseReady, waits).await;
        assert!(waits.message.contains("shop-postgres-0"), "{waits:?}");
        tokio::time::sleep(AWAY).await;
        node.uncordon().await;
        let start = Instant::now();
        site.serves(gateway).await;
        figure(&format!(
            "Postgres's node given back to served: {}",
            seconds(start)
        ));
    };
    tokio::join!(node.drain(), waiting);
    site.ready("shop").await;

    let outcome = load.stop().await;
    outcome.assert_honest("a drain of Postgres's node");
    assert!(!outcome.put_off.is_empty(), "the database was never away");
    let users = newcomers.settle().await;
    figure(&format!(
        "a drain of Postgres's node: {} users registered, 0 lost",
        users.len()
    ));
}

/// The node with the most pods, and how many there are.
fn fullest(nodes: &BTreeMap<String, usize>) -> (String, usize) {
    let most = nodes.iter().max_by_key(|(_, count)| **count);
    most.map(|(node, count)| (node.clone(), *count)).unwrap()
}

/// People who register, one after the other, each from somewhere else.
struct Newcomers {
    stop: watch::Sender<bool>,
    arriving: JoinHandle<Vec<(Gateway, User)>>,
}

impl Newcomers {
    fn arrive(gateway: &Gateway) -> Self {
        let (stop, stopped) = watch::channel(false);
        let gateway = gateway.clone();
        let arriving = tokio::spawn(async move {
            let mut registered = Vec::new();
            for number in 0.. {
                let address = IpAddr::V4(Ipv4Addr::from(0xC612_0000 + number));
                let (there, user) = (gateway.from(address), User::unique());
                let answer = there.try_register(&user).await.expect("an answer");
                if answer.status == 201 {
                    registered.push((there, user));
                } else {
                    assert_eq!(answer.status, 503, "{answer:?}");
                    assert_ne!(answer.header("retry-after"), "", "{answer:?}");
                }
                if *stopped.borrow() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            registered
        });
        Self { stop, arriving }
    }

    /// Stops them, and has everybody log in who was told to have an account.
    async fn settle(self) -> Vec<User> {
        let _ = self.stop.send(true);
        let registered = tokio::time::timeout(PATIENCE, self.arriving).await;
        let mut users = Vec::new();
        for (there, user) in registered.unwrap().unwrap() {
            there.login(&user).await;
            users.push(user);
        }
        assert!(users.len() >= 5, "only {} registered", users.len());
        users
    }
}
