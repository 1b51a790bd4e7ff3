//! The database speaks TLS and nothing else, and the API makes sure of whom it
//! speaks to.

use std::collections::BTreeMap;

use authstack_e2e::{Exec, Site, figure, small};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

const POD: &str = "shop-postgres-0";
const HOW: &str = "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

/// Asks the database something over TCP, as one of its roles.
async fn ask(site: &Site, role: &str, options: &str, question: &str) -> Exec {
    let (user, file) = match role {
        "superuser" => ("postgres", "superuser-password"),
        _ => ("authstack_runtime", "runtime-password"),
    };
    let target = format!("user={user} dbname=authstack connect_timeout=5 {options}");
    let script = format!(
        "PGPASSWORD=$(cat /run/secrets/postgres/{file}) psql -XAtc \"{question}\" '{target}'"
    );
    site.exec(POD, &script).await
}

#[tokio::test]
async fn a_connection_without_tls_is_refused_and_one_with_it_is_verified() {
    let site = Site::new("database-tls").await;
    let ingress = json!({"host": "shop.example.com", "tls": {"selfSigned": true}});
    site.apply("shop", small(json!({"ingress": ingress}))).await;
    site.serving("shop").await;
    let authority = certificate(&site, "shop-ca").await;
    write(&site, "ca.crt", &authority).await;

    // From within the pod, because a policy lets nobody but the API in.
    let name = format!("shop-postgres.{}.svc", site.namespace);
    let there = format!("host={name} hostaddr=127.0.0.1");
    let verified = format!("{there} sslmode=verify-full sslrootcert=/tmp/ca.crt");
    let plain = ask(&site, "runtime", &format!("{there} sslmode=disable"), HOW).await;
    figure(&format!("psql without TLS: {}", plain.output.trim()));
    assert!(!plain.succeeded);
    assert!(plain.output.contains("no encryption"), "{}", plain.output);
    let encrypted = ask(&site, "runtime", &verified, HOW).await;
    assert_eq!(encrypted.output.trim(), "t|TLSv1.3");
    let other_name = verified.replace(&name, "shop-api");
    let refused = ask(&site, "runtime", &other_name, HOW).await;
    assert!(!refused.succeeded && refused.output.contains("does not match"));
    let old = format!("{verified} ssl_max_protocol_version=TLSv1.1 ssl_min_protocol_version=TLSv1");
    assert!(!ask(&site, "runtime", &old, HOW).await.succeeded);

    // The API's own connections; and how passwords are kept.
    let connections = "SELECT bool_and(ssl), count(*) > 0 FROM pg_stat_ssl JOIN pg_stat_activity \
         USING (pid) WHERE usename = 'authstack_runtime'";
    let answer = ask(&site, "superuser", &verified, connections).await;
    assert_eq!(answer.output.trim(), "t|t");
    let kept =
        "SELECT bool_and(rolpassword LIKE 'SCRAM-SHA-256%') FROM pg_authid WHERE rolcanlogin";
    let answer = ask(&site, "superuser", &verified, kept).await;
    assert_eq!(answer.output.trim(), "t");

    for (secret, host) in [
        ("shop-postgres-tls", "shop-postgres"),
        ("shop-api-tls", "shop-api"),
        ("shop-ingress-tls", "shop.example.com"),
    ] {
        write(&site, "leaf.crt", &certificate(&site, secret).await).await;
        let verify = format!(
            "openssl verify -purpose sslserver -verify_hostname {host} -CAfile /tmp/ca.crt /tmp/leaf.crt"
        );
        let verdict = site.exec(POD, &verify).await;
        assert!(verdict.succeeded, "{secret}: {}", verdict.output);
        view(&site, secret, "leaf.crt").await;
    }
    view(&site, "shop-ca", "ca.crt").await;
}

/// The certificate in a Secret, in PEM.
async fn certificate(site: &Site, secret: &str) -> String {
    let secret: Secret = site.find(secret).await.unwrap();
    let mut data: BTreeMap<String, ByteString> = secret.data.unwrap();
    String::from_utf8(data.remove("tls.crt").unwrap().0).unwrap()
}

/// Makes a file in the pod, beside which openssl and psql are.
async fn write(site: &Site, file: &str, text: &str) {
    let script = format!("printf '%s' '{text}' > /tmp/{file}");
    let written = site.exec(POD, &script).await;
    assert!(written.succeeded, "{}", written.output);
}

/// What openssl reads in a certificate, for the log.
async fn view(site: &Site, secret: &str, file: &str) {
    let extensions = "basicConstraints,keyUsage,extendedKeyUsage,subjectAltName";
    let script = format!(
        "openssl x509 -in /tmp/{file} -noout -subject -issuer -dates -ext {extensions} 2>&1"
    );
    let view = site.exec(POD, &script).await;
    assert!(view.succeeded, "{}", view.output);
    figure(&format!("openssl on {secret}:\n{}", view.output.trim_end()));
}
