//! Certificates: made, kept, renewed in time, made anew when they are lost.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use authstack_crds::{AuthStack, ConditionType};
use authstack_operator::reconcile::certificates::{Certificate, Pair, Wanted, issue, trust_both};
use authstack_operator::reconcile::names::Names;
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Secret};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use super::site::{SOON, Site, eventually, in_namespace, names};

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn text(secret: &Secret, key: &str) -> String {
    String::from_utf8(secret.data.as_ref().unwrap()[key].0.clone()).unwrap()
}

fn certificate(secret: &Secret) -> Certificate {
    Certificate::parse(&text(secret, "tls.crt")).unwrap()
}

fn pair(secret: &Secret) -> Pair {
    Pair {
        certificate: text(secret, "tls.crt"),
        key: text(secret, "tls.key").into(),
    }
}

/// What a Secret would hold if its certificate had been made some days ago.
async fn aged(site: &Site, secret: &str, days: i32) -> serde_json::Value {
    use secrecy::ExposeSecret as _;
    let authority = site.get::<Secret>("shop-ca").await.unwrap();
    let end = certificate(&authority).not_after;
    let authority = pair(&authority);
    let wanted = Wanted {
        secret: secret.to_owned(),
        subject: "aged".to_owned(),
        names: certificate(&site.get(secret).await.unwrap()).names,
    };
    let names = Names {
        stack: "shop".to_owned(),
        namespace: site.namespace.clone(),
    };
    let then = Timestamp::now() - DAY * days;
    let made = issue::leaf(&wanted, &names, &authority, end, then).unwrap();
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    json!({"data": {
        "tls.crt": bytes(&made.certificate),
        "tls.key": bytes(made.key.expose_secret()),
        "ca.crt": bytes(&trust_both(&authority, None)),
    }})
}

/// What a Secret holds with somebody else's certificate, made some days ago.
pub(super) fn made_for(host: &str, days: i32) -> serde_json::Value {
    use secrecy::ExposeSecret as _;
    let now = Timestamp::now();
    let names = Names {
        stack: "theirs".to_owned(),
        namespace: "elsewhere".to_owned(),
    };
    let signer = issue::authority(&names, now - DAY * 100).unwrap();
    let wanted = Wanted {
        secret: String::new(),
        subject: host.to_owned(),
        names: [host.to_owned()].into(),
    };
    let end = now + DAY * 1_000;
    let pair = issue::leaf(&wanted, &names, &signer, end, now - DAY * days).unwrap();
    json!({"tls.crt": pair.certificate, "tls.key": pair.key.expose_secret()})
}

async fn templates(site: &Site) -> Vec<String> {
    let mut templates = Vec::new();
    for name in names::<Deployment>(site).await {
        let spec = site.get::<Deployment>(&name).await.unwrap().spec;
        templates.push(serde_json::to_string(&spec.unwrap().template).unwrap());
    }
    let database = site.get::<StatefulSet>("shop-postgres").await.unwrap();
    templates.push(serde_json::to_string(&database.spec.unwrap().template).unwrap());
    templates
}

#[tokio::test]
async fn certificates_are_made_kept_and_renewed_in_time() {
    in_namespace("tls", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        let ingress = json!({"host": "a.example.com", "tls": {"selfSigned": true}});
        site.apply("shop", json!({"ingress": ingress})).await;
        site.built("shop").await;
        let authority = site.get::<Secret>("shop-ca").await.unwrap();
        assert!(
            authority.owner_references().is_empty(),
            "clients trust it on"
        );
        let signer = certificate(&authority);
        let mut ends = BTreeSet::new();
        for name in ["shop-postgres-tls", "shop-api-tls", "shop-ingress-tls"] {
            let secret = site.get::<Secret>(name).await.unwrap();
            assert_eq!(secret.type_.as_deref(), Some("kubernetes.io/tls"));
            assert_eq!(secret.owner_references().len(), 1);
            assert_eq!(text(&secret, "ca.crt"), text(&authority, "tls.crt"));
            let made = Certificate::of_pair(&pair(&secret)).unwrap();
            assert!(made.is_signed_by(&signer) && !made.is_authority);
            ends.insert((name.to_owned(), made.not_after));
        }
        let stack = site.get::<AuthStack>("shop").await.unwrap();
        let status = stack.status.unwrap().certificates;
        let said = status
            .into_iter()
            .map(|one| (one.secret_name, one.not_after.0));
        assert_eq!(said.collect::<BTreeSet<_>>(), ends);

        // Another operator finds them, and nothing to do about them.
        let api_tls = site.get::<Secret>("shop-api-tls").await.unwrap();
        let site = site.restarted(&config);
        site.quiet().await;
        let version = async |name: &str| {
            let secret = site.get::<Secret>(name).await.unwrap();
            secret.resource_version().unwrap()
        };
        assert_eq!(
            Some(version("shop-api-tls").await),
            api_tls.resource_version()
        );
        assert_eq!(Some(version("shop-ca").await), authority.resource_version());

        // Two thirds of its life are over: renewed, and nothing restarts.
        let before = templates(&site).await;
        let aged = aged(&site, "shop-api-tls", 61).await;
        site.merge::<Secret>("shop-api-tls", aged).await;
        eventually("the API's certificate is new", SOON, async || {
            let secret = site.get::<Secret>("shop-api-tls").await.unwrap();
            certificate(&secret).not_after > Timestamp::now() + DAY * 89
        })
        .await;
        site.quiet().await;
        assert_eq!(before, templates(&site).await, "no pod starts again for it");

        // At rest again: a trigger that changes nothing writes nothing.
        let writes = site.writes.load(Ordering::SeqCst);
        let pods = names::<Pod>(&site).await;
        let note = json!({"metadata": {"annotations": {"example.com/note": "1"}}});
        site.merge::<Pod>(&pods[0], note).await;
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        assert_eq!(site.writes.load(Ordering::SeqCst), writes);
    })
    .await;
}

#[tokio::test]
async fn the_database_is_told_to_read_a_renewed_certificate_and_that_is_noted() {
    const DUE: &str = "auth.dataviv.com/reload-due";
    in_namespace("tls-reload", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({})).await;
        site.built("shop").await;
        assert!(
            names::<Job>(&site).await.is_empty(),
            "it starts with its first"
        );
        let note = async || {
            let secret = site.get::<Secret>("shop-postgres-tls").await.unwrap();
            secret.annotations().contains_key(DUE)
        };
        assert!(!note().await);

        let before = templates(&site).await;
        let aged = aged(&site, "shop-postgres-tls", 70).await;
        site.merge::<Secret>("shop-postgres-tls", aged).await;
        eventually("there is a Job", SOON, async || {
            !names::<Job>(&site).await.is_empty()
        })
        .await;
        let name = names::<Job>(&site).await.remove(0);
        assert!(name.starts_with("shop-postgres-reload-"), "{name}");
        assert!(note().await);
        assert_eq!(before, templates(&site).await, "no pod starts again for it");

        // Another operator goes on with it; a Job that is gone is made again.
        let site = site.restarted(&config);
        let first = site.get::<Job>(&name).await.unwrap().uid();
        site.delete::<Job>(&name).await;
        eventually("there is another Job", SOON, async || {
            let job = site.get::<Job>(&name).await;
            job.is_some_and(|job| job.uid() != first)
        })
        .await;

        end(&site, &name, "Failed").await;
        site.quiet().await;
        assert_eq!(
            names::<Job>(&site).await,
            std::slice::from_ref(&name),
            "not tried without end"
        );
        site.delete::<Job>(&name).await;
        eventually("there is a third Job", SOON, async || {
            let job = site.get::<Job>(&name).await;
            job.is_some_and(|job| job.status.is_none_or(|status| status.failed.is_none()))
        })
        .await;
        end(&site, &name, "Complete").await;
        let note = async || {
            let secret = site.get::<Secret>("shop-postgres-tls").await.unwrap();
            secret.annotations().contains_key(DUE)
        };
        eventually("it is noted that it is done", SOON, async || !note().await).await;

        // One that is lost beside a server is made anew, and must be read.
        site.delete::<Secret>("shop-postgres-tls").await;
        eventually("there is a Job for the next", SOON, async || {
            names::<Job>(&site).await.len() == 2
        })
        .await;
    })
    .await;
}

/// Ends a Job as its controller does.
async fn end(site: &Site, name: &str, how: &str) {
    let now = Timestamp::now().to_string();
    let condition = |of: &str| {
        json!({"type": of, "status": "True", "reason": "Test", "message": "by the test",
            "lastTransitionTime": now, "lastProbeTime": now})
    };
    // Its controller is at work too, and a start cannot be moved.
    eventually("the Job has begun", SOON, async || {
        let job = site.get::<Job>(name).await.unwrap();
        job.status.is_some_and(|status| status.start_time.is_some())
    })
    .await;
    let mut status = json!({
        "active": 0, "ready": 0, "terminating": 0, "uncountedTerminatedPods": null,
    });
    if how == "Complete" {
        status["completionTime"] = json!(now);
        status["succeeded"] = json!(1);
        status["conditions"] = json!([condition("SuccessCriteriaMet"), condition("Complete")]);
    } else {
        status["failed"] = json!(1);
        status["conditions"] = json!([condition("FailureTarget"), condition("Failed")]);
    }
    let patch = json!({"status": status});
    let params = PatchParams::default();
    site.api::<Job>()
        .patch_status(name, &params, &Patch::Merge(&patch))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_lost_or_broken_is_made_anew_and_a_broken_authority_is_said() {
    in_namespace("tls-lost", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.apply("shop", json!({})).await;
        site.built("shop").await;
        let first = site.get::<Secret>("shop-api-tls").await.unwrap();
        site.delete::<Secret>("shop-api-tls").await;
        eventually("it is back", SOON, async || {
            let secret = site.get::<Secret>("shop-api-tls").await;
            secret.is_some_and(|secret| secret.uid() != first.uid())
        })
        .await;
        let broken = json!({"data": {"tls.crt": ByteString(b"nonsense".to_vec())}});
        site.merge::<Secret>("shop-api-tls", broken.clone()).await;
        eventually("it is whole", SOON, async || {
            let secret = site.get::<Secret>("shop-api-tls").await.unwrap();
            Certificate::of_pair(&pair(&secret)).is_some()
        })
        .await;

        let authority = site.get::<Secret>("shop-ca").await.unwrap();
        site.merge::<Secret>("shop-ca", broken).await;
        let of = ConditionType::Stalled;
        let message = site
            .condition("shop", of, ("True", "AuthorityInvalid"))
            .await;
        assert!(message.contains("shop-ca"), "{message}");
        // One way out is a backup; the other, a new one.
        site.merge::<Secret>("shop-ca", json!({"data": authority.data}))
            .await;
        site.condition("shop", of, ("False", "NoProblem")).await;
        site.delete::<Secret>("shop-ca").await;
        eventually("a new authority signs", SOON, async || {
            let Some(signer) = site.get::<Secret>("shop-ca").await else {
                return false;
            };
            let leaves = [
                site.get("shop-api-tls").await,
                site.get("shop-postgres-tls").await,
            ];
            let signer = certificate(&signer);
            signer != certificate(&authority)
                && leaves.iter().all(|leaf: &Option<Secret>| {
                    leaf.as_ref()
                        .is_some_and(|leaf| certificate(leaf).is_signed_by(&signer))
                })
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_foreign_secret_under_a_certificates_name_is_left_alone() {
    in_namespace("tls-taken", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        site.secret("shop-api-tls", json!({"mine": "yes"})).await;
        site.apply("shop", json!({})).await;
        let of = ConditionType::ApiReady;
        let message = site.condition("shop", of, ("False", "NameTaken")).await;
        assert!(message.contains("Secret shop-api-tls"), "{message}");
        let kept = site.get::<Secret>("shop-api-tls").await.unwrap();
        assert_eq!(kept.data.unwrap().into_keys().collect::<Vec<_>>(), ["mine"]);
        let stack = site.get::<AuthStack>("shop").await.unwrap();
        let said = stack.status.unwrap().certificates;
        assert!(said.iter().all(|one| one.secret_name != "shop-api-tls"));
    })
    .await;
}

#[tokio::test]
async fn a_certificate_of_the_users_is_looked_into() {
    in_namespace("tls-theirs", async |config, namespace| {
        let site = Site::new(&config, &namespace).await;
        let tls = json!({"host": "a.example.com", "tls": {"secretName": "mine"}});
        site.apply("shop", json!({"ingress": tls})).await;
        let of = ConditionType::IngressReady;
        site.condition("shop", of, ("False", "SecretNotFound"))
            .await;
        let empty: Secret = serde_json::from_value(json!({"metadata": {"name": "mine"}})).unwrap();
        site.api::<Secret>()
            .create(&PostParams::default(), &empty)
            .await
            .unwrap();
        for (host, days, wanted) in [
            ("a.example.com", 0, ("True", "AddressPending")),
            ("b.example.com", 0, ("False", "CertificateHostMismatch")),
            ("*.example.com", 80, ("True", "CertificateExpiring")),
            ("a.example.com", 91, ("False", "CertificateExpired")),
        ] {
            let made = json!({"stringData": made_for(host, days)});
            site.merge::<Secret>("mine", made).await;
            site.condition("shop", of, wanted).await;
        }
        let stack = site.get::<AuthStack>("shop").await.unwrap();
        let said = stack.status.unwrap().certificates;
        let mine = said.iter().find(|one| one.secret_name == "mine").unwrap();
        assert!(mine.not_after.0 < Timestamp::now());
    })
    .await;
}
