//! CloudNativePG's Cluster and Pooler (postgresql.cnpg.io/v1).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::CustomResource;
use serde::{Deserialize, Serialize};

use super::Condition;

/// The annotation that stops a cluster's servers, and the condition that tells of it.
pub const HIBERNATION: &str = "cnpg.io/hibernation";

/// A primary and its standbys.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "postgresql.cnpg.io",
    version = "v1",
    kind = "Cluster",
    plural = "clusters",
    namespaced,
    schema = "disabled",
    status = "ClusterStatus"
)]
#[serde(default, rename_all = "camelCase")]
pub struct ClusterSpec {
    /// How many servers there are.
    pub instances: i32,
    /// Their image; CloudNativePG's own choice if not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_name: Option<String>,
    /// The data volume of each.
    pub storage: Storage,
    /// What each may use.
    pub resources: ResourceRequirements,
    /// What is made when the first one starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Bootstrap>,
    /// What CloudNativePG keeps true inside the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<Managed>,
    /// Settings of PostgreSQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgresql: Option<Settings>,
    /// The servers' certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificates: Option<Certificates>,
}

/// A data volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Storage {
    /// How much it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Quantity>,
    /// What makes it; the cluster's default if not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
}

/// How the first server comes into being.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bootstrap {
    /// Empty.
    pub initdb: InitDb,
}

/// What an empty server is filled with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InitDb {
    /// The database.
    pub database: String,
    /// The role that owns it.
    pub owner: String,
    /// The Secret with that role's password.
    pub secret: SecretName,
    /// Whether pages carry checksums.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_checksums: Option<bool>,
    /// What a superuser does in the database before anybody else can.
    #[serde(
        rename = "postInitApplicationSQL",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub post_init_application_sql: Vec<String>,
}

/// A Secret of type `kubernetes.io/basic-auth` in the cluster's own namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecretName {
    /// Its name.
    pub name: String,
}

/// What CloudNativePG keeps true inside the database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Managed {
    /// Roles, by name.
    pub roles: Vec<Role>,
}

/// A role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Whether it may log in.
    pub login: bool,
    /// The Secret with its password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_secret: Option<SecretName>,
}

/// Settings of PostgreSQL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Lines of `pg_hba.conf`, which come before CloudNativePG's last one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pg_hba: Vec<String>,
    /// Which standbys a commit waits for; none if not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synchronous: Option<Synchronous>,
}

/// Which standbys a commit waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Synchronous {
    /// `any` of them, or those that come `first`.
    pub method: String,
    /// How many.
    pub number: i32,
    /// `required`: also where none is left; `preferred`: as long as there are any.
    pub data_durability: String,
    /// Whether a standby is promoted only if it is sure to have every commit.
    pub failover_quorum: bool,
}

/// The servers' certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Certificates {
    /// Names that they are for, beside those of the cluster's Services.
    #[serde(rename = "serverAltDNSNames", skip_serializing_if = "Vec::is_empty")]
    pub server_alt_dns_names: Vec<String>,
}

/// What CloudNativePG says of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClusterStatus {
    /// What it is doing, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase_reason: Option<String>,
    /// How many servers are ready.
    pub ready_instances: i32,
    /// Which pods are ready, and which are not.
    pub instances_status: InstancesStatus,
    /// The pod of the primary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_primary: Option<String>,
    /// The pod that is to be the primary: another one while it moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_primary: Option<String>,
    /// `Ready`, among others.
    pub conditions: Vec<Condition>,
    /// How far the roles are.
    pub managed_roles_status: RolesStatus,
}

/// Which pods are ready, and which are not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InstancesStatus {
    /// Those that are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub healthy: Vec<String>,
}

/// How far the roles are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RolesStatus {
    /// Why roles cannot be made what they are to be, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cannot_reconcile: BTreeMap<String, Vec<String>>,
}

/// PgBouncer in front of a cluster's primary.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "postgresql.cnpg.io",
    version = "v1",
    kind = "Pooler",
    plural = "poolers",
    namespaced,
    schema = "disabled"
)]
#[serde(default, rename_all = "camelCase")]
pub struct PoolerSpec {
    /// The cluster.
    pub cluster: ClusterName,
    /// `rw`: its primary.
    #[serde(rename = "type")]
    pub type_: String,
    /// How many pods.
    pub instances: i32,
    /// How they pool.
    pub pgbouncer: PgBouncer,
}

/// A cluster of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterName {
    /// Its name.
    pub name: String,
}

/// How PgBouncer pools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PgBouncer {
    /// When a connection to the server is given back.
    pub pool_mode: String,
}
