//! A database that CloudNativePG runs: the cluster, the passwords of the two
//! roles in the form that CloudNativePG reads, and a pooler if there is to be one.

use std::collections::BTreeMap;

use authstack_crds::{CloudNativePgSpec, DeletionPolicy, ManagedPostgresSpec, PoolerSpec};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Cluster, Prepared, network_policy, owned, unowned};
use crate::foreign::cloud_native_pg::{
    self as foreign, Bootstrap, Certificates, ClusterName, ClusterSpec, InitDb, Managed, PgBouncer,
    Pooler, Role, SecretName, Settings, Storage, Synchronous,
};
use crate::reconcile::dereference::Credentials;
use crate::reconcile::names::{Component, DATABASE, OWNER_ROLE, RUNTIME_ROLE};
use crate::reconcile::resources;
use crate::reconcile::validate::Stack;

const COMPONENT: Component = Component::Postgres;
/// The label of Secrets that CloudNativePG reads again when they change.
const RELOAD: &str = "cnpg.io/reload";

pub(super) fn build(
    stack: &Stack,
    spec: &CloudNativePgSpec,
    credentials: &Credentials,
) -> Cluster<Prepared> {
    let names = &stack.names;
    let password = |name, role, password| password_secret(stack, name, role, password);
    Cluster {
        owner_secret: password(
            names.cluster_owner(),
            OWNER_ROLE,
            &credentials.owner_password,
        ),
        runtime_secret: password(
            names.cluster_runtime(),
            RUNTIME_ROLE,
            &credentials.runtime_password,
        ),
        network_policy: network_policy::cluster(stack),
        cluster: cluster(stack, spec),
        pooler: spec.pooler.as_ref().map(|spec| pooler(stack, spec)),
    }
}

/// Metadata of what goes with the data. CloudNativePG deletes the volumes with
/// the cluster, so what is to stay must not have the stack as its owner.
fn metadata(stack: &Stack, name: String) -> ObjectMeta {
    match stack.deletion_policy {
        DeletionPolicy::Retain => unowned(stack, COMPONENT, name),
        DeletionPolicy::Delete => owned(stack, COMPONENT, name),
    }
}

fn password_secret(stack: &Stack, name: String, role: &str, password: &SecretString) -> Secret {
    let mut metadata = metadata(stack, name);
    let labels = metadata.labels.get_or_insert_default();
    labels.insert(RELOAD.to_owned(), "true".to_owned());
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    Secret {
        metadata,
        type_: Some("kubernetes.io/basic-auth".to_owned()),
        data: Some(BTreeMap::from([
            ("username".to_owned(), bytes(role)),
            ("password".to_owned(), bytes(password.expose_secret())),
        ])),
        ..Secret::default()
    }
}

fn cluster(stack: &Stack, spec: &CloudNativePgSpec) -> foreign::Cluster {
    let names = &stack.names;
    let secret = |name| SecretName { name };
    // The server must show a certificate for whatever name it is called by.
    let certificates = spec.pooler.as_ref().map(|_| Certificates {
        server_alt_dns_names: vec![names.host(&names.pooler())],
    });
    let mut metadata = metadata(stack, names.postgres());
    if stack.stopped {
        let hibernation = (foreign::HIBERNATION.to_owned(), "on".to_owned());
        metadata.annotations = Some(BTreeMap::from([hibernation]));
    }
    foreign::Cluster {
        metadata,
        spec: ClusterSpec {
            instances: spec.instances,
            image_name: spec.image.clone(),
            storage: Storage {
                size: Some(spec.storage.size.clone()),
                storage_class: spec.storage.storage_class_name.clone(),
            },
            // One default for PostgreSQL, whoever runs it.
            resources: resources::complete(
                &spec.resources,
                &ManagedPostgresSpec::default().resources,
            ),
            bootstrap: Some(Bootstrap {
                initdb: InitDb {
                    database: DATABASE.to_owned(),
                    owner: OWNER_ROLE.to_owned(),
                    secret: secret(names.cluster_owner()),
                    data_checksums: Some(true),
                    // Migrations grant to this role, and may run before
                    // CloudNativePG comes to the roles that it manages.
                    post_init_application_sql: vec![format!("CREATE ROLE {RUNTIME_ROLE}")],
                },
            }),
            managed: Some(Managed {
                roles: vec![Role {
                    name: RUNTIME_ROLE.to_owned(),
                    login: true,
                    password_secret: Some(secret(names.cluster_runtime())),
                }],
            }),
            postgresql: Some(Settings {
                pg_hba: vec!["hostnossl all all all reject".to_owned()],
                synchronous: synchronous(spec.instances),
            }),
            certificates,
        },
        status: None,
    }
}

/// What is acknowledged outlives the primary: a commit waits for one standby, and
/// only who has it is promoted. With one standby alone that would stop all writes
/// while it is away, so that is asked of three instances and more.
fn synchronous(instances: i32) -> Option<Synchronous> {
    let is_required = instances > 2;
    (instances > 1).then(|| Synchronous {
        method: "any".to_owned(),
        number: 1,
        data_durability: if is_required { "required" } else { "preferred" }.to_owned(),
        failover_quorum: is_required,
    })
}

fn pooler(stack: &Stack, spec: &PoolerSpec) -> Pooler {
    let names = &stack.names;
    Pooler {
        metadata: owned(stack, COMPONENT, names.pooler()),
        spec: foreign::PoolerSpec {
            cluster: ClusterName {
                name: names.postgres(),
            },
            type_: "rw".to_owned(),
            instances: spec.instances,
            pgbouncer: PgBouncer {
                // The API sets a time limit for the statements of each of its
                // connections, which only a session keeps.
                pool_mode: "session".to_owned(),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_waits_for_a_standby_and_never_for_the_only_one() {
        let durability = |instances| synchronous(instances).map(|it| it.data_durability);
        assert_eq!(durability(1), None);
        assert_eq!(durability(2).as_deref(), Some("preferred"));
        assert_eq!(durability(3).as_deref(), Some("required"));
        assert!(!synchronous(2).unwrap().failover_quorum);
        assert!(synchronous(3).unwrap().failover_quorum);
    }
}
