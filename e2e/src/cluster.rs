//! The cluster that `KUBECONFIG` names, and how many stacks run on it at once.

use kube::config::KubeConfigOptions;
use kube::{Client, Config};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many tests have a stack at a time. Two keep a node with two cores busy;
/// with more, starting pods get in each other's way and deadlines lie.
const AT_ONCE: u32 = 2;

static STACKS: Semaphore = Semaphore::const_new(AT_ONCE as usize);

/// The right to have a stack on the cluster.
pub(crate) type Permit = SemaphorePermit<'static>;

/// Waits for the right to have a stack beside others.
pub(crate) async fn beside_others() -> Permit {
    STACKS.acquire().await.unwrap()
}

/// Waits for the right to have the only stack that a test runs.
pub(crate) async fn alone() -> Permit {
    STACKS.acquire_many(AT_ONCE).await.unwrap()
}

/// A client of the cluster that `KUBECONFIG` names. Nothing else is looked at: a
/// test must not end up in a cluster that somebody's `~/.kube/config` names.
pub async fn cluster() -> Client {
    assert!(
        std::env::var_os("KUBECONFIG").is_some_and(|path| !path.is_empty()),
        "these tests need a cluster with the operator on it: run `make e2e`, or `make up` \
         and then `eval \"$(make -s env)\"`, which sets KUBECONFIG"
    );
    let config = Config::from_kubeconfig(&KubeConfigOptions::default())
        .await
        .expect("KUBECONFIG must name a readable kubeconfig");
    Client::try_from(config).expect("KUBECONFIG must name a cluster that can be spoken to")
}
