//! What a platform team writes: `AuthStackSpec` and the types beneath it.
//!
//! Defaults stand in the schema, so the stored object says what is in force;
//! rules that one object can state are CEL, so `kubectl apply` refuses what
//! could never work, with a sentence that says what to do instead.

#![expect(
    unreachable_pub,
    reason = "the derive copies each struct into a function of its own"
)]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;
use crate::status::AuthStackStatus;

/// An authentication service: a database, the auth API, and nginx in front.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "auth.dataviv.com",
    version = "v1alpha1",
    kind = "AuthStack",
    plural = "authstacks",
    singular = "authstack",
    shortname = "as",
    category = "all",
    namespaced,
    doc = "An AuthStack is a running authentication service: PostgreSQL, the auth API and nginx in front of it. `spec: {}` is a complete, production-shaped manifest.",
    status = "AuthStackStatus",
    derive = "PartialEq",
    scale(
        spec_replicas_path = ".spec.api.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        description = "Whether this generation is fully rolled out",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "API",
        type_ = "string",
        description = "Ready and wanted pods of the auth API",
        json_path = ".status.apiReplicas"
    ),
    printcolumn(
        name = "Database",
        type_ = "string",
        description = "State of the database",
        json_path = ".status.conditions[?(@.type==\"DatabaseReady\")].reason"
    ),
    printcolumn(
        name = "URL",
        type_ = "string",
        description = "Where clients reach the API",
        json_path = ".status.url"
    ),
    printcolumn(
        name = "Version",
        type_ = "string",
        description = "Version of the stack that is running",
        json_path = ".status.version"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        description = "Why the stack is ready, or is not",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        description = "The same in a sentence",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    ),
    validation = Rule::new("self.metadata.name.size() <= 40").message("metadata.name has more than 40 characters: choose a shorter one, because the names of the stack's own objects are made from it"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message("metadata.name must start with a lower-case letter and hold only lower-case letters, digits and '-', because Services are named after it")
)]
#[serde(rename_all = "camelCase")]
pub struct AuthStackSpec {
    /// Version of the stack, for example `0.1.0`: it pins the images of the API,
    /// nginx and PostgreSQL. It stays what it is when the operator is upgraded;
    /// change it to upgrade the stack.
    #[serde(default = "default_version")]
    #[schemars(schema_with = "schema::version")]
    pub version: String,

    /// What happens to the data volume and its credentials when the AuthStack is
    /// deleted. `Retain` keeps both, and a stack created again under the same
    /// name takes them up; `Delete` deletes both.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// The auth API.
    #[serde(default)]
    pub api: ApiSpec,

    /// The tokens that the API issues.
    #[serde(default)]
    pub tokens: TokensSpec,

    /// Who may create an account: `Open` lets anybody register, `Closed` nobody.
    #[serde(default)]
    pub registration: Registration,

    /// Rules for new passwords.
    #[serde(default)]
    pub passwords: PasswordsSpec,

    /// The database. Exactly one of its fields is set.
    #[serde(default)]
    pub postgres: PostgresSpec,

    /// nginx, the reverse proxy and load balancer in front of the API.
    #[serde(default)]
    pub nginx: NginxSpec,

    /// The Ingress that leads to nginx.
    #[serde(default)]
    pub ingress: IngressSpec,
}

fn default_version() -> String {
    "0.1.0".to_owned()
}

/// What happens to the data when the AuthStack is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Volume and credentials stay.
    #[default]
    Retain,
    /// Volume and credentials go with the stack.
    Delete,
}

/// Who may create an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Registration {
    /// Anybody.
    #[default]
    Open,
    /// Nobody; `POST /auth/register` answers 403.
    Closed,
}

/// How much the API logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Only failures.
    Error,
    /// And what may become one.
    Warn,
    /// And a line for each request.
    #[default]
    Info,
    /// And what happens inside.
    Debug,
    /// Everything.
    Trace,
}

/// The auth API's pods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiSpec {
    /// How many pods serve the API.
    #[serde(default = "default_api_replicas")]
    #[schemars(range(min = 1, max = 1000))]
    pub replicas: i32,

    /// Image of the API; the one that `version` pins when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::image")]
    pub image: Option<String>,

    /// Compute resources of each pod. The memory limit also bounds how many
    /// passwords are hashed at a time.
    #[serde(default = "default_api_resources")]
    pub resources: Resources,

    /// How much the API logs.
    #[serde(default)]
    pub log_level: LogLevel,
}

fn default_api_replicas() -> i32 {
    3
}

fn default_api_resources() -> Resources {
    Resources::new("100m", "64Mi", "256Mi")
}

impl Default for ApiSpec {
    fn default() -> Self {
        Self {
            replicas: default_api_replicas(),
            image: None,
            resources: default_api_resources(),
            log_level: LogLevel::default(),
        }
    }
}

/// Tokens that the API issues.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!self.accessTTL.matches('^[1-9]') || !self.refreshTTL.matches('^[1-9]') || int(self.accessTTL.find('^[0-9]+')) * (self.accessTTL.endsWith('s') ? 1 : self.accessTTL.endsWith('m') ? 60 : self.accessTTL.endsWith('h') ? 3600 : 86400) < int(self.refreshTTL.find('^[0-9]+')) * (self.refreshTTL.endsWith('s') ? 1 : self.refreshTTL.endsWith('m') ? 60 : self.refreshTTL.endsWith('h') ? 3600 : 86400)").message("spec.tokens.refreshTTL must be longer than spec.tokens.accessTTL: a refresh token that ends first can never renew anything"))]
pub struct TokensSpec {
    /// How long an access token is valid, as a number and a unit: `30s`, `1m`,
    /// `2h` or `1d`.
    #[serde(default = "default_access_ttl", rename = "accessTTL")]
    #[schemars(schema_with = "schema::duration")]
    pub access_ttl: String,

    /// How long a session lasts after login, however often it is refreshed, as a
    /// number and a unit: `12h` or `7d`. Longer than `accessTTL`.
    #[serde(default = "default_refresh_ttl", rename = "refreshTTL")]
    #[schemars(schema_with = "schema::duration")]
    pub refresh_ttl: String,

    /// The `iss` claim (RFC 7519, section 4.1.1); the stack's public URL when it
    /// is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub issuer: Option<String>,

    /// The `aud` claim (RFC 7519, section 4.1.3).
    #[serde(default = "default_audience")]
    #[schemars(length(min = 1, max = 255))]
    pub audience: String,
}

fn default_access_ttl() -> String {
    "1m".to_owned()
}

fn default_refresh_ttl() -> String {
    "7d".to_owned()
}

fn default_audience() -> String {
    "authstack".to_owned()
}

impl Default for TokensSpec {
    fn default() -> Self {
        Self {
            access_ttl: default_access_ttl(),
            refresh_ttl: default_refresh_ttl(),
            issuer: None,
            audience: default_audience(),
        }
    }
}

/// Rules for new passwords.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasswordsSpec {
    /// The fewest characters that a new password may have. Passwords that exist
    /// keep working when it is raised.
    #[serde(default = "default_min_length")]
    #[schemars(range(min = 8, max = 128))]
    pub min_length: i32,
}

fn default_min_length() -> i32 {
    8
}

impl Default for PasswordsSpec {
    fn default() -> Self {
        Self {
            min_length: default_min_length(),
        }
    }
}

/// The database; exactly one of the fields is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.managed), has(self.external)].filter(set, set).size() == 1").message("spec.postgres takes exactly one of managed and external: keep the one you want and remove the other"))]
#[x_kube(validation = Rule::new("has(self.managed) == has(oldSelf.managed)").message("spec.postgres cannot change between managed and external while the stack lives, because its users would stay behind: create a second AuthStack and move the data"))]
pub struct PostgresSpec {
    /// A PostgreSQL that the operator runs: one instance on one volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedPostgresSpec>,

    /// A PostgreSQL (15 or newer) that somebody else runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalPostgresSpec>,
}

impl Default for PostgresSpec {
    fn default() -> Self {
        Self {
            managed: Some(ManagedPostgresSpec::default()),
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
        }
    }
}

/// A data volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.size == oldSelf.size && (has(self.storageClassName) ? has(oldSelf.storageClassName) && self.storageClassName == oldSelf.storageClassName : !has(oldSelf.storageClassName))").message("spec.postgres.managed.storage is fixed when the volume is made: keep size and storageClassName as they were"))]
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

/// nginx's pods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NginxSpec {
    /// How many pods run nginx.
    #[serde(default = "default_nginx_replicas")]
    #[schemars(range(min = 1, max = 100))]
    pub replicas: i32,

    /// The networks, in CIDR notation, whose `X-Forwarded-For` and
    /// `X-Forwarded-Proto` nginx believes: those of the ingress controller. From
    /// anybody else both are overwritten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::cidrs")]
    pub trusted_proxies: Vec<String>,

    /// Image of nginx; the one that `version` pins when it is not set. It runs
    /// as an unprivileged user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::image")]
    pub image: Option<String>,

    /// Compute resources of each pod.
    #[serde(default = "default_nginx_resources")]
    pub resources: Resources,
}

fn default_nginx_replicas() -> i32 {
    2
}

fn default_nginx_resources() -> Resources {
    Resources::new("50m", "32Mi", "128Mi")
}

impl Default for NginxSpec {
    fn default() -> Self {
        Self {
            replicas: default_nginx_replicas(),
            trusted_proxies: Vec::new(),
            image: None,
            resources: default_nginx_resources(),
        }
    }
}

/// The Ingress that leads to nginx.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.tls) || has(self.host)").message("spec.ingress.tls needs spec.ingress.host: set it to the name that the certificate is for"))]
pub struct IngressSpec {
    /// Whether there is an Ingress.
    #[serde(default = "default_true")]
    pub enabled: bool,

    /// The IngressClass; the cluster's default when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub class_name: Option<String>,

    /// The host name that clients use; any when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::host_name")]
    pub host: Option<String>,

    /// Annotations for the Ingress, as its controller understands them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::annotations")]
    pub annotations: BTreeMap<String, String>,

    /// TLS at the Ingress; plain HTTP when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<IngressTls>,
}

fn default_true() -> bool {
    true
}

impl Default for IngressSpec {
    fn default() -> Self {
        Self {
            enabled: true,
            class_name: None,
            host: None,
            annotations: BTreeMap::new(),
            tls: None,
        }
    }
}

/// TLS at the Ingress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngressTls {
    /// A Secret of type `kubernetes.io/tls` in the AuthStack's namespace, with
    /// the certificate and key for `host`.
    #[schemars(schema_with = "schema::object_name")]
    pub secret_name: String,
}

/// Compute resources of a container, as in a pod's own manifest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What is set aside for the container.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::quantities")]
    pub requests: BTreeMap<String, Quantity>,

    /// What the container may use at most.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::quantities")]
    pub limits: BTreeMap<String, Quantity>,
}

impl Resources {
    /// Requests for CPU and memory and a limit on memory. There is no limit on
    /// CPU: it would throttle exactly when there is work, and protect nobody
    /// whose own request is honest.
    fn new(cpu: &str, memory: &str, memory_limit: &str) -> Self {
        let quantity = |value: &str| Quantity(value.to_owned());
        Self {
            requests: BTreeMap::from([
                ("cpu".to_owned(), quantity(cpu)),
                ("memory".to_owned(), quantity(memory)),
            ]),
            limits: BTreeMap::from([("memory".to_owned(), quantity(memory_limit))]),
        }
    }
}
