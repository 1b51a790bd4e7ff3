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

use crate::database::PostgresSpec;
use crate::front::{HttpRouteSpec, IngressSpec, NginxSpec};
use crate::network::{MonitoringSpec, NetworkPolicySpec};
use crate::pods::{AutoscalingSpec, EnvFromRef, PodTemplate};
use crate::schema;
use crate::status::AuthStackStatus;
use crate::tokens::TokensSpec;

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

    /// Leaves the stack's objects as they are, whatever the manifest says. The
    /// status goes on to tell what is true of them.
    #[serde(default)]
    pub paused: bool,

    /// Scales everything to zero and keeps the data. Clients are not served.
    #[serde(default)]
    pub stopped: bool,

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

    /// An HTTPRoute of the Gateway API that leads to nginx, beside the Ingress or
    /// instead of it; none when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_route: Option<HttpRouteSpec>,

    /// Who may talk to whom. By default every connection that the stack does not
    /// need is denied.
    #[serde(default)]
    pub network_policy: NetworkPolicySpec,

    /// What tells monitoring about the stack.
    #[serde(default)]
    pub monitoring: MonitoringSpec,
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

    /// A HorizontalPodAutoscaler for the API, which then owns the number of pods:
    /// `replicas`, and with it `kubectl scale`, only says what it starts from. It
    /// needs metrics-server, or another source of `metrics.k8s.io`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<AutoscalingSpec>,

    /// Further settings of the API: Secrets and ConfigMaps whose keys are its
    /// environment variables, such as `CORS_ORIGINS` or `OAUTH_CLIENTS`. What the
    /// operator sets itself wins. A change restarts the pods one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub env_from: Vec<EnvFromRef>,

    /// What is added to the API's pods.
    #[serde(default)]
    pub pod_template: PodTemplate,
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
            autoscaling: None,
            env_from: Vec::new(),
            pod_template: PodTemplate::default(),
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

/// Compute resources of a container, as in a pod's own manifest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What is set aside for the container. A resource that is not named keeps its
    /// default, or its limit where that is lower.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::quantities")]
    pub requests: BTreeMap<String, Quantity>,

    /// What the container may use at most. A resource that is not named keeps its
    /// default, or its request where that is higher.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::quantities")]
    pub limits: BTreeMap<String, Quantity>,
}

impl Resources {
    /// Requests for CPU and memory and a limit on memory. There is no limit on
    /// CPU: it would throttle exactly when there is work, and protect nobody
    /// whose own request is honest.
    pub(crate) fn new(cpu: &str, memory: &str, memory_limit: &str) -> Self {
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
