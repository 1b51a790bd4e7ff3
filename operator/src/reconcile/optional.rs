//! The kinds that a cluster may lack, and what is known of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use authstack_crds::AuthStackSpec;

/// A kind that comes with another project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Optional {
    /// Of the Gateway API.
    HttpRoute,
    /// Of cert-manager.
    Certificate,
    /// Of CloudNativePG.
    Cluster,
    /// Of CloudNativePG.
    Pooler,
    /// Of the Prometheus operator.
    PodMonitor,
}

/// Whether a kind can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Availability {
    /// Nobody knows yet: it has not been looked up, or not been listed.
    #[default]
    Unknown,
    /// The cluster does not serve it.
    Missing,
    /// The operator may not read it; what the API server said.
    Forbidden(String),
    /// It is served and watched.
    Served,
}

impl Optional {
    /// Every one.
    pub const ALL: [Self; 5] = [
        Self::HttpRoute,
        Self::Certificate,
        Self::Cluster,
        Self::Pooler,
        Self::PodMonitor,
    ];

    /// Its API group.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Self::HttpRoute => "gateway.networking.k8s.io",
            Self::Certificate => "cert-manager.io",
            Self::Cluster | Self::Pooler => "postgresql.cnpg.io",
            Self::PodMonitor => "monitoring.coreos.com",
        }
    }

    /// The version that the operator speaks.
    #[must_use]
    pub fn version(self) -> &'static str {
        "v1"
    }

    /// Its plural, as addresses have it.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::HttpRoute => "httproutes",
            Self::Certificate => "certificates",
            Self::Cluster => "clusters",
            Self::Pooler => "poolers",
            Self::PodMonitor => "podmonitors",
        }
    }

    /// The field of a manifest that needs it.
    fn field(self) -> &'static str {
        match self {
            Self::HttpRoute => "spec.httpRoute",
            Self::Certificate => "spec.ingress.tls.issuerRef",
            Self::Cluster => "spec.postgres.cloudNativePG",
            Self::Pooler => "spec.postgres.cloudNativePG.pooler",
            Self::PodMonitor => "spec.monitoring.podMonitor",
        }
    }

    /// What to do where it is missing.
    fn remedy(self) -> &'static str {
        match self {
            Self::HttpRoute => {
                "install the Gateway API and a controller for it, or remove spec.httpRoute and use spec.ingress"
            }
            Self::Certificate => "install cert-manager, or use spec.ingress.tls.secretName",
            Self::Cluster => {
                "install CloudNativePG, or create the AuthStack anew with another spec.postgres"
            }
            Self::Pooler => "upgrade CloudNativePG, or remove the pooler",
            Self::PodMonitor => {
                "install the Prometheus operator, or set spec.monitoring.podMonitor to false"
            }
        }
    }

    /// What a human is told where the cluster lacks it.
    #[must_use]
    pub fn missing(self) -> String {
        format!(
            "{} needs {}.{}/{}, which this cluster does not serve: {}",
            self.field(),
            self.plural(),
            self.group(),
            self.version(),
            self.remedy()
        )
    }

    /// What a human is told where the operator may not use it.
    #[must_use]
    pub fn forbidden(self, answer: &str) -> String {
        format!(
            "{} needs {}.{}, which the operator may not watch ({answer}): give its role the rights of config/rbac",
            self.field(),
            self.plural(),
            self.group(),
        )
    }

    /// What a human is told until it is known.
    #[must_use]
    pub fn unknown(self) -> String {
        format!(
            "{} needs {}.{}, and it is not known yet whether this cluster serves it",
            self.field(),
            self.plural(),
            self.group(),
        )
    }
}

/// The kinds that a manifest needs beside Kubernetes' own.
#[must_use]
pub fn needs(spec: &AuthStackSpec) -> BTreeSet<Optional> {
    let ingress = Some(&spec.ingress).filter(|ingress| ingress.enabled);
    let tls = ingress.and_then(|ingress| ingress.tls.as_ref());
    let cluster = spec.postgres.cloud_native_pg.as_ref();
    let wanted = [
        (Optional::HttpRoute, spec.http_route.is_some()),
        (
            Optional::Certificate,
            tls.is_some_and(|tls| tls.issuer_ref.is_some()),
        ),
        (Optional::Cluster, cluster.is_some()),
        (
            Optional::Pooler,
            cluster.is_some_and(|cluster| cluster.pooler.is_some()),
        ),
        (Optional::PodMonitor, spec.monitoring.pod_monitor),
    ];
    let wanted = wanted.into_iter().filter(|(_, wanted)| *wanted);
    wanted.map(|(kind, _)| kind).collect()
}

/// What is known of each kind. The watches report here.
#[derive(Debug, Default)]
pub struct Availabilities {
    known: Mutex<BTreeMap<Optional, Availability>>,
}

impl Availabilities {
    /// Whether a kind can be used.
    #[must_use]
    pub fn of(&self, kind: Optional) -> Availability {
        self.lock().get(&kind).cloned().unwrap_or_default()
    }

    /// Takes note; tells whether it is news.
    pub fn set(&self, kind: Optional, now: &Availability) -> bool {
        let mut known = self.lock();
        let before = known.insert(kind, now.clone()).unwrap_or_default();
        before != *now
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Optional, Availability>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
