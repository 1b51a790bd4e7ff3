//! One stack, reconciled when the test says so.

use std::sync::{Arc, Mutex};

use authstack_crds::{AuthStack, AuthStackStatus, ConditionType};
use authstack_operator::args::Images;
use authstack_operator::reconcile::apply::Written;
use authstack_operator::reconcile::children::{Child, Children, Live, StackKey};
use authstack_operator::reconcile::error::Error;
use authstack_operator::reconcile::optional::Availabilities;
use authstack_operator::reconcile::references::References;
use authstack_operator::reconcile::{self, Context, Next};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::events::{Recorder, Reporter};
use serde_json::{Value, json};

use super::fake::Fake;

pub(crate) const STACKS: &str = "/apis/auth.dataviv.com/v1alpha1/namespaces/store/authstacks";
const WORKLOADS: [(&str, &str); 3] = [
    (StatefulSet::KIND, "/statefulsets/shop-postgres"),
    (Deployment::KIND, "/deployments/shop-api"),
    (Deployment::KIND, "/deployments/shop-nginx"),
];

/// The stack `shop` in the namespace `store`, and an operator without watches:
/// what they would report is handed to it.
pub(crate) struct Stage {
    pub(crate) fake: Fake,
    context: Context,
}

/// The manifest of `shop`.
pub(crate) fn manifest(spec: &Value) -> Value {
    json!({
        "apiVersion": "auth.dataviv.com/v1alpha1", "kind": "AuthStack",
        "metadata": {"name": "shop"}, "spec": spec,
    })
}

impl Stage {
    pub(crate) fn new(spec: &Value) -> Self {
        let fake = Fake::default();
        fake.create(STACKS, manifest(spec));
        let context = operator(&fake);
        Self { fake, context }
    }

    /// Another operator takes over, that knows of the children what it listed.
    pub(crate) fn restart(&mut self) {
        self.context = operator(&self.fake);
        self.report();
    }

    /// Changes the manifest.
    pub(crate) fn edit(&self, spec: &Value) {
        self.fake.merge("/authstacks/shop", &json!({"spec": spec}));
    }

    pub(crate) fn object(&self) -> Value {
        self.fake.get("/authstacks/shop").unwrap()
    }

    pub(crate) async fn reconcile(&self) -> Result<Next, Error> {
        let stack: AuthStack = serde_json::from_value(self.object()).unwrap();
        reconcile::reconcile(&stack, &self.context).await
    }

    pub(crate) fn status(&self) -> AuthStackStatus {
        serde_json::from_value(self.object()["status"].clone()).unwrap_or_default()
    }

    /// Status and reason of a condition.
    pub(crate) fn condition(&self, of: ConditionType) -> (String, String) {
        let status = self.status();
        let condition = status.condition(of).unwrap();
        (condition.status.clone(), condition.reason.clone())
    }

    /// Lets the controllers and nodes of the cluster do their work, and the
    /// operator see it.
    pub(crate) fn roll_out(&self) {
        for (_, end) in WORKLOADS {
            let Some(object) = self.fake.get(end) else {
                continue;
            };
            let count = object["spec"]["replicas"].as_i64().unwrap_or(1);
            let status = json!({"status": {
                "observedGeneration": object["metadata"]["generation"],
                "replicas": count, "updatedReplicas": count, "readyReplicas": count,
            }});
            self.fake.merge(end, &status);
        }
        self.report();
    }

    /// Shows the operator the workloads as they are.
    pub(crate) fn report(&self) {
        let stack = StackKey {
            namespace: "store".to_owned(),
            name: "shop".to_owned(),
        };
        for (kind, end) in WORKLOADS {
            let Some(object) = self.fake.get(end) else {
                continue;
            };
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            let live = if kind == Deployment::KIND {
                Live::of(&serde_json::from_value::<Deployment>(object).unwrap())
            } else {
                Live::of(&serde_json::from_value::<StatefulSet>(object).unwrap())
            };
            self.context.children.put(&stack, (kind, name), live);
        }
        if let Some(secret) = self.fake.get("/secrets/shop-credentials") {
            let secret: Secret = serde_json::from_value(secret).unwrap();
            let key = (Secret::KIND, "shop-credentials".to_owned());
            let live = Live::of_metadata(&secret.metadata);
            self.context.children.put(&stack, key, live);
        }
    }

    /// Reconciles and rolls out until nothing changes any more.
    pub(crate) async fn settle(&self) {
        for _ in 0..8 {
            self.reconcile().await.unwrap();
            self.roll_out();
        }
    }
}

fn operator(fake: &Fake) -> Context {
    let client = fake.client();
    let (triggers, _) = tokio::sync::mpsc::unbounded_channel();
    let reporter = Reporter {
        controller: "authstack-operator".to_owned(),
        instance: None,
    };
    Context {
        client: client.clone(),
        images: Images::default(),
        children: Children::default(),
        written: Written::default(),
        references: References::new(client.clone(), triggers),
        recorder: Recorder::new(client, reporter),
        statuses: Mutex::default(),
        availabilities: Availabilities::default(),
        discovery: Arc::default(),
    }
}
