//! What a running operator logs: what changed, of which stack, and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use k8s_openapi::api::core::v1::Service;
use kube::{
    Client,
    api::{Api, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::operator::{Operator, apply_stack};
use super::support::{default_storage_class, define, eventually, in_namespace};

const SOON: Duration = Duration::from_mins(1);

fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line[field].as_str().unwrap_or_default()
}

/// What was said in reconciles.
fn messages(log: &[Value]) -> Vec<&str> {
    log.iter()
        .filter(|line| line.get("reconcile_id").is_some())
        .map(|line| text(line, "message"))
        .collect()
}

#[tokio::test]
async fn a_line_about_a_stack_says_which_and_in_which_reconcile() {
    in_namespace("logs", |config, namespace| async move {
        define(&config).await;
        // Without one the database's volume stalls first.
        default_storage_class(&config).await;
        let operator = Operator::start(&namespace, "a", &[]);
        eventually("it leads", SOON, async || operator.leads()).await;
        for stack in ["shop", "club"] {
            // The certificate is missing, which stalls.
            let spec = r#"{"ingress": {"host": "a.example.com", "tls": {"secretName": "none"}}}"#;
            apply_stack(&config, &namespace, stack, spec).await;
        }
        let stalled = "authstack_managed_stacks{condition=\"Stalled\",status=\"True\"}";
        eventually("both are stalled", SOON, async || {
            operator.value(stalled) == Some(2.0)
        })
        .await;
        operator.rests(Duration::from_secs(3)).await;
        let built = operator.log();
        let edit = json!({"metadata": {"labels": {"app.kubernetes.io/part-of": "edited"}}});
        let client = Client::try_from(config.clone()).unwrap();
        let services = Api::<Service>::namespaced(client, &namespace);
        let params = PatchParams::default();
        services
            .patch("shop-api", &params, &Patch::Merge(edit))
            .await
            .unwrap();
        eventually("the edit is undone, and that is logged", SOON, async || {
            operator.log().len() > built.len()
        })
        .await;
        operator.rests(Duration::from_secs(3)).await;
        let log = operator.log();

        let mut created = BTreeMap::<(String, String), BTreeSet<String>>::new();
        let mut reconciles = BTreeMap::<String, String>::new();
        for line in log.iter().filter(|line| line.get("reconcile_id").is_some()) {
            assert_eq!(text(line, "namespace"), namespace, "{line}");
            let (stack, id) = (text(line, "stack"), text(line, "reconcile_id"));
            assert!(["shop", "club"].contains(&stack), "{line}");
            assert_eq!(id.len(), 16, "{line}");
            let of = reconciles
                .entry(id.to_owned())
                .or_insert_with(|| stack.to_owned());
            assert_eq!(of, stack, "one reconcile, one stack");
            if text(line, "message") == "created" {
                let child = format!("{} {}", text(line, "kind"), text(line, "name"));
                let of_one = created
                    .entry((stack.to_owned(), id.to_owned()))
                    .or_default();
                assert!(of_one.insert(child), "{line} twice");
            }
        }
        // What one reconcile made is told by its id. There may be several: a
        // request that takes too long ends one.
        let of_shop = created.iter().filter(|((stack, _), _)| stack == "shop");
        let of_shop: Vec<_> = of_shop.map(|(_, children)| children).collect();
        assert!(
            of_shop.iter().any(|children| children.len() > 2),
            "{of_shop:?}"
        );
        for child in [
            "Service shop-api",
            "Deployment shop-api",
            "Deployment shop-nginx",
        ] {
            let is_told = of_shop.iter().any(|children| children.contains(child));
            assert!(is_told, "{child} in {of_shop:?}");
        }
        // And nothing is told but what changed.
        let known = ["created", "applied", "the stack's state changed"];
        for line in &log {
            let of_stack = line.get("reconcile_id").is_some();
            assert_eq!(of_stack, known.contains(&text(line, "message")), "{line}");
            assert!(!of_stack || text(line, "level") == "INFO", "{line}");
        }
        let later = messages(&log[built.len()..]);
        assert_eq!(later, ["applied"], "one edit, one line");
        let stalls = log
            .iter()
            .filter(|line| text(line, "reason") == "SecretNotFound");
        assert_eq!(stalls.count(), 2, "one for each stack");
    })
    .await;
}
