//! All that the operator has written in a namespace, of whatever kind, so that
//! two namespaces can be compared and no kind is forgotten.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::discovery::{Discovery, Scope, verbs};
use serde_json::{Value, json};

use super::site::Site;

/// The operator's objects in a namespace.
pub(crate) struct Picture {
    objects: Vec<DynamicObject>,
    namespace: String,
}

impl Picture {
    /// Every object that the operator has written.
    pub(crate) async fn take(site: &Site) -> Self {
        let mut objects = Vec::new();
        for resource in resources(site).await {
            objects.extend(list(site, &resource).await);
        }
        assert!(!objects.is_empty());
        Self {
            objects,
            namespace: site.namespace.clone(),
        }
    }

    pub(crate) fn objects(&self) -> &[DynamicObject] {
        &self.objects
    }

    /// The same without what differs from one namespace, or one day, to another.
    pub(crate) fn essence(&self) -> BTreeMap<String, Value> {
        let mut uids = BTreeMap::new();
        for object in &self.objects {
            let kind = object.types.clone().unwrap().kind;
            uids.insert(
                object.uid().unwrap(),
                format!("{kind}/{}", object.name_any()),
            );
            for owner in object.owner_references() {
                uids.insert(owner.uid.clone(), format!("{}/{}", owner.kind, owner.name));
            }
        }
        let essence = self.objects.iter().map(|object| {
            let mut value = serde_json::to_value(object).unwrap();
            strip(&mut value);
            let mut text = value.to_string().replace(&self.namespace, "NAMESPACE");
            for (uid, name) in &uids {
                text = text.replace(uid, name);
            }
            let name = format!("{} {}", value["kind"], object.name_any());
            (name, serde_json::from_str(&text).unwrap())
        });
        essence.collect()
    }
}

/// The kinds that a namespace may hold and that may be listed.
async fn resources(site: &Site) -> Vec<ApiResource> {
    let discovery = Discovery::new(site.admin()).run().await.unwrap();
    let groups = discovery.groups();
    groups
        .flat_map(kube::discovery::ApiGroup::recommended_resources)
        .filter(|(resource, able)| {
            let reported = resource.kind == "Event" || resource.group == "metrics.k8s.io";
            matches!(able.scope, Scope::Namespaced)
                && able.supports_operation(verbs::LIST)
                && !reported
                && resource.kind != "AuthStack"
        })
        .map(|(resource, _)| resource)
        .collect()
}

async fn list(site: &Site, resource: &ApiResource) -> Vec<DynamicObject> {
    let api: Api<DynamicObject> = Api::namespaced_with(site.admin(), &site.namespace, resource);
    // Definitions come and go beside this test.
    let Ok(list) = api.list(&ListParams::default()).await else {
        return Vec::new();
    };
    let ours = |object: &DynamicObject| {
        let entries = object.metadata.managed_fields.iter().flatten();
        entries
            .into_iter()
            .any(|entry| entry.manager.as_deref() == Some("authstack-operator"))
    };
    let objects = list.items.into_iter().filter(ours);
    objects
        .map(|mut object| {
            object.types = Some(kube::core::TypeMeta {
                api_version: resource.api_version.clone(),
                kind: resource.kind.clone(),
            });
            object
        })
        .collect()
}

fn strip(value: &mut Value) {
    let kind = value["kind"].as_str().unwrap().to_owned();
    let root = value.as_object_mut().unwrap();
    root.remove("status");
    if kind == "Secret" || kind == "ConfigMap" {
        // What is random, and what is made of it.
        if let Some(Value::Object(data)) = root.get_mut("data") {
            let keep = kind == "ConfigMap";
            data.values_mut()
                .filter(|_| !keep)
                .for_each(|value| *value = json!("…"));
        }
    }
    let metadata = root["metadata"].as_object_mut().unwrap();
    for field in [
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "managedFields",
    ] {
        metadata.remove(field);
    }
    if let Some(spec) = root.get_mut("spec").and_then(Value::as_object_mut) {
        for field in ["clusterIP", "clusterIPs"] {
            if spec.get(field) != Some(&json!("None")) {
                spec.remove(field);
            }
        }
    }
    blank_annotations(value);
}

/// Digests of random secrets, and what controllers note.
fn blank_annotations(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::Object(notes)) = map.get_mut("annotations") {
                notes.retain(|key, _| !key.starts_with("deployment.kubernetes.io/"));
                let ours = notes.iter_mut();
                ours.filter(|(key, _)| key.contains("checksum"))
                    .for_each(|(_, value)| *value = json!("…"));
                if notes.is_empty() {
                    map.remove("annotations");
                }
            }
            map.values_mut().for_each(blank_annotations);
        }
        Value::Array(items) => items.iter_mut().for_each(blank_annotations),
        _ => {}
    }
}

/// The uid of the credentials, which must survive whatever happens to operators.
pub(crate) async fn credentials(site: &Site, stack: &str) -> Option<String> {
    let secret = site.get::<Secret>(&format!("{stack}-credentials")).await?;
    secret.uid()
}
