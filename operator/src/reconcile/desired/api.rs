//! The auth API: interchangeable pods behind one Service.

use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::api::core::v1::{
    ConfigMapEnvSource, Container, EnvFromSource, EnvVar, EnvVarSource, PodSpec, SecretEnvSource,
    SecretKeySelector, Service, ServicePort, ServiceSpec, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use authstack_crds::{LogLevel, Registration, SecretKeyRef};

use super::pod::{self, Pace};
use super::{Api, Prepared, autoscaler, certificates, disruption_budget, network_policy, owned};
use crate::reconcile::certificates::Leaf;
use crate::reconcile::labels::{self, Map};
use crate::reconcile::names::{
    API_METRICS_PORT, API_PORT, CONFIG_CHECKSUM, Component, DATABASE, OWNER_ROLE, POSTGRES_PORT,
    RUNTIME_ROLE, SIGNING_KEYS_FILE, credential, tls,
};
use crate::reconcile::validate::{Database, Signing, Stack};

const COMPONENT: Component = Component::Api;
/// The image's own user, in numbers, so that the kubelet can see it is not root.
const USER: i64 = 65532;
/// What the schema's owner connects with.
const OWNER_SECRETS: &str = "/run/secrets/owner";
/// What the server connects with.
const RUNTIME_SECRETS: &str = "/run/secrets/database";
/// What signs tokens.
const SIGNING_SECRETS: &str = "/run/secrets/signing";
/// What the server proves itself with.
const TLS: &str = "/run/secrets/tls";
/// Where the authority is that the database's certificate must be of.
const DATABASE_TRUST: &str = "/run/secrets/postgres-ca";

pub(super) fn build(stack: &Stack, leaf: &Leaf) -> Api<Prepared> {
    let name = stack.names.api();
    Api {
        service_account: pod::service_account(stack, COMPONENT, name.clone()),
        tls: certificates::leaf(stack, COMPONENT, stack.names.api_tls(), leaf),
        service: service(stack, name.clone()),
        network_policy: network_policy::api(stack),
        disruption_budget: disruption_budget::build(stack, COMPONENT, name.clone()),
        deployment: deployment(stack, name),
        autoscaler: autoscaler::build(stack),
    }
}

fn service(stack: &Stack, name: String) -> Service {
    let port = |name: &str, number| ServicePort {
        name: Some(name.to_owned()),
        port: number,
        target_port: Some(IntOrString::String(name.to_owned())),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    };
    Service {
        metadata: owned(stack, COMPONENT, name),
        spec: Some(ServiceSpec {
            selector: Some(labels::selector(&stack.names.stack, COMPONENT)),
            ports: Some(vec![
                port("https", API_PORT),
                port("metrics", API_METRICS_PORT),
            ]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn deployment(stack: &Stack, name: String) -> Deployment {
    let stack_name = &stack.names.stack;
    // Pods read their secrets when they start.
    let annotations = Map::from([(CONFIG_CHECKSUM.to_owned(), stack.secrets_checksum.clone())]);
    Deployment {
        metadata: owned(stack, COMPONENT, name),
        spec: Some(DeploymentSpec {
            replicas: Some(stack.replicas(stack.api.replicas)),
            selector: labels::label_selector(stack_name, COMPONENT),
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_unavailable: Some(IntOrString::Int(0)),
                    max_surge: Some(IntOrString::Int(1)),
                }),
            }),
            template: pod::template(
                stack,
                COMPONENT,
                &stack.api.pod_template,
                annotations,
                pod_spec(stack),
            ),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

fn pod_spec(stack: &Stack) -> PodSpec {
    let names = &stack.names;
    let secret = |volume, secret, key| pod::secret_volume(volume, secret, &[key]);
    let mut volumes = Vec::new();
    match &stack.database {
        Database::Managed(_) | Database::CloudNativePg(_) => volumes.extend([
            secret("owner", names.credentials(), credential::OWNER_PASSWORD),
            secret("runtime", names.credentials(), credential::RUNTIME_PASSWORD),
        ]),
        // Whole: its owner may put an authority's certificate beside the URL.
        Database::External { url, .. } => {
            volumes.push(pod::secret_volume("runtime", url.name.clone(), &[]));
        }
    }
    if let Some(trust) = database_authority(stack) {
        volumes.push(secret("postgres-ca", trust, tls::TRUST));
    }
    let pair = [tls::CERTIFICATE, tls::KEY];
    volumes.push(pod::secret_volume("tls", names.api_tls(), &pair));
    volumes.push(match &stack.tokens.signing {
        Signing::EdDsa => secret("signing", names.signing_keys(), SIGNING_KEYS_FILE),
        Signing::Hs256(None) => secret("signing", names.credentials(), credential::SECRET_KEY),
        Signing::Hs256(Some(SecretKeyRef { name, key })) => secret("signing", name.clone(), key),
    });
    PodSpec {
        service_account_name: Some(stack.names.api()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(pod::security(USER)),
        // The server's own drain is bounded and shorter.
        termination_grace_period_seconds: Some(60),
        init_containers: Some(vec![migrate(stack)]),
        containers: vec![serve(stack)],
        volumes: Some(volumes),
        topology_spread_constraints: Some(pod::over_nodes(stack, COMPONENT)),
        affinity: Some(pod::over_zones(stack, COMPONENT)),
        ..PodSpec::default()
    }
}

/// Brings the schema up to date before the pod serves, as the schema's owner;
/// the server itself never holds the owner's credentials.
fn migrate(stack: &Stack) -> Container {
    let mut env = Vec::new();
    let mut mounts = database_trust(stack);
    match &stack.database {
        Database::Managed(_) | Database::CloudNativePg(_) => {
            env.push(pod::env("DATABASE_URL", database_url(stack, OWNER_ROLE)));
            env.push(pod::env(
                "DATABASE_PASSWORD_FILE",
                format!("{OWNER_SECRETS}/{}", credential::OWNER_PASSWORD),
            ));
            env.push(pod::env("RUNTIME_ROLE", RUNTIME_ROLE));
            mounts.push(pod::read_only("owner", OWNER_SECRETS));
        }
        Database::External {
            owner_url,
            runtime_role,
            ..
        } => {
            env.push(from_secret("DATABASE_URL", owner_url));
            if let Some(role) = runtime_role {
                env.push(pod::env("RUNTIME_ROLE", role));
            }
        }
    }
    env.push(pod::env("LOG_LEVEL", log_level(stack.api.log_level)));
    Container {
        name: "migrate".to_owned(),
        args: Some(vec!["migrate".to_owned()]),
        env: Some(env),
        volume_mounts: Some(mounts).filter(|mounts| !mounts.is_empty()),
        ..container(stack)
    }
}

fn serve(stack: &Stack) -> Container {
    let mut env = Vec::new();
    match &stack.database {
        Database::Managed(_) | Database::CloudNativePg(_) => {
            env.push(pod::env("DATABASE_URL", database_url(stack, RUNTIME_ROLE)));
            env.push(pod::env(
                "DATABASE_PASSWORD_FILE",
                format!("{RUNTIME_SECRETS}/{}", credential::RUNTIME_PASSWORD),
            ));
        }
        Database::External { url, .. } => env.push(pod::env(
            "DATABASE_URL_FILE",
            format!("{RUNTIME_SECRETS}/{}", url.key),
        )),
    }
    env.push(match &stack.tokens.signing {
        Signing::EdDsa => pod::env(
            "SIGNING_KEYS_FILE",
            format!("{SIGNING_SECRETS}/{SIGNING_KEYS_FILE}"),
        ),
        Signing::Hs256(None) => pod::env(
            "SECRET_KEY_FILE",
            format!("{SIGNING_SECRETS}/{}", credential::SECRET_KEY),
        ),
        Signing::Hs256(Some(reference)) => pod::env(
            "SECRET_KEY_FILE",
            format!("{SIGNING_SECRETS}/{}", reference.key),
        ),
    });
    env.extend(settings(stack));
    let mut mounts = vec![
        pod::read_only("runtime", RUNTIME_SECRETS),
        pod::read_only("signing", SIGNING_SECRETS),
        pod::read_only("tls", TLS),
    ];
    mounts.extend(database_trust(stack));
    let pace = |period, failures| Pace {
        period,
        timeout: 2,
        failures,
    };
    Container {
        name: "api".to_owned(),
        args: Some(vec!["serve".to_owned()]),
        ports: Some(vec![
            pod::port("https", API_PORT),
            pod::port("metrics", API_METRICS_PORT),
        ]),
        env: Some(env),
        // Quick to say yes at the start; afterwards the pace of the others.
        startup_probe: Some(pace(1, 120).http("/readyz", "metrics")),
        readiness_probe: Some(pace(2, 2).http("/readyz", "metrics")),
        liveness_probe: Some(pace(10, 3).http("/livez", "metrics")),
        env_from: env_from(stack),
        volume_mounts: Some(mounts),
        ..container(stack)
    }
}

/// What both containers are.
fn container(stack: &Stack) -> Container {
    Container {
        image: Some(stack.api.image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        resources: Some(stack.api.resources.clone()),
        security_context: Some(pod::confined()),
        termination_message_policy: Some(pod::FALLBACK_TO_LOGS.to_owned()),
        ..Container::default()
    }
}

/// The server's settings, as ARCHITECTURE.md lists them.
fn settings(stack: &Stack) -> Vec<EnvVar> {
    let registration = match stack.registration {
        Registration::Open => "open",
        Registration::Closed => "closed",
    };
    let tokens = &stack.tokens;
    vec![
        pod::env("PORT", API_PORT.to_string()),
        pod::env("TLS_CERT_FILE", format!("{TLS}/{}", tls::CERTIFICATE)),
        pod::env("TLS_KEY_FILE", format!("{TLS}/{}", tls::KEY)),
        pod::env("METRICS_PORT", API_METRICS_PORT.to_string()),
        pod::env("PUBLIC_URL", &stack.public_url),
        pod::env("ISSUER", &tokens.issuer),
        pod::env("AUDIENCE", &tokens.audience),
        pod::env("ACCESS_TOKEN_TTL", &tokens.access_ttl),
        pod::env("REFRESH_TOKEN_TTL", &tokens.refresh_ttl),
        pod::env("REGISTRATION", registration),
        pod::env("PASSWORD_MIN_LENGTH", stack.password_min_length.to_string()),
        // nginx overwrites what clients send, so its word is the one to take.
        pod::env("TRUSTED_PROXY_HOPS", "1"),
        pod::env("LOG_LEVEL", log_level(stack.api.log_level)),
    ]
}

/// Settings in objects of somebody else's; those above win.
fn env_from(stack: &Stack) -> Option<Vec<EnvFromSource>> {
    let sources = stack.api.env_from.iter().map(|from| EnvFromSource {
        secret_ref: from.secret_ref.as_ref().map(|reference| SecretEnvSource {
            name: reference.name.clone(),
            optional: None,
        }),
        config_map_ref: from
            .config_map_ref
            .as_ref()
            .map(|reference| ConfigMapEnvSource {
                name: reference.name.clone(),
                optional: None,
            }),
        prefix: None,
    });
    let sources: Vec<_> = sources.collect();
    (!sources.is_empty()).then_some(sources)
}

/// The Secret with the authority of a database that the operator knows inside.
/// CloudNativePG's also holds the authority's key, which stays out of the pod.
fn database_authority(stack: &Stack) -> Option<String> {
    match stack.database {
        Database::Managed(_) => Some(stack.names.postgres_tls()),
        Database::CloudNativePg(_) => Some(stack.names.cluster_authority()),
        Database::External { .. } => None,
    }
}

/// What both containers need to know such a database by. The file is read at
/// each connection, so a new one needs no restart.
fn database_trust(stack: &Stack) -> Vec<VolumeMount> {
    let mount = |_| pod::read_only("postgres-ca", DATABASE_TRUST);
    database_authority(stack).map(mount).into_iter().collect()
}

/// Where a role of such a database connects. Through a pooler go only the
/// requests of clients: what migrations lock for the length of a session, they
/// must lock in a session of their own.
fn database_url(stack: &Stack, role: &str) -> String {
    let names = &stack.names;
    let service = match &stack.database {
        Database::CloudNativePg(cluster) if cluster.pooler.is_some() && role == RUNTIME_ROLE => {
            names.pooler()
        }
        Database::CloudNativePg(_) => names.cluster_primary(),
        Database::Managed(_) | Database::External { .. } => names.postgres(),
    };
    let host = names.host(&service);
    let trust = format!("{DATABASE_TRUST}/{}", tls::TRUST);
    format!(
        "postgres://{role}@{host}:{POSTGRES_PORT}/{DATABASE}?sslmode=verify-full&sslrootcert={trust}"
    )
}

fn from_secret(name: &str, reference: &SecretKeyRef) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: reference.name.clone(),
                key: reference.key.clone(),
                optional: None,
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

fn log_level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}
