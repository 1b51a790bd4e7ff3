//! nginx: reverse proxy and load balancer in front of the API.

use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, Lifecycle, LifecycleHandler, PodSpec, Service, ServicePort, ServiceSpec,
    SleepAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::pod::{self, Pace};
use super::{Nginx, Prepared, nginx_conf, owned};
use crate::reconcile::digest::digest;
use crate::reconcile::labels::{self, Map};
use crate::reconcile::names::{
    CONFIG_CHECKSUM, Component, HTTP_PORT, NGINX_HEALTH_PORT, NGINX_PORT,
};
use crate::reconcile::validate::Stack;

const COMPONENT: Component = Component::Nginx;
/// The user of the unprivileged image.
const USER: i64 = 101;

pub(super) fn build(stack: &Stack) -> Nginx<Prepared> {
    let name = stack.names.nginx();
    let config = nginx_conf::render(stack);
    let checksum = digest([config.as_bytes()]);
    Nginx {
        service_account: pod::service_account(stack, COMPONENT, name.clone()),
        config_map: ConfigMap {
            metadata: owned(stack, COMPONENT, name.clone()),
            data: Some(Map::from([("nginx.conf".to_owned(), config)])),
            ..ConfigMap::default()
        },
        service: service(stack, name.clone()),
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
            replicas: Some(stack.nginx.replicas),
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
        containers: vec![container(stack)],
        volumes: Some(vec![
            pod::config_volume("config", stack.names.nginx()),
            pod::scratch_volume("tmp"),
        ]),
        ..PodSpec::default()
    }
}

fn container(stack: &Stack) -> Container {
    let pace = |period, failures| Pace {
        period,
        timeout: 2,
        failures,
    };
    Container {
        name: "nginx".to_owned(),
        image: Some(stack.nginx.image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        // Not by the image's entrypoint, which wants to edit files.
        command: Some(
            [
                "nginx",
                "-c",
                "/etc/authstack/nginx.conf",
                "-e",
                "stderr",
                "-g",
                "daemon off;",
            ]
            .map(ToOwned::to_owned)
            .to_vec(),
        ),
        ports: Some(vec![
            pod::port("http", NGINX_PORT),
            pod::port("health", NGINX_HEALTH_PORT),
        ]),
        resources: Some(stack.nginx.resources.clone()),
        security_context: Some(pod::confined()),
        startup_probe: Some(pace(1, 60).http("/healthz", "health")),
        readiness_probe: Some(pace(2, 2).http("/healthz", "health")),
        liveness_probe: Some(pace(10, 3).http("/healthz", "health")),
        // Whoever routes here needs a moment to learn that the pod is going.
        lifecycle: Some(Lifecycle {
            pre_stop: Some(LifecycleHandler {
                sleep: Some(SleepAction { seconds: 5 }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        termination_message_policy: Some(pod::FALLBACK_TO_LOGS.to_owned()),
        volume_mounts: Some(vec![
            pod::read_only("config", "/etc/authstack"),
            pod::mount("tmp", "/tmp"),
        ]),
        ..Container::default()
    }
}
