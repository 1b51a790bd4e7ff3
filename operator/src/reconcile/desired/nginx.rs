//! nginx: reverse proxy and load balancer in front of the API.

use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, ExecAction, Lifecycle, LifecycleHandler, PodSpec, Service, ServicePort,
    ServiceSpec,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::nginx_conf::{DRAINING, TRUST};
use super::pod::{self, Pace};
use super::{Nginx, Prepared, disruption_budget, network_policy, nginx_conf, owned};
use crate::reconcile::certificates::Authority;
use crate::reconcile::digest::digest;
use crate::reconcile::labels::{self, Map};
use crate::reconcile::names::{
    CONFIG_CHECKSUM, Component, HTTP_PORT, NGINX_METRICS_PORT, NGINX_PORT, tls,
};
use crate::reconcile::validate::Stack;

const COMPONENT: Component = Component::Nginx;
/// The user of the unprivileged image.
const USER: i64 = 101;
/// How long a pod that is going serves on, and ends connections.
const DRAIN_SECONDS: u8 = 8;

pub(super) fn build(stack: &Stack, authority: &Authority) -> Nginx<Prepared> {
    let name = stack.names.nginx();
    let config = nginx_conf::render(stack);
    // nginx reads whom it trusts when it starts. The API's certificate itself
    // is none of its business.
    let trust = &authority.pair.certificate;
    let checksum = digest([config.as_bytes(), trust.as_bytes()]);
    Nginx {
        service_account: pod::service_account(stack, COMPONENT, name.clone()),
        config_map: ConfigMap {
            metadata: owned(stack, COMPONENT, name.clone()),
            data: Some(Map::from([("nginx.conf".to_owned(), config)])),
            ..ConfigMap::default()
        },
        service: service(stack, name.clone()),
        network_policy: network_policy::nginx(stack),
        disruption_budget: disruption_budget::build(stack, COMPONENT, name.clone()),
        deployment: deployment(stack, name, checksum),
    }
}

fn service(stack: &Stack, name: String) -> Service {
    Service {
        metadata: owned(stack, COMPONENT, name),
        spec: Some(ServiceSpec {
            selector: Some(labels::selector(&stack.names.stack, COMPONENT)),
            ports: Some(vec![ServicePort {
                name: Some("http".to_owned()),
                port: HTTP_PORT,
                target_port: Some(IntOrString::String("http".to_owned())),
                protocol: Some("TCP".to_owned()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn deployment(stack: &Stack, name: String, checksum: String) -> Deployment {
    let stack_name = &stack.names.stack;
    Deployment {
        metadata: owned(stack, COMPONENT, name),
        spec: Some(DeploymentSpec {
            replicas: Some(stack.replicas(stack.nginx.replicas)),
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
                &stack.nginx.pod_template,
                Map::from([(CONFIG_CHECKSUM.to_owned(), checksum)]),
                pod_spec(stack),
            ),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

fn pod_spec(stack: &Stack) -> PodSpec {
    PodSpec {
        service_account_name: Some(stack.names.nginx()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(pod::security(USER)),
        termination_grace_period_seconds: Some(60),
        // A configuration that nginx does not take replaces no running pod, and
        // the stack's status says what nginx says of it.
        init_containers: Some(vec![check(stack)]),
        containers: vec![serve(stack)],
        volumes: Some(vec![
            pod::config_volume("config", stack.names.nginx()),
            pod::secret_volume("api-ca", stack.names.api_tls(), &[tls::TRUST]),
            pod::scratch_volume("tmp"),
        ]),
        topology_spread_constraints: Some(pod::over_nodes(stack, COMPONENT)),
        affinity: Some(pod::over_zones(stack, COMPONENT)),
        ..PodSpec::default()
    }
}

/// Reads the configuration as nginx would, and ends.
fn check(stack: &Stack) -> Container {
    Container {
        name: "check-config".to_owned(),
        command: Some(nginx(&["-t", "-q"])),
        ..container(stack)
    }
}

fn serve(stack: &Stack) -> Container {
    let pace = |period, failures| Pace {
        period,
        timeout: 2,
        failures,
    };
    Container {
        name: "nginx".to_owned(),
        command: Some(nginx(&["-g", "daemon off;"])),
        ports: Some(vec![
            pod::port("http", NGINX_PORT),
            pod::port("metrics", NGINX_METRICS_PORT),
        ]),
        startup_probe: Some(pace(1, 60).http("/healthz", "metrics")),
        readiness_probe: Some(pace(2, 2).http("/healthz", "metrics")),
        liveness_probe: Some(pace(10, 3).http("/healthz", "metrics")),
        lifecycle: Some(drain()),
        ..container(stack)
    }
}

/// Whoever routes here needs a moment to learn that the pod is going, and
/// clients to leave the connections that they keep. Then the image's stop
/// signal, SIGQUIT in every official image, has nginx finish what it answers.
fn drain() -> Lifecycle {
    let script = format!("touch {DRAINING} && sleep {DRAIN_SECONDS}");
    let command = ["/bin/sh", "-c", &script];
    Lifecycle {
        pre_stop: Some(LifecycleHandler {
            exec: Some(ExecAction {
                command: Some(command.map(ToOwned::to_owned).to_vec()),
            }),
            ..LifecycleHandler::default()
        }),
        ..Lifecycle::default()
    }
}

/// nginx's command line; not by the image's entrypoint, which wants to edit files.
fn nginx(arguments: &[&str]) -> Vec<String> {
    ["nginx", "-c", "/etc/authstack/nginx.conf", "-e", "stderr"]
        .iter()
        .chain(arguments)
        .map(|&word| word.to_owned())
        .collect()
}

/// What both containers are.
fn container(stack: &Stack) -> Container {
    Container {
        image: Some(stack.nginx.image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        resources: Some(stack.nginx.resources.clone()),
        security_context: Some(pod::confined()),
        termination_message_policy: Some(pod::FALLBACK_TO_LOGS.to_owned()),
        volume_mounts: Some(vec![
            pod::read_only("config", "/etc/authstack"),
            pod::read_only("api-ca", TRUST),
            pod::mount("tmp", "/tmp"),
        ]),
        ..Container::default()
    }
}
