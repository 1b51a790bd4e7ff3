//! What all pods of a stack have in common: security, probes, volumes.
//!
//! Every pod passes the `restricted` Pod Security Standard.

use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, ConfigMapVolumeSource, ContainerPort, EmptyDirVolumeSource, EnvVar,
    ExecAction, HTTPGetAction, KeyToPath, LocalObjectReference, PodAffinityTerm, PodAntiAffinity,
    PodSecurityContext, PodSpec, PodTemplateSpec, Probe, SeccompProfile, SecretVolumeSource,
    SecurityContext, ServiceAccount, TopologySpreadConstraint, Volume, VolumeMount,
    WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::owned;
use crate::reconcile::labels::{self, Map};
use crate::reconcile::names::Component;
use crate::reconcile::pod_template::PodTemplate;
use crate::reconcile::validate::Stack;

/// Tells the kubelet to keep the end of the log of a container that failed
/// without a message of its own; the stack's status shows it.
pub(super) const FALLBACK_TO_LOGS: &str = "FallbackToLogsOnError";

/// Who a pod's processes are.
pub(super) fn security(user: i64) -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(user),
        run_as_group: Some(user),
        fs_group: Some(user),
        // Large volumes would otherwise be walked through at every start.
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            ..SeccompProfile::default()
        }),
        ..PodSecurityContext::default()
    }
}

/// What a container may do: nothing.
pub(super) fn confined() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            ..Capabilities::default()
        }),
        ..SecurityContext::default()
    }
}

/// A component's ServiceAccount. No pod of a stack talks to the API server.
pub(super) fn service_account(stack: &Stack, component: Component, name: String) -> ServiceAccount {
    ServiceAccount {
        metadata: owned(stack, component, name),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

/// A pod template: what the operator wants, and what the manifest adds. Where
/// both say something, the operator's labels and annotations win, because
/// selectors and rollouts hang on them.
pub(super) fn template(
    stack: &Stack,
    component: Component,
    added: &PodTemplate,
    annotations: Map,
    spec: PodSpec,
) -> PodTemplateSpec {
    let mut all_labels = added.labels.clone();
    all_labels.extend(labels::pod(&stack.names.stack, component));
    let mut all_annotations = added.annotations.clone();
    all_annotations.extend(annotations);
    let secrets = added.image_pull_secrets.iter();
    let secrets = secrets.map(|name| LocalObjectReference { name: name.clone() });
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(all_labels),
            annotations: not_empty(all_annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            node_selector: not_empty(added.node_selector.clone()),
            tolerations: Some(added.tolerations.clone()).filter(|list| !list.is_empty()),
            affinity: affinity(added.affinity.clone(), spec.affinity.clone()),
            priority_class_name: added.priority_class.clone(),
            image_pull_secrets: Some(secrets.collect()).filter(|list: &Vec<_>| !list.is_empty()),
            ..spec
        }),
    }
}

fn not_empty(map: Map) -> Option<Map> {
    Some(map).filter(|map| !map.is_empty())
}

/// Pods of one part on different nodes, where there are several: a wish, so that
/// a small cluster runs them all the same.
pub(super) fn over_nodes(stack: &Stack, component: Component) -> Vec<TopologySpreadConstraint> {
    vec![TopologySpreadConstraint {
        topology_key: "kubernetes.io/hostname".to_owned(),
        max_skew: 1,
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(labels::label_selector(&stack.names.stack, component)),
        // In a rolling update only the new pods count, which will be left.
        match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
        ..TopologySpreadConstraint::default()
    }]
}

/// Pods of one part in different zones, where there are several. No second
/// constraint beside [`over_nodes`]: the scheduler takes no notice of any on
/// nodes that lack the label of one, and many clusters have no zones.
pub(super) fn over_zones(stack: &Stack, component: Component) -> Affinity {
    let term = WeightedPodAffinityTerm {
        weight: 100,
        pod_affinity_term: PodAffinityTerm {
            topology_key: "topology.kubernetes.io/zone".to_owned(),
            label_selector: Some(labels::label_selector(&stack.names.stack, component)),
            ..PodAffinityTerm::default()
        },
    };
    Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![term]),
            ..PodAntiAffinity::default()
        }),
        ..Affinity::default()
    }
}

/// A manifest's affinity, and ours as far as it says nothing of keeping apart.
fn affinity(given: Option<Affinity>, ours: Option<Affinity>) -> Option<Affinity> {
    let Some(given) = given else { return ours };
    let apart = ours.and_then(|ours| ours.pod_anti_affinity);
    Some(Affinity {
        pod_anti_affinity: given.pod_anti_affinity.clone().or(apart),
        ..given
    })
}

pub(super) fn env(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(value.into()),
        ..EnvVar::default()
    }
}

pub(super) fn port(name: &str, number: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

pub(super) fn mount(volume: &str, path: &str) -> VolumeMount {
    VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        ..VolumeMount::default()
    }
}

pub(super) fn read_only(volume: &str, path: &str) -> VolumeMount {
    VolumeMount {
        read_only: Some(true),
        ..mount(volume, path)
    }
}

/// Some keys of a Secret, or all if none is named, as files that only the pod's
/// own group may read.
pub(super) fn secret_volume(name: &str, secret: String, keys: &[&str]) -> Volume {
    Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret),
            items: Some(items(keys)).filter(|items| !items.is_empty()),
            default_mode: Some(0o440),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// A ConfigMap's keys as files.
pub(super) fn config_volume(name: &str, config_map: String) -> Volume {
    Volume {
        name: name.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: config_map,
            default_mode: Some(0o444),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// One key of a ConfigMap as a file.
pub(super) fn config_file(name: &str, config_map: String, key: &str) -> Volume {
    let mut volume = config_volume(name, config_map);
    if let Some(source) = &mut volume.config_map {
        source.items = Some(items(&[key]));
    }
    volume
}

fn items(keys: &[&str]) -> Vec<KeyToPath> {
    let item = |key: &&str| KeyToPath {
        key: (*key).to_owned(),
        path: (*key).to_owned(),
        ..KeyToPath::default()
    };
    keys.iter().map(item).collect()
}

/// A place to write that goes with the pod.
pub(super) fn scratch_volume(name: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    }
}

/// How often a probe asks and how patient it is.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// Seconds between questions.
    pub(super) period: i32,
    /// Seconds to wait for an answer.
    pub(super) timeout: i32,
    /// Failures in a row that count.
    pub(super) failures: i32,
}

impl Pace {
    fn probe(self) -> Probe {
        Probe {
            period_seconds: Some(self.period),
            timeout_seconds: Some(self.timeout),
            failure_threshold: Some(self.failures),
            success_threshold: Some(1),
            ..Probe::default()
        }
    }

    /// Asks over HTTP.
    pub(super) fn http(self, path: &str, port: &str) -> Probe {
        Probe {
            http_get: Some(HTTPGetAction {
                path: Some(path.to_owned()),
                port: IntOrString::String(port.to_owned()),
                scheme: Some("HTTP".to_owned()),
                ..HTTPGetAction::default()
            }),
            ..self.probe()
        }
    }

    /// Asks by running a program in the container.
    pub(super) fn exec(self, command: &[&str]) -> Probe {
        Probe {
            exec: Some(ExecAction {
                command: Some(command.iter().map(|&word| word.to_owned()).collect()),
            }),
            ..self.probe()
        }
    }
}
