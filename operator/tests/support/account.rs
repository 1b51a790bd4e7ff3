//! The operator's own account, with the rights that `config/rbac` gives it and
//! no other: tests that act as it prove that they are enough.

use std::path::PathBuf;

use k8s_openapi::api::{
    core::v1::ServiceAccount,
    rbac::v1::{ClusterRole, Role, RoleBinding},
};
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
    grant(config, namespace, "authstack-operator").await;
    impersonating(config, namespace)
}

/// The same, where its rights have been given before.
pub(crate) fn impersonating(config: &Config, namespace: &str) -> Config {
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

/// Gives a service account of `namespace` the operator's rights there.
async fn grant(config: &Config, namespace: &str, account: &str) {
    let client = Client::try_from(config.clone()).unwrap();
    let roles = Api::<Role>::namespaced(client.clone(), namespace);
    let bindings = Api::<RoleBinding>::namespaced(client, namespace);
    let cluster: ClusterRole = manifest("rbac/cluster_role.yaml", "ClusterRole");
    let election: Role = manifest("rbac/leader_election_role.yaml", "Role");
    let params = PostParams::default();
    for (of, rules) in [("operator", cluster.rules), ("election", election.rules)] {
        let name = format!("{account}-{of}");
        let role: Role = serde_json::from_value(json!({
            "metadata": {"name": name},
            "rules": rules,
        }))
        .unwrap();
        roles.create(&params, &role).await.unwrap();
        let binding: RoleBinding = serde_json::from_value(json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        }))
        .unwrap();
        bindings.create(&params, &binding).await.unwrap();
    }
}

/// A kubeconfig by which one replica acts as a service account of its own, with
/// the operator's rights, so that the audit log tells it from the others. It is
/// gone with the value.
pub(crate) async fn replica_kubeconfig(
    config: &Config,
    namespace: &str,
    account: &str,
) -> TempFile {
    grant(config, namespace, account).await;
    let client = Client::try_from(config.clone()).unwrap();
    let accounts = Api::<ServiceAccount>::namespaced(client, namespace);
    let object = serde_json::from_value(json!({"metadata": {"name": account}})).unwrap();
    let params = PostParams::default();
    accounts.create(&params, &object).await.unwrap();
    let request = serde_json::from_value(json!({"spec": {"audiences": []}})).unwrap();
    let answer = accounts
        .create_token_request(account, &params, &request)
        .await;
    let token = answer.unwrap().status.unwrap().token;

    let text = std::fs::read_to_string(std::env::var("KUBECONFIG").unwrap()).unwrap();
    let mut kubeconfig: Value = serde_yaml::from_str(&text).unwrap();
    for user in kubeconfig["users"].as_array_mut().unwrap() {
        user["user"] = json!({"token": token});
    }
    let name = format!("authstack-{namespace}-{account}.kubeconfig");
    let file = TempFile(std::env::temp_dir().join(name));
    std::fs::write(&file.0, kubeconfig.to_string()).unwrap();
    file
}

/// A file that is deleted when it goes out of scope.
pub(crate) struct TempFile(PathBuf);

impl TempFile {
    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
