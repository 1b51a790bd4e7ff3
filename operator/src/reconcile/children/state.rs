//! What children's status says, as far as it matters to the stack.

use k8s_openapi::jiff::Timestamp;

/// What a child's status says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing: it is there, and that is all.
    Plain,
    /// How far pods are rolled out.
    Rollout(Rollout),
    /// How a Job ended, if it has.
    Job(Option<JobEnd>),
    /// Whether a controller gave the Ingress an address.
    Ingress {
        /// It did.
        has_address: bool,
    },
    /// What is said of an HTTPRoute.
    Route(Route),
    /// What cert-manager says of a certificate.
    Certificate(Certificate),
    /// What CloudNativePG says of a cluster.
    Cluster(Cluster),
}

impl Rollout {
    /// All wanted pods are of the newest template and ready, and no other is left.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let Self {
            current,
            wanted,
            existing,
            updated,
            ready,
            stopping: _,
            failure: _,
        } = self;
        *current && updated >= wanted && existing <= wanted && ready >= wanted
    }
}

/// How a Job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// It did its work.
    Complete,
    /// It gave up; this is why.
    Failed(String),
}

/// What the controllers of an HTTPRoute's parents say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Every parent accepted it.
    Accepted,
    /// Nobody has said anything of this generation for a parent.
    Unheard {
        /// The parent.
        parent: String,
    },
    /// A parent refused it, or cannot use it yet.
    Refused {
        /// The parent.
        parent: String,
        /// Why, in one word.
        reason: String,
        /// Why, in a sentence.
        message: String,
        /// Whether it may change without anybody's doing.
        is_pending: bool,
    },
}

/// What cert-manager says of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// Whether there is a valid one as it is wanted.
    pub is_ready: bool,
    /// Whether the last attempt to get one failed; cert-manager waits for hours
    /// before the next.
    pub has_failed: bool,
    /// Why it is not ready, or failed.
    pub message: String,
    /// The Secret that it is kept in.
    pub secret_name: String,
    /// When the one that there is expires.
    pub not_after: Option<Timestamp>,
}

/// What CloudNativePG says of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Whether all of it is as it is wanted. It does not say of which generation.
    pub is_ready: bool,
    /// Servers that are wanted: none of a cluster that is to hibernate.
    pub wanted: i32,
    /// Servers that are ready.
    pub ready: i32,
    /// Whether the primary is where it is to be, and ready.
    pub has_primary: bool,
    /// What it is doing; nothing before CloudNativePG has seen it.
    pub phase: String,
    /// Why.
    pub phase_reason: String,
    /// Why a role cannot be made, if it cannot.
    pub role_problem: Option<String>,
    /// Whether it hibernates: no server is left, the volumes are.
    pub is_hibernated: bool,
}

/// How far pods are rolled out, as the workload's controller says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    /// Whether the controller has seen the newest generation; if not, the rest
    /// speaks of an older one.
    pub current: bool,
    /// Pods that are wanted.
    pub wanted: i32,
    /// Pods that exist.
    pub existing: i32,
    /// Pods of the newest template.
    pub updated: i32,
    /// Pods that are ready, of any template.
    pub ready: i32,
    /// Pods that were told to stop and are not gone, where the controller counts
    /// them apart from those that exist.
    pub stopping: i32,
    /// Why pods cannot be made, if they cannot.
    pub failure: Option<String>,
}
