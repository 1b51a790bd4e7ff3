//! Kinds of other projects, which come and go in the tests' cluster.

use std::time::Duration;

use authstack_operator::reconcile::optional::Optional;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, PostParams};
use kube::{Client, Config};
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard};

use super::support::eventually;

/// All tests share one cluster: one at a time decides whether a kind is there.
static ALONE: [Mutex<()>; Optional::ALL.len()] =
    [const { Mutex::const_new(()) }; Optional::ALL.len()];
const LONG: Duration = Duration::from_secs(30);

/// A kind that no other test uses meanwhile.
pub(crate) struct Definition {
    definitions: Api<CustomResourceDefinition>,
    of: Optional,
    kind: &'static str,
    _alone: MutexGuard<'static, ()>,
}

impl Definition {
    /// A kind that the cluster does not serve yet.
    pub(crate) async fn absent(config: &Config, of: Optional, kind: &'static str) -> Self {
        let index = Optional::ALL.iter().position(|one| *one == of).unwrap();
        let client = Client::try_from(config.clone()).unwrap();
        let definition = Self {
            definitions: Api::all(client),
            of,
            kind,
            _alone: ALONE[index].lock().await,
        };
        definition.remove().await;
        definition
    }

    fn name(&self) -> String {
        format!("{}.{}", self.of.plural(), self.of.group())
    }

    /// What its project's installation does, with a schema that takes anything.
    pub(crate) async fn install(&self) {
        let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let definition = serde_json::from_value(json!({
            "metadata": {
                "name": self.name(),
                // Of groups under k8s.io the API server wants to know who approved.
                "annotations": {"api-approved.kubernetes.io": "https://example.com/a-test"},
            },
            "spec": {
                "group": self.of.group(),
                "scope": "Namespaced",
                "names": {
                    "kind": self.kind,
                    "plural": self.of.plural(),
                    "singular": self.kind.to_lowercase(),
                },
                "versions": [{
                    "name": self.of.version(), "served": true, "storage": true,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema},
                }],
            },
        }))
        .unwrap();
        let params = PostParams::default();
        self.definitions.create(&params, &definition).await.unwrap();
    }

    /// What its project's removal does.
    pub(crate) async fn remove(&self) {
        let name = self.name();
        let _ = self
            .definitions
            .delete(&name, &DeleteParams::default())
            .await;
        eventually("the definition is gone", LONG, async || {
            self.definitions.get_opt(&name).await.unwrap().is_none()
        })
        .await;
    }
}
