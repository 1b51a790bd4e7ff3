//! From what the manifest says and what it refers to, to the one struct that
//! builders get: typed, defaulted, with every image and URL decided.

use std::collections::BTreeSet;

use authstack_crds::{
    ApiSpec, AuthStack, AuthStackSpec, IngressSpec, IngressTls, ManagedPostgresSpec, NginxSpec,
    PostgresSpec, SigningAlgorithm, SigningSpec,
};

use super::dereference::Inputs;
use super::error::Error;
use super::names::{Names, POSTGRES_PORT};
use super::pod_template;
use super::resources;
use super::versions::{self, Pinned};
use crate::args::Images;

pub use super::stack::{Api, Database, Ingress, Nginx, Postgres, Signing, Stack, Tls, Tokens};

impl Stack {
    /// How many pods a part has that runs with so many.
    #[must_use]
    pub fn replicas(&self, running: i32) -> i32 {
        if self.stopped { 0 } else { running }
    }
}

/// Decides everything that builders need.
///
/// # Errors
/// When the manifest cannot be a stack: an unknown version, or something that
/// the schema would have refused if it were this operator's.
pub fn validate(stack: &AuthStack, inputs: &Inputs, images: &Images) -> Result<Stack, Error> {
    let names = names(stack)?;
    let spec = &stack.spec;
    let pinned = pinned(&spec.version)?;
    check_text(spec)?;
    let public_url = public_url(&names, spec);
    Ok(Stack {
        uid: stack.metadata.uid.clone().unwrap_or_default(),
        version: spec.version.clone(),
        stopped: spec.stopped,
        deletion_policy: spec.deletion_policy,
        api: api(&spec.api, pinned, images)?,
        tokens: Tokens {
            access_ttl: spec.tokens.access_ttl.clone(),
            refresh_ttl: spec.tokens.refresh_ttl.clone(),
            issuer: spec
                .tokens
                .issuer
                .clone()
                .unwrap_or_else(|| public_url.clone()),
            audience: spec.tokens.audience.clone(),
            signing: signing(&spec.tokens.signing)?,
        },
        registration: spec.registration,
        password_min_length: spec.passwords.min_length,
        database: database(&spec.postgres, &names, inputs, pinned, images)?,
        nginx: nginx(&spec.nginx, pinned, images)?,
        ingress: ingress(&spec.ingress)?,
        http_route: spec.http_route.clone(),
        network_policy: Some(&spec.network_policy)
            .filter(|policy| policy.enabled)
            .cloned(),
        monitoring: spec.monitoring.clone(),
        secrets_checksum: inputs.checksum(),
        public_url,
        names,
    })
}

/// The stack's names, which exist even where the rest makes no sense.
///
/// # Errors
/// When the object has no name that children's names could be made from.
pub fn names(stack: &AuthStack) -> Result<Names, Error> {
    let field = |field| {
        move |problem: &str| Error::InvalidSpec {
            field,
            problem: problem.to_owned(),
        }
    };
    let name = stack.metadata.name.as_deref().unwrap_or_default();
    let first = name.starts_with(|c: char| c.is_ascii_lowercase());
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !first || name.len() > 40 || !name.chars().all(inner) || name.ends_with('-') {
        return Err(field("metadata.name")(
            "must have 1 to 40 lower-case letters, digits and '-', and start with a letter",
        ));
    }
    Ok(Names {
        stack: name.to_owned(),
        namespace: stack
            .metadata
            .namespace
            .clone()
            .unwrap_or_else(|| "default".to_owned()),
    })
}

fn pinned(version: &str) -> Result<&'static Pinned, Error> {
    versions::pinned(version).ok_or_else(|| Error::UnsupportedVersion {
        version: version.to_owned(),
        known: versions::known(),
    })
}

/// What becomes part of URLs, of a configuration file or of settings is what the
/// schema says it is, also where the API server has another schema, or none was
/// asked.
fn check_text(spec: &AuthStackSpec) -> Result<(), Error> {
    let refuse = |field, problem: &str| {
        let problem = problem.to_owned();
        Err(Error::InvalidSpec { field, problem })
    };
    let label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if let Some(host) = &spec.ingress.host
        && (host.is_empty() || !host.chars().all(label))
    {
        return refuse("spec.ingress.host", "must be a host name in lower case");
    }
    let access = seconds(&spec.tokens.access_ttl);
    let refresh = seconds(&spec.tokens.refresh_ttl);
    match (access, refresh) {
        (None, _) => refuse("spec.tokens.accessTTL", DURATION),
        (_, None) => refuse("spec.tokens.refreshTTL", DURATION),
        (Some(access), Some(refresh)) if access >= refresh => refuse(
            "spec.tokens.refreshTTL",
            "must be longer than spec.tokens.accessTTL",
        ),
        _ if !(8..=128).contains(&spec.passwords.min_length) => {
            refuse("spec.passwords.minLength", "must be from 8 to 128")
        }
        _ => Ok(()),
    }
}

const DURATION: &str = "must be a whole number from 1 to 99999 and a unit: 30s, 1m, 12h or 7d";

/// A duration of the manifest in seconds.
fn seconds(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let scale = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let plain = number.len() <= 5 && number.chars().all(|c| c.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|number| plain && *number > 0)?;
    Some(number * scale)
}

/// Where clients reach the stack, from the manifest alone. A Gateway ends TLS,
/// as an Ingress with a certificate does.
fn public_url(names: &Names, spec: &AuthStackSpec) -> String {
    let ingress = Some(&spec.ingress).filter(|ingress| ingress.enabled);
    let host = ingress.and_then(|ingress| Some((ingress.host.as_ref()?, ingress.tls.is_some())));
    let route = spec.http_route.as_ref();
    let route = route.and_then(|route| Some((route.hostnames.first()?, true)));
    match host.or(route) {
        Some((host, true)) => format!("https://{host}"),
        Some((host, false)) => format!("http://{host}"),
        None => format!("http://{}", names.host(&names.nginx())),
    }
}

fn signing(spec: &SigningSpec) -> Result<Signing, Error> {
    match (spec.algorithm, &spec.secret_key_ref) {
        (SigningAlgorithm::EdDsa, None) => Ok(Signing::EdDsa),
        (SigningAlgorithm::Hs256, reference) => Ok(Signing::Hs256(reference.clone())),
        (SigningAlgorithm::EdDsa, Some(_)) => Err(Error::InvalidSpec {
            field: "spec.tokens.signing.secretKeyRef",
            problem: "is for HS256: set algorithm to HS256, or remove it".to_owned(),
        }),
    }
}

/// The manifest's image, else the operator's, else the version's.
fn choose(spec: Option<&String>, operator: Option<&String>, pinned: &str) -> String {
    spec.or(operator)
        .map_or_else(|| pinned.to_owned(), Clone::clone)
}

fn positive(field: &'static str, count: i32) -> Result<i32, Error> {
    if count < 1 {
        let problem = format!("is {count} and must be at least 1");
        return Err(Error::InvalidSpec { field, problem });
    }
    Ok(count)
}

fn api(spec: &ApiSpec, pinned: &Pinned, images: &Images) -> Result<Api, Error> {
    Ok(Api {
        replicas: positive("spec.api.replicas", spec.replicas)?,
        image: choose(spec.image.as_ref(), images.api.as_ref(), pinned.api),
        resources: resources::complete(&spec.resources, &ApiSpec::default().resources),
        log_level: spec.log_level,
        autoscaling: spec.autoscaling.clone(),
        env_from: spec.env_from.clone(),
        pod_template: pod_template::check("spec.api.podTemplate.affinity", &spec.pod_template)?,
    })
}

fn nginx(spec: &NginxSpec, pinned: &Pinned, images: &Images) -> Result<Nginx, Error> {
    // These go into a configuration file: nothing but a network may get there.
    let is_network = |text: &String| {
        let inner = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '/');
        !text.is_empty() && text.chars().all(inner)
    };
    if let Some(other) = spec.trusted_proxies.iter().find(|text| !is_network(text)) {
        return Err(Error::InvalidSpec {
            field: "spec.nginx.trustedProxies",
            problem: format!("{other:?} is not a network in CIDR notation"),
        });
    }
    Ok(Nginx {
        replicas: positive("spec.nginx.replicas", spec.replicas)?,
        image: choose(spec.image.as_ref(), images.nginx.as_ref(), pinned.nginx),
        resources: resources::complete(&spec.resources, &NginxSpec::default().resources),
        trusted_proxies: spec.trusted_proxies.clone(),
        pod_template: pod_template::check("spec.nginx.podTemplate.affinity", &spec.pod_template)?,
    })
}

fn database(
    spec: &PostgresSpec,
    names: &Names,
    inputs: &Inputs,
    pinned: &Pinned,
    images: &Images,
) -> Result<Database, Error> {
    match (&spec.managed, &spec.cloud_native_pg, &spec.external) {
        (Some(managed), None, None) => Ok(Database::Managed(Box::new(postgres(
            managed, names, inputs, pinned, images,
        )?))),
        (None, Some(cluster), None) => Ok(Database::CloudNativePg(cluster.clone())),
        (None, None, Some(external)) => Ok(Database::External {
            url: external.url_secret_ref.clone(),
            owner_url: external
                .owner_url_secret_ref
                .as_ref()
                .unwrap_or(&external.url_secret_ref)
                .clone(),
            runtime_role: inputs
                .external
                .as_ref()
                .filter(|_| external.owner_url_secret_ref.is_some())
                .and_then(|external| external.runtime_role.clone()),
            ports: match &inputs.external {
                Some(external) if !external.ports.is_empty() => external.ports.clone(),
                _ => BTreeSet::from([POSTGRES_PORT]),
            },
        }),
        _ => Err(Error::InvalidSpec {
            field: "spec.postgres",
            problem: "takes exactly one of managed, cloudNativePG and external".to_owned(),
        }),
    }
}

fn postgres(
    spec: &ManagedPostgresSpec,
    names: &Names,
    inputs: &Inputs,
    pinned: &Pinned,
    images: &Images,
) -> Result<Postgres, Error> {
    let Some(image) = pinned.postgres(spec.major) else {
        return Err(Error::InvalidSpec {
            field: "spec.postgres.managed.major",
            problem: format!("is {}, for which this version has no image", spec.major),
        });
    };
    match &inputs.volume_major {
        Some(found) if *found != spec.major.to_string() => {
            return Err(Error::MajorMismatch {
                claim: names.data_claim(),
                found: found.clone(),
                wanted: spec.major,
            });
        }
        _ => {}
    }
    Ok(Postgres {
        major: spec.major,
        image: choose(spec.image.as_ref(), images.postgres.as_ref(), image),
        resources: resources::complete(&spec.resources, &ManagedPostgresSpec::default().resources),
        storage_size: spec.storage.size.clone(),
        storage_class: spec.storage.storage_class_name.clone(),
        parameters: spec.parameters.clone(),
        pod_template: pod_template::check(
            "spec.postgres.managed.podTemplate.affinity",
            &spec.pod_template,
        )?,
    })
}

fn ingress(spec: &IngressSpec) -> Result<Option<Ingress>, Error> {
    if !spec.enabled {
        return Ok(None);
    }
    Ok(Some(Ingress {
        class: spec.class_name.clone(),
        host: spec.host.clone(),
        annotations: spec.annotations.clone(),
        tls: spec.tls.as_ref().map(tls).transpose()?,
    }))
}

fn tls(spec: &IngressTls) -> Result<Tls, Error> {
    match (&spec.secret_name, &spec.issuer_ref, spec.self_signed) {
        (Some(name), None, false) => Ok(Tls::Secret(name.clone())),
        (None, Some(issuer), false) => Ok(Tls::Issuer(issuer.clone())),
        (None, None, true) => Ok(Tls::SelfSigned),
        _ => Err(Error::InvalidSpec {
            field: "spec.ingress.tls",
            problem: "takes exactly one of secretName, issuerRef and selfSigned: true".to_owned(),
        }),
    }
}
