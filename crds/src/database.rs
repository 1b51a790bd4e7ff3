//! What a manifest says of the database.

#![expect(
    unreachable_pub,
    reason = "the derive copies each struct into a function of its own"
)]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{PodTemplate, Resources, schema};

/// The database; exactly one of the fields is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.managed), has(self.cloudNativePG), has(self.external)].filter(set, set).size() == 1").message("spec.postgres takes exactly one of managed, cloudNativePG and external: keep the one you want and remove the others"))]
#[x_kube(validation = Rule::new("has(self.managed) == has(oldSelf.managed) && has(self.cloudNativePG) == has(oldSelf.cloudNativePG)").message("spec.postgres cannot change between managed, cloudNativePG and external while the stack lives, because its users would stay behind: create a second AuthStack and move the data"))]
pub struct PostgresSpec {
    /// A PostgreSQL that the operator runs: one instance on one volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedPostgresSpec>,

    /// A `Cluster` of CloudNativePG (postgresql.cnpg.io), which must be installed:
    /// replicas, failover and point-in-time recovery.
    #[serde(
        default,
        rename = "cloudNativePG",
        skip_serializing_if = "Option::is_none"
    )]
    pub cloud_native_pg: Option<CloudNativePgSpec>,

    /// A PostgreSQL (15 or newer) that somebody else runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalPostgresSpec>,
}

impl Default for PostgresSpec {
    fn default() -> Self {
        Self {
            managed: Some(ManagedPostgresSpec::default()),
            cloud_native_pg: None,
            external: None,
        }
    }
}

/// A PostgreSQL that the operator runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedPostgresSpec {
    /// Major version of PostgreSQL.
    #[serde(default = "default_major")]
    #[schemars(range(min = 15, max = 18))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("spec.postgres.managed.major is fixed when the volume is made, because the files of one major version cannot be read by another: keep it, and move the data to a second AuthStack to change it"))]
    pub major: i32,

    /// Image of PostgreSQL; the one that `version` pins for `major` when it is
    /// not set. It keeps to the contract of the official image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::image")]
    pub image: Option<String>,

    /// The data volume.
    #[serde(default)]
    pub storage: StorageSpec,

    /// Compute resources of the database.
    #[serde(default = "default_postgres_resources")]
    pub resources: Resources,

    /// Settings of PostgreSQL, as in `postgresql.conf`. A change restarts it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::postgres_parameters")]
    pub parameters: BTreeMap<String, String>,

    /// What is added to the database's pod.
    #[serde(default)]
    pub pod_template: PodTemplate,
}

fn default_major() -> i32 {
    18
}

fn default_postgres_resources() -> Resources {
    Resources::new("250m", "256Mi", "1Gi")
}

impl Default for ManagedPostgresSpec {
    fn default() -> Self {
        Self {
            major: default_major(),
            image: None,
            storage: StorageSpec::default(),
            resources: default_postgres_resources(),
            parameters: BTreeMap::new(),
            pod_template: PodTemplate::default(),
        }
    }
}

/// A `Cluster` of CloudNativePG.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudNativePgSpec {
    /// How many PostgreSQL servers there are: one primary, the others standbys.
    #[serde(default = "default_instances")]
    #[schemars(range(min = 1, max = 9))]
    pub instances: i32,

    /// Image of PostgreSQL; the one of the CloudNativePG that is installed when
    /// it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::image")]
    pub image: Option<String>,

    /// The data volume of each instance.
    #[serde(default)]
    pub storage: StorageSpec,

    /// Compute resources of each instance.
    #[serde(default = "default_postgres_resources")]
    pub resources: Resources,

    /// Connections to the database through PgBouncer; none when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooler: Option<PoolerSpec>,
}

fn default_instances() -> i32 {
    3
}

/// A `Pooler` of CloudNativePG in front of the primary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolerSpec {
    /// How many pods run PgBouncer.
    #[serde(default = "default_pooler_instances")]
    #[schemars(range(min = 1, max = 32))]
    pub instances: i32,
}

fn default_pooler_instances() -> i32 {
    2
}

/// A data volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.size == oldSelf.size && (has(self.storageClassName) ? has(oldSelf.storageClassName) && self.storageClassName == oldSelf.storageClassName : !has(oldSelf.storageClassName))").message("storage is fixed when the volume is made: keep size and storageClassName as they were"))]
pub struct StorageSpec {
    /// How much the volume holds, as a Kubernetes quantity.
    #[serde(default = "default_storage_size")]
    #[schemars(schema_with = "schema::storage_quantity")]
    pub size: Quantity,

    /// The StorageClass that makes the volume; the cluster's default when it is
    /// not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub storage_class_name: Option<String>,
}

fn default_storage_size() -> Quantity {
    Quantity("1Gi".to_owned())
}

impl Default for StorageSpec {
    fn default() -> Self {
        Self {
            size: default_storage_size(),
            storage_class_name: None,
        }
    }
}

/// A PostgreSQL that somebody else runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalPostgresSpec {
    /// The Secret key that holds the URL the API connects with:
    /// `postgres://user:password@host:5432/database?sslmode=verify-full`.
    pub url_secret_ref: SecretKeyRef,

    /// The Secret key that holds the URL migrations connect with. Its role owns
    /// the schema, and the API's role only reads and writes rows. One role does
    /// both when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_url_secret_ref: Option<SecretKeyRef>,
}

/// One key of a Secret in the AuthStack's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
    /// Key in its data.
    #[schemars(regex(pattern = r"^[-._a-zA-Z0-9]+$"), length(min = 1, max = 253))]
    pub key: String,
}
