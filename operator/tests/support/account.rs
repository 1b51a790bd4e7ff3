//! The operator's own account, with the rights that `config/rbac` gives it and
//! no other: tests that act as it prove that they are enough.

use k8s_openapi::api::rbac::v1::{ClusterRole, Role, RoleBinding};
use kube::{
    Client, Config,
    api::{Api, PostParams},
};
use serde::{Deserialize as _, de::DeserializeOwned};
use serde_json::{Value, json};

/// The manifests of one file of `config/`.
pub(crate) fn manifests(file: &str) -> Vec<Value> {
    let path = format!("{}/../config/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect(&path);
    serde_yaml::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).expect(&path))
        .collect()
}

/// The one manifest of a kind in a file of `config/`.
pub(crate) fn manifest<K: DeserializeOwned>(file: &str, kind: &str) -> K {
    let found = manifests(file).into_iter().find(|one| one["kind"] == kind);
    serde_json::from_value(found.expect(kind)).expect(kind)
}

/// A configuration that acts as the operator's service account, whose rights
/// end at `namespace`: what the cluster-wide role allows, it allows there.
pub(crate) async fn operator_account(config: &Config, namespace: &str) -> Config {
    let client = Client::try_from(config.clone()).unwrap();
    let roles = Api::<Role>::namespaced(client.clone(), namespace);
    let bindings = Api::<RoleBinding>::namespaced(client, namespace);
    let cluster: ClusterRole = manifest("rbac/cluster_role.yaml", "ClusterRole");
    let election: Role = manifest("rbac/leader_election_role.yaml", "Role");
    let params = PostParams::default();
    for (name, rules) in [("operator", cluster.rules), ("election", election.rules)] {
        let role: Role = serde_json::from_value(json!({
            "metadata": {"name": name},
            "rules": rules,
        }))
        .unwrap();
        roles.create(&params, &role).await.unwrap();
        let binding: RoleBinding = serde_json::from_value(json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{
                "kind": "ServiceAccount", "name": "authstack-operator", "namespace": namespace,
            }],
        }))
        .unwrap();
        bindings.create(&params, &binding).await.unwrap();
    }
    let mut account = config.clone();
    let user = format!("system:serviceaccount:{namespace}:authstack-operator");
    for (header, value) in [
        ("impersonate-user", user.as_str()),
        ("impersonate-group", "system:serviceaccounts"),
        ("impersonate-group", "system:authenticated"),
    ] {
        account
            .headers
            .push((header.parse().unwrap(), value.parse().unwrap()));
    }
    account
}
