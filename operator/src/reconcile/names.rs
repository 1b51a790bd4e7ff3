//! Every name, port and path that two places must agree on, once.

/// Port on which nginx's Service listens.
pub const HTTP_PORT: i32 = 80;
/// Port on which nginx itself listens; unprivileged users cannot have 80.
pub const NGINX_PORT: i32 = 8080;
/// Port on which nginx serves probes and metrics, apart from clients' traffic.
pub const NGINX_METRICS_PORT: i32 = 8081;
/// Port on which the API serves clients.
pub const API_PORT: i32 = 8001;
/// Port on which the API serves probes and metrics.
pub const API_METRICS_PORT: i32 = 9090;
/// Port on which PostgreSQL listens.
pub const POSTGRES_PORT: i32 = 5432;

/// The database inside a managed PostgreSQL.
pub const DATABASE: &str = "authstack";
/// The role that owns the schema and runs migrations.
pub const OWNER_ROLE: &str = "authstack_owner";
/// The role that the API connects as: it reads and writes rows, nothing else.
pub const RUNTIME_ROLE: &str = "authstack_runtime";

/// Annotation on a pod template: what its pods read at start, as a digest. A
/// change rolls the pods.
pub const CONFIG_CHECKSUM: &str = "auth.dataviv.com/config-checksum";
/// Annotation on nginx's pod template: the uid of the Service in front of the
/// API. nginx looks its address up when it starts, and one that was made anew
/// has another.
pub const UPSTREAM_UID: &str = "auth.dataviv.com/upstream-uid";
/// Annotation on the Secret with the database's certificate: the server is to
/// read its certificate again, and is not known to have done so.
pub const RELOAD_DUE: &str = "auth.dataviv.com/reload-due";
/// Label on a data volume's claim: the major version of PostgreSQL that wrote it.
pub const POSTGRES_MAJOR: &str = "auth.dataviv.com/postgres-major";

/// Key of the Secret with signing keys, and name of the file that the API reads.
pub const SIGNING_KEYS_FILE: &str = "keys.json";

/// Keys of the credentials Secret.
pub mod credential {
    /// Password of the database's superuser, which only first boot uses.
    pub const SUPERUSER_PASSWORD: &str = "superuser-password";
    /// Password of the role that runs migrations.
    pub const OWNER_PASSWORD: &str = "owner-password";
    /// Password of the role that the API connects as.
    pub const RUNTIME_PASSWORD: &str = "runtime-password";
    /// The key that signs tokens.
    pub const SECRET_KEY: &str = "secret-key";
}

/// Keys of a Secret with a certificate: the first two are Kubernetes' own.
pub mod tls {
    /// The certificate, in PEM.
    pub const CERTIFICATE: &str = "tls.crt";
    /// Its private key, in PEM.
    pub const KEY: &str = "tls.key";
    /// What clients are to trust, in PEM.
    pub const TRUST: &str = "ca.crt";
}

/// The parts of a stack, as the `app.kubernetes.io/component` label has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Component {
    /// Generated passwords and keys.
    Credentials,
    /// The database.
    Postgres,
    /// Jobs that do something to the managed database, such as reloading its
    /// configuration: short-lived pods that may connect to it.
    PostgresJob,
    /// The auth API.
    Api,
    /// The reverse proxy.
    Nginx,
    /// The way in.
    Ingress,
    /// The way in from a Gateway.
    HttpRoute,
    /// What tells monitoring about the stack.
    Monitoring,
}

impl Component {
    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Postgres => "postgres",
            Self::PostgresJob => "postgres-job",
            Self::Api => "api",
            Self::Nginx => "nginx",
            Self::Ingress => "ingress",
            Self::HttpRoute => "http-route",
            Self::Monitoring => "monitoring",
        }
    }
}

/// The names of a stack's objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The stack's own name.
    pub stack: String,
    /// The namespace of the stack and of all that it consists of.
    pub namespace: String,
}

impl Names {
    /// The Secret with what the operator generated.
    #[must_use]
    pub fn credentials(&self) -> String {
        format!("{}-credentials", self.stack)
    }

    /// The Secret with the keys that sign tokens.
    #[must_use]
    pub fn signing_keys(&self) -> String {
        format!("{}-signing-keys", self.stack)
    }

    /// The Secret that tells client workloads about the stack.
    #[must_use]
    pub fn binding(&self) -> String {
        format!("{}-binding", self.stack)
    }

    /// The Secret with the authority that signs the stack's certificates.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}-ca", self.stack)
    }

    /// What belongs to the database: StatefulSet, Service, ConfigMap.
    #[must_use]
    pub fn postgres(&self) -> String {
        format!("{}-postgres", self.stack)
    }

    /// The Service that governs the StatefulSet's pod names.
    #[must_use]
    pub fn postgres_headless(&self) -> String {
        format!("{}-postgres-headless", self.stack)
    }

    /// What the database's Jobs have in common.
    #[must_use]
    pub fn postgres_job(&self) -> String {
        format!("{}-job", self.postgres())
    }

    /// The Secret with the database's certificate.
    #[must_use]
    pub fn postgres_tls(&self) -> String {
        format!("{}-postgres-tls", self.stack)
    }

    /// The Job that has the database read its certificate again; the digest
    /// tells one certificate's from the next one's. A Job's name is a label of
    /// its pods, so 63 characters are all there is.
    #[must_use]
    pub fn postgres_reload(&self, digest: &str) -> String {
        let digest = digest.get(..6).unwrap_or(digest);
        format!("{}-postgres-reload-{digest}", self.stack)
    }

    /// The claim of the data volume, as the StatefulSet controller names it.
    #[must_use]
    pub fn data_claim(&self) -> String {
        format!("data-{}-0", self.postgres())
    }

    /// What belongs to the API: Deployment, Service.
    #[must_use]
    pub fn api(&self) -> String {
        format!("{}-api", self.stack)
    }

    /// The Secret with the API's certificate.
    #[must_use]
    pub fn api_tls(&self) -> String {
        format!("{}-api-tls", self.stack)
    }

    /// What belongs to nginx: Deployment, Service, ConfigMap.
    #[must_use]
    pub fn nginx(&self) -> String {
        format!("{}-nginx", self.stack)
    }

    /// The Service of a CloudNativePG cluster's primary, as CloudNativePG names it.
    #[must_use]
    pub fn cluster_primary(&self) -> String {
        format!("{}-rw", self.postgres())
    }

    /// The Secret with a CloudNativePG cluster's authority, as CloudNativePG
    /// names it.
    #[must_use]
    pub fn cluster_authority(&self) -> String {
        format!("{}-ca", self.postgres())
    }

    /// The Secret with the owner's password as CloudNativePG reads it.
    #[must_use]
    pub fn cluster_owner(&self) -> String {
        format!("{}-owner", self.postgres())
    }

    /// The Secret with the API's password as CloudNativePG reads it.
    #[must_use]
    pub fn cluster_runtime(&self) -> String {
        format!("{}-runtime", self.postgres())
    }

    /// The pooler of a CloudNativePG cluster, and its Service.
    #[must_use]
    pub fn pooler(&self) -> String {
        format!("{}-pooler", self.postgres())
    }

    /// What tells Prometheus about the stack's pods.
    #[must_use]
    pub fn pod_monitor(&self) -> String {
        self.stack.clone()
    }

    /// The HTTPRoute.
    #[must_use]
    pub fn http_route(&self) -> String {
        self.stack.clone()
    }

    /// The Secret with the Ingress's certificate, where the operator or
    /// cert-manager makes it.
    #[must_use]
    pub fn ingress_tls(&self) -> String {
        format!("{}-ingress-tls", self.stack)
    }

    /// The Ingress.
    #[must_use]
    pub fn ingress(&self) -> String {
        self.stack.clone()
    }

    /// The DNS name of a Service of the stack. Without the cluster's domain,
    /// which differs between clusters; the pods' search list adds it.
    #[must_use]
    pub fn host(&self, service: &str) -> String {
        format!("{service}.{}.svc", self.namespace)
    }
}
