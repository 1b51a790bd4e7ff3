//! The Job that has the database read its new certificate, without a restart
//! and without a connection lost.
//!
//! It alone, beside the database itself, mounts the superuser's password. The
//! kubelet brings a changed Secret to the database's pod within a minute or two;
//! the Job waits until the server itself sees the new file.
//!
//! The certificate that the server still shows may be the very trouble: expired,
//! or of an authority that is gone. So the Job does not go by it. SCRAM proves
//! that the server knows the password, and channel binding (RFC 5802, section 6)
//! that nobody stands in between.

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{owned, pod, postgres};
use crate::reconcile::certificates::Leaf;
use crate::reconcile::labels;
use crate::reconcile::names::{Component, POSTGRES_PORT, credential, tls};
use crate::reconcile::validate::{self, Stack};

const COMPONENT: Component = Component::PostgresJob;
const SECRETS: &str = "/run/secrets/postgres";
/// How long it may take, in seconds: several times what a kubelet needs.
const DEADLINE: i64 = 600;
/// How long a Job that has ended stays to be looked at, in seconds. One that
/// failed is followed by another when it is gone.
const KEPT: i32 = 900;

/// The Job for one certificate.
pub(super) fn build(stack: &Stack, postgres: &validate::Postgres, leaf: &Leaf) -> Job {
    let names = &stack.names;
    let digest = leaf.file_digest();
    Job {
        metadata: owned(stack, COMPONENT, names.postgres_reload(&digest)),
        spec: Some(JobSpec {
            backoff_limit: Some(4),
            active_deadline_seconds: Some(DEADLINE),
            ttl_seconds_after_finished: Some(KEPT),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels::pod(&names.stack, COMPONENT)),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod_spec(stack, postgres, &digest)),
            },
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}

fn pod_spec(stack: &Stack, postgres: &validate::Postgres, digest: &str) -> PodSpec {
    let names = &stack.names;
    let password = [credential::SUPERUSER_PASSWORD];
    PodSpec {
        service_account_name: Some(names.postgres()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        restart_policy: Some("Never".to_owned()),
        security_context: Some(pod::security(postgres::USER)),
        containers: vec![container(stack, postgres, digest)],
        volumes: Some(vec![pod::secret_volume(
            "secrets",
            names.credentials(),
            &password,
        )]),
        ..PodSpec::default()
    }
}

fn container(stack: &Stack, postgres: &validate::Postgres, digest: &str) -> Container {
    let names = &stack.names;
    let quantities = |pairs: &[(&str, &str)]| {
        let quantity = |(name, value): &(&str, &str)| ((*name).into(), Quantity((*value).into()));
        Some(pairs.iter().map(quantity).collect())
    };
    Container {
        name: "reload".to_owned(),
        image: Some(postgres.image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        command: Some(vec!["sh".to_owned(), "-euc".to_owned(), script()]),
        env: Some(vec![
            pod::env("PGHOST", names.host(&names.postgres())),
            pod::env("PGPORT", POSTGRES_PORT.to_string()),
            pod::env("PGUSER", "postgres"),
            pod::env("PGDATABASE", "postgres"),
            pod::env("PGSSLMODE", "require"),
            pod::env("PGCHANNELBINDING", "require"),
            pod::env("PGCONNECT_TIMEOUT", "5"),
            pod::env("EXPECTED", digest),
        ]),
        resources: Some(ResourceRequirements {
            requests: quantities(&[("cpu", "10m"), ("memory", "16Mi")]),
            limits: quantities(&[("memory", "64Mi")]),
            ..ResourceRequirements::default()
        }),
        security_context: Some(pod::confined()),
        termination_message_policy: Some(pod::FALLBACK_TO_LOGS.to_owned()),
        volume_mounts: Some(vec![pod::read_only("secrets", SECRETS)]),
        ..Container::default()
    }
}

/// Waits until the server's own file is the new one, then has it read again.
/// A server that cannot be reached for a while is asked again, too; the Job's
/// deadline bounds it all.
fn script() -> String {
    format!(
        r#"PGPASSWORD=$(cat {SECRETS}/{password})
export PGPASSWORD
ask() {{ psql --no-psqlrc --quiet --tuples-only --no-align --command "$1"; }}
until [ "$(ask "SELECT encode(sha256(pg_read_binary_file('{file}')), 'hex')")" = "$EXPECTED" ]; do
  sleep 2
done
[ "$(ask 'SELECT pg_reload_conf()')" = t ]
"#,
        password = credential::SUPERUSER_PASSWORD,
        file = format_args!("{}/{}", postgres::TLS, tls::CERTIFICATE),
    )
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::batch::v1::Job;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use crate::args::Images;
    use crate::reconcile::dereference::Inputs;
    use crate::reconcile::desired::build;
    use crate::reconcile::names::RELOAD_DUE;
    use crate::reconcile::validate::validate;

    fn job(stopped: bool, note: Option<&str>) -> Option<Job> {
        let manifest = "metadata: {name: shop, namespace: store}\nspec: {}";
        let stack = serde_yaml::from_str(manifest).unwrap();
        let mut inputs = Inputs::placeholders();
        let notes = note.map(|note| [(note.to_owned(), "true".to_owned())].into());
        inputs.certificates.postgres.as_mut().unwrap().found = Some(ObjectMeta {
            annotations: notes,
            ..ObjectMeta::default()
        });
        let mut stack = validate(&stack, &inputs, &Images::default()).unwrap();
        stack.stopped = stopped;
        build(&stack, &inputs).postgres?.reload
    }

    #[test]
    fn there_is_one_while_it_is_due_and_a_server_runs() {
        insta::assert_yaml_snapshot!(job(false, Some(RELOAD_DUE)).unwrap());
        assert!(job(false, None).is_none());
        assert!(job(false, Some("other")).is_none());
        assert!(job(true, Some(RELOAD_DUE)).is_none());
    }
}
