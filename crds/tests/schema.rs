//! What the API server makes of AuthStacks: which it refuses and in which
//! words, what it fills in, and what its subresources do.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use authstack_crds::{AuthStack, AuthStackStatus};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde::Deserialize;
use serde_json::{Value, json};
use support::{check, client, create, in_namespace, manifest, refusal};

/// A spec and words that its refusal holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    spec: Value,
    says: String,
}

#[tokio::test]
async fn bad_specs_are_refused_in_words_that_help() {
    let client = client().await;
    let table: Vec<Refused> = serde_yaml::from_str(include_str!("refused.yaml")).unwrap();
    let mut wrong = Vec::new();
    for Refused { spec, says } in table {
        match check(&client, &manifest("a", &spec)).await {
            Err(message) if message.contains(&says) => {}
            Err(message) => wrong.push(format!("{spec}: no `{says}` in: {message}")),
            Ok(_) => wrong.push(format!("{spec}: taken")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn names_must_leave_room_for_those_of_the_children() {
    let client = client().await;
    let long = "has more than 40 characters: choose a shorter one";
    let letters =
        "must start with a lower-case letter and hold only lower-case letters, digits and '-'";
    for (name, words) in [
        ("a".repeat(70), long),
        ("a".repeat(41), long),
        ("1a".to_owned(), letters),
        ("a.b".to_owned(), letters),
        ("a-".to_owned(), letters),
        ("A".to_owned(), letters),
    ] {
        let message = check(&client, &manifest(&name, &json!({})))
            .await
            .unwrap_err();
        assert!(message.contains(words), "{name}: {message}");
    }
    for name in ["a".repeat(40), "a".to_owned(), "a-1".to_owned()] {
        check(&client, &manifest(&name, &json!({}))).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_just_right_is_taken() {
    let client = client().await;
    for spec in [
        json!({"api": {"replicas": 1}, "nginx": {"replicas": 1}}),
        json!({"tokens": {"accessTTL": "59s", "refreshTTL": "1m"}}),
        json!({"tokens": {"accessTTL": "23h", "refreshTTL": "1d"}}),
        json!({"tokens": {"accessTTL": "1s", "refreshTTL": "99999d"}}),
        json!({"passwords": {"minLength": 128}}),
        json!({"postgres": {"external": {"urlSecretRef": {"name": "db", "key": "url"}}}}),
        json!({"postgres": {"managed": {"major": 15, "storage": {"size": "10Gi"}}}}),
        json!({"api": {"resources": {"limits": {"cpu": 2, "memory": "1.5Gi"}}}}),
        json!({"ingress": {"enabled": false}}),
        json!({"ingress": {"host": "a.b", "tls": {"secretName": "tls"}}}),
        json!({"nginx": {"trustedProxies": ["10.0.0.0/8", "fd00::/8"]}}),
        json!({"api": {"image": "registry.example.com:5000/team/api@sha256:0123"}}),
        json!({"ingress": {"host": "a.b", "tls": {"issuerRef": {"name": "le", "kind": "ClusterIssuer"}}}}),
        json!({"ingress": {"host": "a.b", "tls": {"selfSigned": true}}}),
        json!({"httpRoute": {"parentRefs": [{"name": "gw", "namespace": "infra"}], "hostnames": ["a.b"]}}),
        json!({"postgres": {"cloudNativePG": {"pooler": {}}}}),
        json!({"postgres": {"managed": {"parameters": {"shared_buffers": "1GB", "pg_stat_statements.track": "all"}}}}),
        json!({"tokens": {"signing": {"algorithm": "HS256"}}}),
        json!({"tokens": {"signing": {"algorithm": "HS256", "secretKeyRef": {"name": "a", "key": "b"}}}}),
        json!({"api": {"autoscaling": {"minReplicas": 4, "maxReplicas": 4}}}),
        json!({"api": {"envFrom": [{"secretRef": {"name": "a"}}, {"configMapRef": {"name": "a"}}]}}),
        json!({"api": {"podTemplate": {"affinity": {"podAntiAffinity": {}}, "tolerations": [{"operator": "Exists"}]}}}),
        json!({"networkPolicy": {"ingressFrom": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}], "egressTo": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}}),
        json!({"paused": true, "stopped": true, "monitoring": {"podMonitor": true}}),
        // Null is the same as nothing, as `kubectl explain` says of defaults.
        json!({"postgres": null, "api": {"image": null}, "tokens": {"issuer": null}}),
        json!({"ingress": {"className": null, "host": null, "tls": null}}),
    ] {
        let checked = check(&client, &manifest("a", &spec)).await;
        assert!(checked.is_ok(), "{spec}: {}", checked.unwrap_err());
    }
}

#[tokio::test]
async fn an_empty_spec_is_a_complete_manifest() {
    let client = client().await;
    let stored = check(&client, &manifest("demo", &json!({}))).await.unwrap();
    insta::assert_yaml_snapshot!("defaults", stored["spec"]);
}

#[tokio::test]
async fn the_samples_are_taken_as_they_are() {
    let client = client().await;
    for sample in [
        include_str!("../../config/samples/authstack.yaml"),
        include_str!("../../config/samples/production.yaml"),
        include_str!("../../config/samples/external-database.yaml"),
        include_str!("../../config/samples/other-projects.yaml"),
    ] {
        let sample: Value = serde_yaml::from_str(sample).unwrap();
        check(&client, &sample).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_volume_fixes_cannot_change() {
    in_namespace(|stacks| async move {
        let spec = json!({"postgres": {"managed": {"storage": {"size": "2Gi"}}}});
        create(&stacks, "a", &spec).await;
        for (change, words) in [
            (json!({"storage": {"size": "1Gi"}}), "fixed when the volume is made"),
            (json!({"storage": {"storageClassName": "fast"}}), "keep size and storageClassName"),
            (json!({"major": 17}), "keep it, and move the data to a second AuthStack"),
        ] {
            let change = json!({"spec": {"postgres": {"managed": change}}});
            let message = patch(&stacks, "a", &change).await.unwrap_err();
            assert!(message.contains(words), "{change}: {message}");
        }
        let external = json!({"urlSecretRef": {"name": "db", "key": "url"}});
        let switch = json!({"spec": {"postgres": {"managed": null, "external": external}}});
        let message = patch(&stacks, "a", &switch).await.unwrap_err();
        assert!(message.contains("cannot change between managed, cloudNativePG and external"), "{message}");

        let switch = json!({"spec": {"postgres": {"managed": null, "cloudNativePG": {}}}});
        let message = patch(&stacks, "a", &switch).await.unwrap_err();
        assert!(message.contains("because its users would stay behind"), "{message}");

        create(&stacks, "b", &json!({"postgres": {"cloudNativePG": {}}})).await;
        for switch in [json!({"cloudNativePG": null, "managed": {}}), json!({"cloudNativePG": null, "external": external})] {
            let message = patch(&stacks, "b", &json!({"spec": {"postgres": switch}})).await.unwrap_err();
            assert!(message.contains("create a second AuthStack and move the data"), "{message}");
        }

        // What it does not fix can.
        let change = json!({"spec": {"api": {"replicas": 5}, "postgres": {"managed": {"image": "postgres:18.1"}}}});
        patch(&stacks, "a", &change).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn scale_is_the_number_of_api_pods() {
    in_namespace(|stacks| async move {
        create(&stacks, "a", &json!({})).await;
        let status = json!({"status": {"replicas": 2, "selector": "app=a"}});
        let params = PatchParams::default();
        stacks
            .patch_status("a", &params, &Patch::Merge(&status))
            .await
            .unwrap();
        let scale = stacks.get_scale("a").await.unwrap();
        assert_eq!(scale.spec.unwrap().replicas, Some(3));
        let status = scale.status.unwrap();
        assert_eq!(
            (status.replicas, status.selector.as_deref()),
            (2, Some("app=a"))
        );

        let to = |replicas: i32| json!({"spec": {"replicas": replicas}});
        stacks
            .patch_scale("a", &params, &Patch::Merge(to(5)))
            .await
            .unwrap();
        assert_eq!(stacks.get("a").await.unwrap().spec.api.replicas, 5);
        let refused = stacks.patch_scale("a", &params, &Patch::Merge(to(0))).await;
        let message = refusal(refused).unwrap_err();
        assert!(message.contains("greater than or equal to 1"), "{message}");
    })
    .await;
}

#[tokio::test]
async fn status_is_written_apart_from_the_spec() {
    in_namespace(|stacks| async move {
        let created = create(&stacks, "a", &json!({})).await;
        let status = json!({"status": {"url": "http://a", "conditions": []}});
        let ignored = patch(&stacks, "a", &status).await.unwrap();
        // The default, by which tools see that nobody has looked at it yet.
        let unseen = AuthStackStatus {
            observed_generation: Some(-1),
            ..AuthStackStatus::default()
        };
        assert_eq!(ignored.status, Some(unseen));

        let params = PatchParams::default();
        let patched = stacks
            .patch_status("a", &params, &Patch::Merge(&status))
            .await
            .unwrap();
        assert_eq!(patched.status.unwrap().url.as_deref(), Some("http://a"));
        assert_eq!(patched.metadata.generation, created.metadata.generation);

        let condition = json!({"type": "Ready", "status": "Yes", "reason": "R", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let bad = json!({"status": {"conditions": [condition]}});
        let refused = stacks.patch_status("a", &params, &Patch::Merge(&bad)).await;
        let message = refusal(refused).unwrap_err();
        assert!(
            message.contains(r#""True", "False", "Unknown""#),
            "{message}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_table_shows_what_people_ask_first() {
    in_namespace(|stacks| async move {
        create(&stacks, "a", &json!({})).await;
        let condition = |kind: &str, reason: &str| {
            json!({"type": kind, "status": "True", "reason": reason, "message": "All is well.",
                "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1})
        };
        let status = json!({"status": {
            "conditions": [condition("Ready", "AllReady"), condition("DatabaseReady", "Running")],
            "url": "https://a", "version": "0.1.0", "apiReplicas": "3/3",
        }});
        let params = PatchParams::default();
        stacks
            .patch_status("a", &params, &Patch::Merge(&status))
            .await
            .unwrap();

        let table = table(&stacks.clone().into_client(), stacks.resource_url()).await;
        let columns: Vec<_> = table["columnDefinitions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|column| {
                let name = column["name"].as_str().unwrap();
                (name, column["priority"] == 0)
            })
            .collect();
        let wide = ["Reason", "Message"];
        let names = [
            "Name", "Ready", "API", "Database", "URL", "Version", "Age", "Reason", "Message",
        ];
        assert_eq!(columns, names.map(|name| (name, !wide.contains(&name))));
        let mut cells = table["rows"][0]["cells"].as_array().unwrap().clone();
        cells.remove(6);
        let expected = [
            "a",
            "True",
            "3/3",
            "Running",
            "https://a",
            "0.1.0",
            "AllReady",
            "All is well.",
        ];
        assert_eq!(cells, expected.map(Value::from));
    })
    .await;
}

#[tokio::test]
async fn kubectl_finds_it_by_its_short_name_and_among_all() {
    let client = client().await;
    let resources = client
        .list_api_group_resources("auth.dataviv.com/v1alpha1")
        .await
        .unwrap();
    let named = |name: &str| {
        resources
            .resources
            .iter()
            .find(|one| one.name == name)
            .cloned()
    };
    let stacks = named("authstacks").unwrap();
    assert!(stacks.namespaced);
    assert_eq!(stacks.short_names.unwrap(), ["as"]);
    assert_eq!(stacks.categories.unwrap(), ["all"]);
    assert!(named("authstacks/status").is_some());
    assert!(named("authstacks/scale").is_some());
}

async fn patch(stacks: &Api<AuthStack>, name: &str, change: &Value) -> Result<AuthStack, String> {
    let params = PatchParams::default();
    refusal(stacks.patch(name, &params, &Patch::Merge(change)).await)
}

/// A list as the API server prints it for kubectl.
async fn table(client: &Client, url: &str) -> Value {
    let request = http::Request::get(url)
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(Vec::new())
        .unwrap();
    client.request(request).await.unwrap()
}
