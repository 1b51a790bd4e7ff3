//! What is rendered, whole: a change of a manifest shows as a diff here.
//!
//! The manifests go through the same door as `authstack-operator render`. The
//! stack is not called `authstack`, so that a label which names the product
//! where it should name the stack is seen.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use authstack_operator::args::Images;
use authstack_operator::reconcile::render::render;
use serde::Deserialize as _;

fn of_spec(spec: &str) -> String {
    let manifest = format!(
        "apiVersion: auth.dataviv.com/v1alpha1\nkind: AuthStack\nmetadata: {{name: shop, namespace: store}}\nspec: {spec}\n"
    );
    render(&manifest, &Images::default()).unwrap()
}

fn refusal(manifest: &str) -> String {
    render(manifest, &Images::default())
        .unwrap_err()
        .to_string()
}

#[test]
fn the_smallest_manifest() {
    insta::assert_snapshot!(of_spec("{}"));
}

#[test]
fn everything_set() {
    insta::assert_snapshot!(of_spec(
        r"
  version: 0.1.0
  deletionPolicy: Delete
  registration: Closed
  passwords: {minLength: 12}
  tokens: {accessTTL: 5m, refreshTTL: 30d, issuer: https://issuer.example.com, audience: shop}
  api:
    replicas: 5
    image: registry.example.com/api:1
    logLevel: debug
    resources: {requests: {cpu: 200m}, limits: {memory: 512Mi}}
  postgres:
    managed:
      major: 17
      image: registry.example.com/postgres:17
      storage: {size: 20Gi, storageClassName: fast}
      resources: {requests: {cpu: '1', memory: 2Gi}}
  nginx:
    replicas: 3
    image: registry.example.com/nginx:1
    trustedProxies: [10.0.0.0/8, 'fd00::/8']
  ingress:
    className: public
    host: auth.example.com
    annotations: {example.com/rate: '5'}
    tls: {secretName: auth-tls}
"
    ));
}

#[test]
fn an_external_database_and_no_ingress() {
    insta::assert_snapshot!(of_spec(
        r"
  postgres:
    external:
      urlSecretRef: {name: db, key: url}
      ownerUrlSecretRef: {name: db-owner, key: url}
  ingress: {enabled: false}
"
    ));
}

#[test]
fn a_shared_secret_and_settings_from_elsewhere() {
    insta::assert_snapshot!(of_spec(
        r"
  tokens: {signing: {algorithm: HS256, secretKeyRef: {name: old-service, key: SECRET_KEY}}}
  api:
    envFrom: [{secretRef: {name: oauth-clients}}, {configMapRef: {name: cors}}]
"
    ));
}

#[test]
fn pods_as_a_cluster_wants_them() {
    let pod = r"{
      labels: {team: identity, app.kubernetes.io/name: other},
      annotations: {example.com/scan: 'true'},
      nodeSelector: {pool: general},
      tolerations: [{key: pool, operator: Equal, value: general, effect: NoSchedule}],
      affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: arch, operator: In, values: [amd64]}]}]}}},
      priorityClassName: high,
      imagePullSecrets: [{name: registry}]}";
    insta::assert_snapshot!(of_spec(&format!(
        "{{api: {{podTemplate: {pod}}}, nginx: {{podTemplate: {pod}}}, postgres: {{managed: {{podTemplate: {pod}}}}}}}"
    )));
}

#[test]
fn every_container_has_requests_and_a_limit_on_memory_whatever_the_manifest_leaves_out() {
    for resources in [
        "{}",
        "{requests: {cpu: '2'}}",
        "{requests: {memory: 4Gi}}",
        "{limits: {cpu: '4'}}",
        "{limits: {memory: 16Mi}}",
    ] {
        let rendered = of_spec(&format!(
            "{{api: {{resources: {resources}}}, nginx: {{resources: {resources}}}, postgres: {{managed: {{resources: {resources}}}}}}}"
        ));
        let mut containers = 0;
        for document in serde_yaml::Deserializer::from_str(&rendered) {
            let object = serde_json::Value::deserialize(document).unwrap();
            let pod = &object["spec"]["template"]["spec"];
            let all = ["initContainers", "containers"].map(|list| pod[list].as_array());
            for container in all.into_iter().flatten().flatten() {
                containers += 1;
                let asked = &container["resources"];
                for (list, resource) in [
                    ("requests", "cpu"),
                    ("requests", "memory"),
                    ("limits", "memory"),
                ] {
                    let quantity = &asked[list][resource];
                    assert!(quantity.is_string(), "{resources}: {list} {container}");
                }
            }
        }
        assert!(containers >= 4, "{containers} containers");
    }
}

#[test]
fn certificates_by_the_stacks_own_authority_and_settings_of_the_database() {
    insta::assert_snapshot!(of_spec(
        r"
  postgres:
    managed: {parameters: {shared_buffers: 256MB, log_line_prefix: '%m $(HOSTNAME) '}}
  ingress: {host: auth.example.com, tls: {selfSigned: true}}
"
    ));
}

#[test]
fn a_database_of_cloud_native_pg() {
    insta::assert_snapshot!(of_spec(
        r"
  postgres:
    cloudNativePG:
      image: registry.example.com/postgres:17
      storage: {size: 20Gi, storageClassName: fast}
      pooler: {instances: 3}
  ingress: {enabled: false}
"
    ));
}

#[test]
fn a_database_of_cloud_native_pg_has_an_owner_only_if_it_goes_with_the_stack() {
    let has_owner = |policy: &str| {
        let spec = format!("{{deletionPolicy: {policy}, postgres: {{cloudNativePG: {{}}}}}}");
        let rendered = of_spec(&spec);
        let mut documents = rendered.split("\n---\n");
        let cluster = documents.find(|document| document.contains("\nkind: Cluster\n"));
        cluster.unwrap().contains("ownerReferences:")
    };
    assert!(has_owner("Delete"));
    assert!(!has_owner("Retain"));
}

#[test]
fn gateways_a_certificate_of_cert_manager_and_monitoring() {
    insta::assert_snapshot!(of_spec(
        r"
  ingress:
    host: auth.example.com
    tls: {issuerRef: {name: letters, kind: ClusterIssuer}}
  httpRoute:
    parentRefs:
    - {name: public}
    - {name: inner, namespace: infra, sectionName: https, port: 443}
    hostnames: [auth.example.org, auth.example.net]
  monitoring:
    podMonitor: true
    labels: {release: prometheus, app.kubernetes.io/managed-by: nobody}
"
    ));
}

#[test]
fn an_operator_wide_image_yields_to_the_manifest_only() {
    let images = Images {
        api: Some("mirror.example.com/api:2".to_owned()),
        nginx: Some("mirror.example.com/nginx:2".to_owned()),
        postgres: None,
    };
    let manifest = "apiVersion: auth.dataviv.com/v1alpha1\nkind: AuthStack\nmetadata: {name: shop}\nspec: {nginx: {image: own/nginx:3}}\n";
    let rendered = render(manifest, &images).unwrap();
    let count = |image: &str| rendered.matches(&format!("image: {image}\n")).count();
    assert_eq!(count("mirror.example.com/api:2"), 2, "migrate and serve");
    assert_eq!(count("own/nginx:3"), 2, "check-config and nginx");
    assert_eq!(count("docker.io/library/postgres:18.4"), 1);
}

#[test]
fn no_secret_and_no_upgrade_label_reaches_a_pod_template() {
    let rendered = of_spec("{}");
    for document in rendered
        .split("---\n")
        .filter(|text| text.contains("template:"))
    {
        let (_, template) = document.split_once("template:").unwrap();
        assert!(
            !template.contains("app.kubernetes.io/version"),
            "{template}"
        );
        assert!(!template.contains("<generated"), "{template}");
    }
}

#[test]
fn what_cannot_be_rendered_is_said() {
    let document = |fields: &str| {
        format!("apiVersion: auth.dataviv.com/v1alpha1\nkind: AuthStack\n{fields}\n")
    };
    for (manifest, says) in [
        (String::new(), "no AuthStack"),
        ("kind: AuthStack\n".to_owned(), "apiVersion is missing"),
        (
            "apiVersion: v1\nkind: Secret\n".to_owned(),
            "apiVersion is v1",
        ),
        (document("metadata: {name: shop}"), "spec"),
        (
            document("metadata: {name: shop}\nspec: {apo: {}}"),
            "unknown field spec.apo",
        ),
        (
            document("metadata: {name: shop}\nspec: {api: {replicas: many}}"),
            "replicas",
        ),
        (
            document("metadata: {name: shop}\nspec: {api: {replicas: 0}}"),
            "spec.api.replicas",
        ),
        (
            document("metadata: {name: Shop}\nspec: {}"),
            "metadata.name",
        ),
        (
            document("metadata: {name: shop}\nspec: {version: 9.9.9}"),
            "spec.version 9.9.9",
        ),
        (
            document("metadata: {name: shop}\nspec: {postgres: {}}"),
            "exactly one",
        ),
        (
            document(
                "metadata: {name: shop}\nspec: {nginx: {trustedProxies: ['1.2.3.4; deny all']}}",
            ),
            "trustedProxies",
        ),
        (
            document("metadata: {name: shop}\nspec: {ingress: {host: \"a'; } b {\"}}"),
            "spec.ingress.host",
        ),
        (
            document("metadata: {name: shop}\nspec: {tokens: {accessTTL: 0s}}"),
            "spec.tokens.accessTTL",
        ),
        (
            document("metadata: {name: shop}\nspec: {tokens: {accessTTL: 8d}}"),
            "longer than",
        ),
        (
            document("metadata: {name: shop}\nspec: {passwords: {minLength: -4}}"),
            "spec.passwords.minLength",
        ),
        ("{".to_owned(), "document 1"),
    ] {
        let said = refusal(&manifest);
        assert!(said.contains(says), "{manifest}\nsaid: {said}");
    }
}
