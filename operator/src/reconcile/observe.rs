//! From what was applied to what is true of each part of the stack.
//!
//! Pure, and fed with objects that the API server returned, never with wishes.

mod certificates;
mod foreign;
mod front;
mod workload;

use authstack_crds::{AuthStackSpec, CertificateStatus, ConditionType};

use super::apply::{Applied, Outcome};
use super::children::{Known, Live, Rollout, State};
use super::dereference::{External, Inputs, Reference};
use super::desired::{Api, Desired, Nginx, Postgres};
use super::finding::Finding;
use super::inspect::Details;
use super::names::{Component, Names};
use workload::{is_worth_a_look, workload};

/// The reason of a part that has no pod and is to have none.
pub(super) const STOPPED: &str = "Stopped";
/// The reason of a part that is on its way there.
pub(super) const STOPPING: &str = "Stopping";

/// What is true of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Generated credentials.
    pub credentials: Finding,
    /// The database.
    pub database: Finding,
    /// The API.
    pub api: Finding,
    /// nginx.
    pub nginx: Finding,
    /// The Ingress.
    pub ingress: Finding,
    /// The HTTPRoute, if there is to be one.
    pub http_route: Option<Finding>,
    /// What tells monitoring, if something is to.
    pub monitoring: Option<Finding>,
    /// Whether a client would be served now.
    pub serving: bool,
    /// The API's pods, if there is a Deployment.
    pub api_pods: Option<Pods>,
    /// Whether the Secret for client workloads is there.
    pub binding: bool,
    /// The certificates in use, if they were looked at.
    pub certificates: Option<Vec<CertificateStatus>>,
}

/// Numbers of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pods {
    /// Wanted.
    pub wanted: i32,
    /// There.
    pub existing: i32,
    /// Ready.
    pub ready: i32,
}

impl Observed {
    /// The findings with the conditions that show them, in the order in which
    /// the parts need each other. Parts that the stack has not got have none.
    #[must_use]
    pub fn findings(&self) -> Vec<(ConditionType, &Finding)> {
        let Self {
            credentials,
            database,
            api,
            nginx,
            ingress,
            http_route,
            monitoring,
            serving: _,
            api_pods: _,
            binding: _,
            certificates: _,
        } = self;
        let parts = [
            (ConditionType::CredentialsReady, Some(credentials)),
            (ConditionType::DatabaseReady, Some(database)),
            (ConditionType::ApiReady, Some(api)),
            (ConditionType::NginxReady, Some(nginx)),
            (ConditionType::IngressReady, Some(ingress)),
            (ConditionType::HTTPRouteReady, http_route.as_ref()),
            (ConditionType::MonitoringReady, monitoring.as_ref()),
        ];
        let parts = parts.into_iter();
        parts
            .filter_map(|(of, finding)| Some((of, finding?)))
            .collect()
    }

    /// Whether no part has a pod, and none is to have one.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        [&self.database, &self.api, &self.nginx]
            .into_iter()
            .all(|finding| finding.reason == STOPPED)
    }

    /// Whether the API server or another's object keeps a child from being as it
    /// is to be.
    #[must_use]
    pub fn has_refusal(&self) -> bool {
        self.findings().iter().any(|(_, finding)| finding.unwatched)
    }

    /// Replaces what was found of the part that an error is about.
    pub(super) fn blame(&mut self, component: Component, finding: Finding) {
        match component {
            Component::Credentials => self.credentials = finding,
            Component::Postgres | Component::PostgresJob => self.database = finding,
            Component::Api => self.api = finding,
            Component::Nginx => self.nginx = finding,
            Component::Ingress => self.ingress = finding,
            Component::HttpRoute => self.http_route = Some(finding),
            Component::Monitoring => self.monitoring = Some(finding),
        }
    }
}

/// Whether some part is not ready, so that its pods are worth a look.
#[must_use]
pub fn needs_details(applied: &Desired<Applied>) -> bool {
    let Desired {
        credentials: _,
        signing_keys: _,
        binding: _,
        authority: _,
        postgres,
        cluster: _,
        api,
        nginx,
        ingress_tls: _,
        certificate: _,
        ingress: _,
        http_route: _,
        pod_monitor: _,
    } = applied;
    let database = postgres.as_ref().map(|postgres| &postgres.stateful_set);
    let workloads = database
        .into_iter()
        .chain([&api.deployment, &nginx.deployment]);
    workloads
        .filter_map(|outcome| rollout(live(outcome)?))
        .any(is_worth_a_look)
}

/// The same of children that nobody applies.
#[must_use]
pub fn needs_details_of(children: &Known) -> bool {
    let rollouts = children.values().filter_map(|live| rollout(live));
    rollouts.into_iter().any(is_worth_a_look)
}

/// What is true of a stack whose children were applied.
#[must_use]
pub fn observe(inputs: &Inputs, applied: &Desired<Applied>, details: &Details) -> Observed {
    let Desired {
        credentials,
        signing_keys,
        binding,
        authority,
        postgres,
        cluster,
        api,
        nginx,
        ingress_tls,
        certificate,
        ingress,
        http_route,
        pod_monitor,
    } = applied;
    let Api {
        service_account: api_account,
        tls: api_tls,
        service: api_service,
        network_policy: api_policy,
        disruption_budget: api_budget,
        deployment: api_pods,
        autoscaler,
    } = api;
    let Nginx {
        service_account: nginx_account,
        config_map,
        service: nginx_service,
        network_policy: nginx_policy,
        disruption_budget: nginx_budget,
        deployment: nginx_pods,
    } = nginx;
    let objects = [api_account, api_tls, api_service, api_budget, api_pods];
    let api = refused(objects.into_iter().chain(api_policy).chain(autoscaler))
        .or_else(|| missing(&inputs.settings.reference))
        .unwrap_or_else(|| workload(Component::Api, live(api_pods), details));
    let objects = [
        binding,
        nginx_account,
        config_map,
        nginx_service,
        nginx_budget,
        nginx_pods,
    ];
    let nginx = refused(objects.into_iter().chain(nginx_policy))
        .unwrap_or_else(|| workload(Component::Nginx, live(nginx_pods), details));
    let api_pods = live(api_pods).and_then(rollout).map(pods);
    let nginx_pods = live(nginx_pods).and_then(rollout).map(pods);
    let (database, database_serves) = if let Some(postgres) = postgres {
        let pods = live(&postgres.stateful_set).and_then(rollout).map(pods);
        (managed(postgres, details), some_ready(pods))
    } else if let Some(cluster) = cluster {
        (foreign::cluster(cluster), foreign::cluster_serves(cluster))
    } else {
        let finding = external(inputs.external.as_ref(), api_pods);
        let serves = finding.ready == Some(true);
        (finding, serves)
    };
    Observed {
        credentials: refused([credentials, authority])
            .or_else(|| refused([signing_keys.as_ref()?]))
            .unwrap_or_else(|| certificates::credentials(inputs)),
        serving: database_serves && some_ready(api_pods) && some_ready(nginx_pods),
        database,
        api,
        nginx,
        ingress: front::ingress(
            ingress.as_ref(),
            ingress_tls.as_ref(),
            certificate.as_ref(),
            inputs,
        ),
        http_route: http_route.as_ref().map(front::http_route),
        monitoring: pod_monitor.as_ref().map(foreign::monitoring),
        api_pods,
        binding: live(binding).is_some(),
        certificates: Some(certificates::in_use(inputs, applied)),
    }
}

/// What is true of a stack whose children could not or may not be applied: what
/// the watches last saw of them. Nothing is called ready that may not be.
#[must_use]
pub fn observe_unapplied(
    spec: &AuthStackSpec,
    names: &Names,
    children: &Known,
    details: &Details,
) -> Observed {
    let of = |kind: &'static str, name: String| children.get(&(kind, name)).map(AsRef::as_ref);
    let postgres = of("StatefulSet", names.postgres());
    let api = of("Deployment", names.api());
    let nginx = of("Deployment", names.nginx());
    let part = |component, live: Option<&Live>| match live {
        Some(live) => workload(component, Some(live), details),
        None => not_applied(),
    };
    let postgres_pods = postgres.and_then(rollout).map(pods);
    let api_pods = api.and_then(rollout).map(pods);
    let nginx_pods = nginx.and_then(rollout).map(pods);
    let (database, database_serves) = if spec.postgres.managed.is_some() {
        let serves = some_ready(postgres_pods);
        (part(Component::Postgres, postgres), serves)
    } else if spec.postgres.cloud_native_pg.is_some() {
        let state = of("Cluster", names.postgres()).map(|live| &live.state);
        match state {
            Some(State::Cluster(cluster)) => {
                (foreign::cluster_finding(cluster), foreign::serves(cluster))
            }
            _ => (not_applied(), false),
        }
    } else {
        (external(None, api_pods), some_ready(api_pods))
    };
    Observed {
        credentials: match of("Secret", names.credentials()) {
            Some(_) => Finding::ready("Ready", "the credentials are there"),
            None => not_applied(),
        },
        serving: database_serves && some_ready(api_pods) && some_ready(nginx_pods),
        database,
        api: part(Component::Api, api),
        nginx: part(Component::Nginx, nginx),
        ingress: match of("Ingress", names.ingress()) {
            Some(_) => Finding::ready("Applied", "the Ingress is there"),
            None if !spec.ingress.enabled => front::no_ingress(),
            None => not_applied(),
        },
        http_route: spec.http_route.is_some().then(|| {
            let route = of("HTTPRoute", names.http_route());
            route.map_or_else(not_applied, |live| front::route(&live.state))
        }),
        monitoring: spec.monitoring.pod_monitor.then(|| {
            let monitor = of("PodMonitor", names.pod_monitor());
            monitor.map_or_else(not_applied, |_| foreign::monitored())
        }),
        api_pods,
        binding: of("Secret", names.binding()).is_some(),
        certificates: None,
    }
}

fn not_applied() -> Finding {
    Finding::unknown("NotApplied", "nothing was applied yet")
}

/// A client is served when nginx, the API and the database have a ready pod
/// each, of whichever generation.
fn some_ready(pods: Option<Pods>) -> bool {
    pods.is_some_and(|pods| pods.ready > 0)
}

fn live(outcome: &Outcome) -> Option<&Live> {
    match outcome {
        Outcome::Live(live) => Some(live),
        Outcome::Refused { .. } | Outcome::Unavailable(..) => None,
    }
}

/// The first refusal among a part's objects.
fn refused<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> Option<Finding> {
    outcomes.into_iter().find_map(|outcome| match outcome {
        Outcome::Live(_) => None,
        Outcome::Refused { reason, message } => Some(Finding::refused(reason, message)),
        Outcome::Unavailable(kind, availability) => Some(foreign::unavailable(*kind, availability)),
    })
}

/// Something that the manifest refers to and that is not there.
fn missing(reference: &Reference) -> Option<Finding> {
    match reference {
        Reference::Missing(message) => Some(Finding::stalled("ReferenceNotFound", message)),
        Reference::None | Reference::Found => None,
    }
}

fn rollout(live: &Live) -> Option<&Rollout> {
    match &live.state {
        State::Rollout(rollout) => Some(rollout),
        _ => None,
    }
}

fn pods(rollout: &Rollout) -> Pods {
    Pods {
        wanted: rollout.wanted,
        existing: rollout.existing,
        ready: rollout.ready,
    }
}

fn managed(postgres: &Postgres<Applied>, details: &Details) -> Finding {
    let Postgres {
        service_account,
        tls,
        config_map,
        service,
        headless_service,
        network_policy,
        job_network_policy,
        stateful_set,
        reload,
    } = postgres;
    let objects = [
        service_account,
        tls,
        config_map,
        service,
        headless_service,
        stateful_set,
    ];
    let policies = network_policy.iter().chain(job_network_policy);
    refused(objects.into_iter().chain(policies).chain(reload)).unwrap_or_else(|| {
        let finding = workload(Component::Postgres, live(stateful_set), details);
        match certificates::reload_failure(reload.as_ref()) {
            Some(failure) if finding.ready == Some(true) && finding.reason != STOPPED => failure,
            _ => finding,
        }
    })
}

/// The operator does not connect to a database that it does not run; the API's
/// readiness tells that it can be used.
fn external(external: Option<&External>, api: Option<Pods>) -> Finding {
    match external.map(|external| &external.reference) {
        Some(Reference::Missing(message)) => Finding::stalled("SecretNotFound", message),
        _ if api.is_some_and(|pods| pods.wanted == 0) => {
            Finding::ready(STOPPED, "nothing uses the external database")
        }
        _ if api.is_some_and(|pods| pods.ready > 0) => {
            Finding::ready("External", "the API is connected to the external database")
        }
        _ => Finding::unknown(
            "External",
            "no pod of the API has reached the external database yet",
        ),
    }
}
