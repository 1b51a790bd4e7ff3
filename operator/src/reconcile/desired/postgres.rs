//! The managed database: one PostgreSQL on one volume.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{
    StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec,
    StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, PersistentVolumeClaim, PersistentVolumeClaimSpec, PodSpec, Service,
    ServicePort, ServiceSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use authstack_crds::DeletionPolicy;

use super::pod::{self, Pace};
use super::{Postgres, Prepared, certificates, network_policy, owned, postgres_reload};
use crate::reconcile::certificates::Leaf;
use crate::reconcile::labels::{self, Map};
use crate::reconcile::names::{
    Component, DATABASE, OWNER_ROLE, POSTGRES_MAJOR, POSTGRES_PORT, RUNTIME_ROLE, credential, tls,
};
use crate::reconcile::validate::{self, Stack};

const COMPONENT: Component = Component::Postgres;

/// The user of the official images since they are based on Debian.
pub(super) const USER: i64 = 999;
/// Where the volume is mounted. From version 18 on the official image declares
/// this very path, and would shadow a mount beneath it with a volume of its own.
const MOUNT: &str = "/var/lib/postgresql";
/// Where the database lives: a directory of its own, because the volume's root
/// may hold a `lost+found`, which initdb refuses.
const PGDATA: &str = "/var/lib/postgresql/data";
const SECRETS: &str = "/run/secrets/postgres";
/// Where the server's certificate and key are.
pub(super) const TLS: &str = "/run/secrets/postgres-tls";
const CONFIG: &str = "/etc/authstack";
const ROLES: &str = "10-roles.sh";
const HBA: &str = "pg_hba.conf";
/// Who may connect, and how: over the socket, which only the pod's own processes
/// reach, and otherwise with TLS. Nobody without a password; what no line names
/// is refused.
const HBA_RULES: &str = "# Written by authstack-operator; changes are undone.
local   all all     scram-sha-256
hostssl all all all scram-sha-256
";

pub(super) fn build(
    stack: &Stack,
    postgres: &validate::Postgres,
    leaf: &Leaf,
) -> Postgres<Prepared> {
    let names = &stack.names;
    Postgres {
        service_account: pod::service_account(stack, COMPONENT, names.postgres()),
        tls: certificates::leaf(stack, COMPONENT, names.postgres_tls(), leaf),
        config_map: config_map(stack),
        service: service(stack, names.postgres(), None),
        headless_service: service(stack, names.postgres_headless(), Some("None")),
        network_policy: network_policy::postgres(stack),
        job_network_policy: network_policy::postgres_job(stack),
        stateful_set: stateful_set(stack, postgres),
        // A server that does not run reads it when it starts.
        reload: (leaf.is_reload_due() && !stack.stopped)
            .then(|| postgres_reload::build(stack, postgres, leaf)),
    }
}

/// Who may connect; and what the image's entrypoint runs when it has made an
/// empty database: the two roles, neither of them a superuser. Passwords come
/// from files and go through psql's own quoting, so no process list and no log
/// shows them.
fn config_map(stack: &Stack) -> ConfigMap {
    let script = format!(
        r#"set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname {DATABASE} <<'SQL'
\set owner_password `cat {SECRETS}/{owner}`
\set runtime_password `cat {SECRETS}/{runtime}`
CREATE ROLE {OWNER_ROLE} LOGIN PASSWORD :'owner_password';
CREATE ROLE {RUNTIME_ROLE} LOGIN PASSWORD :'runtime_password';
ALTER DATABASE {DATABASE} OWNER TO {OWNER_ROLE};
REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC;
GRANT CONNECT ON DATABASE {DATABASE} TO {RUNTIME_ROLE};
SQL
"#,
        owner = credential::OWNER_PASSWORD,
        runtime = credential::RUNTIME_PASSWORD,
    );
    ConfigMap {
        metadata: owned(stack, COMPONENT, stack.names.postgres()),
        data: Some(Map::from([
            (ROLES.to_owned(), script),
            (HBA.to_owned(), HBA_RULES.to_owned()),
        ])),
        ..ConfigMap::default()
    }
}

/// Clients use the Service with an address: its name resolves from the moment
/// it exists. The headless one's does not before the pod has an address, and
/// resolvers remember that for up to half a minute.
fn service(stack: &Stack, name: String, cluster_ip: Option<&str>) -> Service {
    Service {
        metadata: owned(stack, COMPONENT, name),
        spec: Some(ServiceSpec {
            cluster_ip: cluster_ip.map(ToOwned::to_owned),
            selector: Some(labels::selector(&stack.names.stack, COMPONENT)),
            ports: Some(vec![ServicePort {
                name: Some("postgres".to_owned()),
                port: POSTGRES_PORT,
                target_port: Some(IntOrString::String("postgres".to_owned())),
                protocol: Some("TCP".to_owned()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn stateful_set(stack: &Stack, postgres: &validate::Postgres) -> StatefulSet {
    let names = &stack.names;
    StatefulSet {
        metadata: owned(stack, COMPONENT, names.postgres()),
        spec: Some(StatefulSetSpec {
            replicas: Some(stack.replicas(1)),
            service_name: Some(names.postgres_headless()),
            selector: labels::label_selector(&names.stack, COMPONENT),
            // A pod that never became ready is then replaced when its template
            // is mended; OrderedReady would wait for it for ever.
            pod_management_policy: Some("Parallel".to_owned()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("RollingUpdate".to_owned()),
                ..StatefulSetUpdateStrategy::default()
            }),
            persistent_volume_claim_retention_policy: Some(retention(stack.deletion_policy)),
            template: pod::template(
                stack,
                COMPONENT,
                &postgres.pod_template,
                Map::new(),
                pod_spec(stack, postgres),
            ),
            volume_claim_templates: Some(vec![claim(stack, postgres)]),
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

fn retention(policy: DeletionPolicy) -> StatefulSetPersistentVolumeClaimRetentionPolicy {
    let when_deleted = match policy {
        DeletionPolicy::Retain => "Retain",
        DeletionPolicy::Delete => "Delete",
    };
    StatefulSetPersistentVolumeClaimRetentionPolicy {
        when_deleted: Some(when_deleted.to_owned()),
        when_scaled: Some("Retain".to_owned()),
    }
}

fn claim(stack: &Stack, postgres: &validate::Postgres) -> PersistentVolumeClaim {
    let mut labels = labels::pod(&stack.names.stack, COMPONENT);
    labels.insert(POSTGRES_MAJOR.to_owned(), postgres.major.to_string());
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some("data".to_owned()),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: postgres.storage_class.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), postgres.storage_size.clone())].into()),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}

fn pod_spec(stack: &Stack, postgres: &validate::Postgres) -> PodSpec {
    let names = &stack.names;
    let secrets = [
        credential::SUPERUSER_PASSWORD,
        credential::OWNER_PASSWORD,
        credential::RUNTIME_PASSWORD,
    ];
    PodSpec {
        service_account_name: Some(names.postgres()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(pod::security(USER)),
        // Long enough to write a last checkpoint to a slow volume.
        termination_grace_period_seconds: Some(120),
        containers: vec![container(postgres)],
        volumes: Some(vec![
            pod::secret_volume("secrets", names.credentials(), &secrets),
            pod::config_file("initdb", names.postgres(), ROLES),
            pod::config_file("config", names.postgres(), HBA),
            pod::secret_volume("tls", names.postgres_tls(), &[tls::CERTIFICATE, tls::KEY]),
            pod::scratch_volume("run"),
            pod::scratch_volume("tmp"),
        ]),
        ..PodSpec::default()
    }
}

/// The server's settings, on its command line: the operator's own come last,
/// because the last one counts. `$` is doubled, or Kubernetes would put variables
/// in.
fn arguments(parameters: &BTreeMap<String, String>) -> Vec<String> {
    let own = [
        ("hba_file", format!("{CONFIG}/{HBA}")),
        ("password_encryption", "scram-sha-256".to_owned()),
        ("ssl", "on".to_owned()),
        ("ssl_cert_file", format!("{TLS}/{}", tls::CERTIFICATE)),
        ("ssl_key_file", format!("{TLS}/{}", tls::KEY)),
        ("ssl_min_protocol_version", "TLSv1.2".to_owned()),
    ];
    let given = parameters
        .iter()
        .map(|(name, value)| (name.as_str(), value.replace('$', "$$")));
    given
        .chain(own)
        .flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")])
        .collect()
}

fn container(postgres: &validate::Postgres) -> Container {
    let ask = [
        "pg_isready",
        "--quiet",
        // Over TCP: while the first boot prepares the database, the server
        // listens on its socket only.
        "--host=127.0.0.1",
        "--username=postgres",
        "--dbname=authstack",
    ];
    let pace = |period, failures| Pace {
        period,
        timeout: 5,
        failures,
    };
    Container {
        name: "postgres".to_owned(),
        image: Some(postgres.image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        args: Some(arguments(&postgres.parameters)),
        ports: Some(vec![pod::port("postgres", POSTGRES_PORT)]),
        env: Some(vec![
            pod::env("PGDATA", PGDATA),
            pod::env("POSTGRES_DB", DATABASE),
            pod::env("POSTGRES_USER", "postgres"),
            pod::env(
                "POSTGRES_PASSWORD_FILE",
                format!("{SECRETS}/{}", credential::SUPERUSER_PASSWORD),
            ),
            pod::env(
                "POSTGRES_INITDB_ARGS",
                "--encoding=UTF8 --locale=C.UTF-8 --data-checksums --auth-host=scram-sha-256",
            ),
        ]),
        resources: Some(postgres.resources.clone()),
        security_context: Some(pod::confined()),
        // Crash recovery may take minutes, and killing it starts it over.
        startup_probe: Some(pace(1, 600).exec(&ask)),
        readiness_probe: Some(pace(5, 2).exec(&ask)),
        liveness_probe: Some(pace(10, 6).exec(&ask)),
        termination_message_policy: Some(pod::FALLBACK_TO_LOGS.to_owned()),
        volume_mounts: Some(vec![
            pod::mount("data", MOUNT),
            pod::read_only("secrets", SECRETS),
            pod::read_only("initdb", "/docker-entrypoint-initdb.d"),
            pod::read_only("config", CONFIG),
            pod::read_only("tls", TLS),
            pod::mount("run", "/var/run/postgresql"),
            pod::mount("tmp", "/tmp"),
        ]),
        ..Container::default()
    }
}
