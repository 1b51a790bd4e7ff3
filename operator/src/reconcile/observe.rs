//! From what was applied to what is true of each part of the stack.
//!
//! Pure, and fed with objects that the API server returned, never with wishes.

mod certificates;

use authstack_crds::{CertificateStatus, ConditionType};

use super::apply::{Applied, Outcome};
use super::children::{Known, Live, Rollout, State};
use super::dereference::{Inputs, Reference};
use super::desired::{Api, Desired, Nginx, Postgres};
use super::diagnose::diagnose;
use super::finding::Finding;
use super::inspect::Details;
use super::names::{Component, Names};

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
    /// the parts need each other.
    #[must_use]
    pub fn findings(&self) -> [(ConditionType, &Finding); 5] {
        let Self {
            credentials,
            database,
            api,
            nginx,
            ingress,
            serving: _,
            api_pods: _,
            binding: _,
            certificates: _,
        } = self;
        [
            (ConditionType::CredentialsReady, credentials),
            (ConditionType::DatabaseReady, database),
            (ConditionType::ApiReady, api),
            (ConditionType::NginxReady, nginx),
            (ConditionType::IngressReady, ingress),
        ]
    }

    /// Replaces what was found of the part that an error is about.
    pub(super) fn blame(&mut self, component: Component, finding: Finding) {
        *match component {
            Component::Credentials => &mut self.credentials,
            Component::Postgres | Component::PostgresJob => &mut self.database,
            Component::Api => &mut self.api,
            Component::Nginx => &mut self.nginx,
            Component::Ingress => &mut self.ingress,
        } = finding;
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
        api,
        nginx,
        ingress_tls: _,
        ingress: _,
    } = applied;
    let database = postgres.as_ref().map(|postgres| &postgres.stateful_set);
    let workloads = database
        .into_iter()
        .chain([&api.deployment, &nginx.deployment]);
    workloads
        .filter_map(|outcome| rollout(live(outcome)?))
        .any(|rollout| !is_complete(rollout))
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
        api,
        nginx,
        ingress_tls,
        ingress,
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
    } else {
        let finding = external(inputs, api_pods);
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
        ingress: ingress_finding(ingress.as_ref(), ingress_tls.as_ref(), inputs),
        api_pods,
        binding: live(binding).is_some(),
        certificates: Some(certificates::in_use(inputs, applied)),
    }
}

/// What is true of a stack whose children could not be applied: what the
/// watches last saw of them. Nothing is called ready that may not be.
#[must_use]
pub fn observe_unapplied(names: &Names, children: &Known) -> Observed {
    let of = |kind: &'static str, name: String| children.get(&(kind, name)).map(AsRef::as_ref);
    let postgres = of("StatefulSet", names.postgres());
    let api = of("Deployment", names.api());
    let nginx = of("Deployment", names.nginx());
    let part = |component, live: Option<&Live>| match live {
        Some(live) => workload(component, Some(live), &Details::default()),
        None => Finding::unknown("NotApplied", "nothing was applied yet"),
    };
    let database = part(Component::Postgres, postgres);
    let postgres_pods = postgres.and_then(rollout).map(pods);
    let api_pods = api.and_then(rollout).map(pods);
    let nginx_pods = nginx.and_then(rollout).map(pods);
    Observed {
        credentials: Finding::unknown("NotApplied", "not looked at, because of an earlier problem"),
        serving: some_ready(postgres_pods) && some_ready(api_pods) && some_ready(nginx_pods),
        database,
        api: part(Component::Api, api),
        nginx: part(Component::Nginx, nginx),
        ingress: match of("Ingress", names.ingress()) {
            Some(_) => Finding::ready("Applied", "the Ingress is there"),
            None => Finding::unknown("NotApplied", "nothing was applied yet"),
        },
        api_pods,
        binding: of("Secret", names.binding()).is_some(),
        certificates: None,
    }
}

/// A client is served when nginx, the API and the database have a ready pod
/// each, of whichever generation.
fn some_ready(pods: Option<Pods>) -> bool {
    pods.is_some_and(|pods| pods.ready > 0)
}

fn live(outcome: &Outcome) -> Option<&Live> {
    match outcome {
        Outcome::Live(live) => Some(live),
        Outcome::Refused { .. } => None,
    }
}

/// The first refusal among a part's objects.
fn refused<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> Option<Finding> {
    outcomes.into_iter().find_map(|outcome| match outcome {
        Outcome::Live(_) => None,
        Outcome::Refused { reason, message } => Some(Finding::refused(reason, message)),
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
        State::Plain | State::Ingress { .. } | State::Job(_) => None,
    }
}

fn pods(rollout: &Rollout) -> Pods {
    Pods {
        wanted: rollout.wanted,
        existing: rollout.existing,
        ready: rollout.ready,
    }
}

/// All wanted pods are of the newest template and ready, and no other is left.
fn is_complete(rollout: &Rollout) -> bool {
    let Rollout {
        current,
        wanted,
        existing,
        updated,
        ready,
        failure: _,
    } = rollout;
    *current && updated >= wanted && existing <= wanted && ready >= wanted
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
            Some(failure) if finding.ready == Some(true) => failure,
            _ => finding,
        }
    })
}

/// The operator does not connect to a database that it does not run; the API's
/// readiness tells that it can be used.
fn external(inputs: &Inputs, api: Option<Pods>) -> Finding {
    let reference = inputs.external.as_ref().map(|external| &external.reference);
    match reference {
        Some(Reference::Missing(message)) => Finding::stalled("SecretNotFound", message),
        _ if api.is_some_and(|pods| pods.ready > 0) => {
            Finding::ready("External", "the API is connected to the external database")
        }
        _ => Finding::unknown(
            "External",
            "no pod of the API has reached the external database yet",
        ),
    }
}

fn ingress_finding(
    ingress: Option<&Outcome>,
    certificate: Option<&Outcome>,
    inputs: &Inputs,
) -> Finding {
    if let Some(finding) = certificate.and_then(|certificate| refused([certificate])) {
        return finding;
    }
    match ingress {
        None => Finding::ready("Disabled", "spec.ingress.enabled is false"),
        Some(Outcome::Refused { reason, message }) => Finding::refused(reason, message),
        Some(Outcome::Live(live)) => match (&inputs.tls, &live.state) {
            (Reference::Missing(message), _) => Finding::stalled("SecretNotFound", message),
            (_, state) => certificates::exposed(inputs).unwrap_or_else(|| addressed(state)),
        },
    }
}

fn addressed(state: &State) -> Finding {
    match state {
        State::Ingress { has_address: true } => {
            Finding::ready("Ready", "the Ingress has an address")
        }
        // There may be no controller that ever gives it one.
        _ => Finding::ready(
            "AddressPending",
            "the Ingress is applied; no controller has given it an address yet",
        ),
    }
}

fn workload(component: Component, live: Option<&Live>, details: &Details) -> Finding {
    let noun = match component {
        Component::Postgres => "PostgreSQL",
        Component::Nginx => "nginx",
        _ => "the API",
    };
    let Some(rollout) = live.and_then(rollout) else {
        return Finding::unknown("Unknown", format!("{noun} has not been seen yet"));
    };
    if is_complete(rollout) {
        let message = match (component, rollout.wanted) {
            (Component::Postgres, _) => "PostgreSQL accepts connections".to_owned(),
            (_, 1) => format!("1 pod of {noun} is ready"),
            (_, wanted) => format!("{wanted} pods of {noun} are ready"),
        };
        return Finding::ready("Ready", message);
    }
    if let Some(cause) = diagnose(component, details) {
        return cause.into();
    }
    if let Some(failure) = &rollout.failure {
        return Finding::stalled(
            "PodsRefused",
            format!("the cluster refuses pods of {noun}: {failure}"),
        );
    }
    Finding::not_ready("Progressing", progress(noun, rollout))
}

fn progress(noun: &str, rollout: &Rollout) -> String {
    let Rollout {
        current,
        wanted,
        existing,
        updated,
        ready,
        failure: _,
    } = rollout;
    if !current {
        format!("the rollout of {noun} begins")
    } else if updated < wanted {
        format!("{updated} of {wanted} pods of {noun} are at the newest configuration")
    } else if ready < wanted {
        format!("{ready} of {wanted} pods of {noun} are ready")
    } else {
        format!("{} old pods of {noun} are being stopped", existing - wanted)
    }
}
