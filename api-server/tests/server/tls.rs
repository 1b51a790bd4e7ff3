//! TLS towards clients: what is spoken, what is refused, and a certificate that
//! is renewed while the server runs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::tls::Version;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    api::{Api, NO_DATABASE, SECRET, eventually, run},
    certificates::{Authority, Pair},
    mount::Mount,
    postgres::Postgres,
};

/// A look at the files takes five seconds.
const PATIENCE: Duration = Duration::from_secs(20);
const REFUSED: &str = "TLS_CERT_FILE with TLS_KEY_FILE not reloaded: the old certificate stays in \
                       force until it is mended";

/// A server's certificate and key, mounted.
pub(crate) struct TlsFiles {
    pub(crate) authority: Authority,
    mount: Mount,
    paths: [String; 2],
    not_after: i64,
}

impl TlsFiles {
    /// Makes a pair that is good for so many days.
    pub(crate) fn new(days: i64) -> Self {
        let authority = Authority::new();
        let pair = authority.issue(&["127.0.0.1"], days);
        let mount = Mount::new(&[("tls.crt", &pair.certificate), ("tls.key", &pair.key)]);
        let paths = ["tls.crt", "tls.key"].map(|name| mount.path(name));
        Self {
            authority,
            mount,
            paths,
            not_after: pair.not_after,
        }
    }

    pub(crate) fn settings(&self) -> [(&str, &str); 2] {
        [
            ("TLS_CERT_FILE", &self.paths[0]),
            ("TLS_KEY_FILE", &self.paths[1]),
        ]
    }

    fn write(&mut self, certificate: &str, key: &str) {
        self.mount
            .write(&[("tls.crt", certificate), ("tls.key", key)]);
    }

    /// Exchanges the pair for one that is good for so many days.
    fn renew(&mut self, days: i64) -> Pair {
        let pair = self.authority.issue(&["127.0.0.1"], days);
        self.write(&pair.certificate, &pair.key);
        pair
    }
}

/// A handshake that offers these protocols, and trusts this authority.
async fn connect(
    api: &Api,
    authority: &str,
    alpn: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(authority.as_bytes()).unwrap();
    roots.add(authority).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(("127.0.0.1", api.port)).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// The certificate that a new connection is shown.
async fn shown(api: &Api, authority: &str) -> Vec<u8> {
    let stream = connect(api, authority, &[]).await.unwrap();
    let certificates = stream.get_ref().1.peer_certificates().unwrap();
    certificates[0].to_vec()
}

fn der(pem: &str) -> Vec<u8> {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    certificate.to_vec()
}

async fn counts(api: &Api, expected: &str) {
    eventually(PATIENCE, async || {
        api.metrics().await.contains(expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn clients_speak_tls_and_probes_do_not() {
    let postgres = Postgres::migrated().await;
    let server = TlsFiles::new(30);
    let mut api = Api::start(&postgres.url(), &server.settings()).await;
    api.trust(&server.authority.pem);
    api.ready().await;
    let (access, _) = api.tokens("guybrush").await;
    assert_eq!(api.me(&access).await.status(), 200);
    let sessions = api.client.get(api.url("/auth/sessions"));
    let sessions = sessions.bearer_auth(&access).send().await.unwrap();
    let sessions: Value = sessions.json().await.unwrap();
    assert_eq!(sessions["items"][0]["client_address"], "127.0.0.1");
    let port = api.metrics_port.to_string();
    let healthy = run(&["healthcheck"], &[("METRICS_PORT", &port)]);
    assert!(healthy.status.success());
    let expiry = format!(
        "tls_certificate_expiry_timestamp_seconds {}",
        server.not_after
    );
    counts(&api, &expiry).await;

    for version in [Version::TLS_1_2, Version::TLS_1_3] {
        let client = api.new_client();
        let client = client.tls_version_min(version).tls_version_max(version);
        let client = client.build().unwrap();
        let answer = client.get(api.url("/")).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{version:?}");
    }
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Some(&b"http/1.1"[..])),
        (&[], None),
    ] {
        let stream = connect(&api, &server.authority.pem, offered).await;
        assert_eq!(stream.unwrap().get_ref().1.alpn_protocol(), agreed);
    }
    assert!(connect(&api, &server.authority.pem, &["h2"]).await.is_err());
    let stranger = Authority::new();
    assert!(connect(&api, &stranger.pem, &[]).await.is_err());
    counts(&api, "tls_handshake_failures_total{reason=\"refused\"} 2").await;
}

/// Sends `beginning`; after how long the server closed the connection.
async fn closed_after(api: &Api, beginning: &[u8]) -> Duration {
    let started = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", api.port)).await.unwrap();
    stream.write_all(beginning).await.unwrap();
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let closed = tokio::time::timeout(Duration::from_secs(45), reading).await;
    assert!(closed.is_ok(), "it was never closed");
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    started.elapsed()
}

#[tokio::test]
async fn who_speaks_no_tls_is_closed_without_noise_and_who_is_silent_in_time() {
    let server = TlsFiles::new(30);
    let mut api = Api::start(NO_DATABASE, &server.settings()).await;
    api.trust(&server.authority.pem);
    api.logged("TLS certificate loaded").await;
    let before = api.log().await.len();
    // The head of a record that promises more.
    let begun = [0x16, 3, 1, 1, 0, 1];
    let others = async {
        let took = closed_after(&api, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(took < Duration::from_secs(10), "{took:?}");
        drop(TcpStream::connect(("127.0.0.1", api.port)).await.unwrap());
        counts(&api, "tls_handshake_failures_total{reason=\"plaintext\"} 1").await;
        counts(&api, "tls_handshake_failures_total{reason=\"closed\"} 1").await;
        assert_eq!(api.get("/").await.status(), 200, "others are served");
    };
    let (silent, stalled, ()) =
        tokio::join!(closed_after(&api, b""), closed_after(&api, &begun), others);
    for took in [silent, stalled] {
        assert!(took >= Duration::from_secs(29), "{took:?}");
    }
    counts(&api, "tls_handshake_failures_total{reason=\"timeout\"} 2").await;
    // By a connection that is not as old as those.
    api.trust(&server.authority.pem);
    let log = api.log().await;
    // There is no database here, which is said as well.
    let expected = ["request", "not ready"].map(Value::from);
    let mut lines = log[before..].iter();
    let noise = lines.find(|line| !expected.contains(&line["message"]));
    assert_eq!(noise, None);
}

async fn refusals(api: &Api, count: usize) -> Value {
    eventually(PATIENCE, async || {
        let log = api.log().await;
        let mut lines = log.into_iter().filter(|line| line["message"] == REFUSED);
        lines.nth(count - 1)
    })
    .await
}

/// Asks until `stop`, over one connection or each time over another; every
/// answer must come.
async fn ask_until(api: &Api, keep_alive: bool, stop: &AtomicBool, answered: &AtomicUsize) {
    let kept = usize::from(keep_alive);
    let client = api.new_client().pool_max_idle_per_host(kept);
    let client = client.build().unwrap();
    while !stop.load(Ordering::Relaxed) {
        let answer = client.get(api.url("/")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.bytes().await.unwrap();
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_under_load_and_a_broken_one_changes_nothing() {
    let mut server = TlsFiles::new(30);
    let settings: Vec<_> = server
        .settings()
        .map(|(name, path)| (name, path.to_owned()))
        .into();
    let settings: Vec<_> = settings
        .iter()
        .map(|(name, path)| (*name, path.as_str()))
        .collect();
    let mut api = Api::start(NO_DATABASE, &settings).await;
    let trusted = server.authority.pem.clone();
    api.trust(&trusted);
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let renewals = async {
        let renewed = server.renew(60);
        eventually(PATIENCE, async || {
            (shown(&api, &trusted).await == der(&renewed.certificate)).then_some(())
        })
        .await;
        counts(
            &api,
            &format!("expiry_timestamp_seconds {}", renewed.not_after),
        )
        .await;
        counts(&api, "tls_certificate_reloads_total{result=\"loaded\"} 1").await;

        let other = server.authority.issue(&["127.0.0.1"], 90);
        server.write(&other.certificate, &renewed.key);
        let line = refusals(&api, 1).await;
        assert_eq!(line["reason"], "the key is not the certificate's");
        counts(&api, "tls_certificate_file_refused 1").await;
        server.write("", &renewed.key);
        refusals(&api, 2).await;
        assert_eq!(shown(&api, &trusted).await, der(&renewed.certificate));
        counts(
            &api,
            &format!("expiry_timestamp_seconds {}", renewed.not_after),
        )
        .await;

        server.write(&other.certificate, &other.key);
        counts(&api, "tls_certificate_file_refused 0").await;
        assert_eq!(shown(&api, &trusted).await, der(&other.certificate));
        stop.store(true, Ordering::Relaxed);
        [renewed.key, other.key]
    };
    let ((), (), keys) = tokio::join!(
        ask_until(&api, true, &stop, &answered),
        ask_until(&api, false, &stop, &answered),
        renewals,
    );
    let answered = answered.load(Ordering::Relaxed);
    println!("{answered} requests, none failed");
    assert!(answered > 100, "{answered}");
    let refused = api.log().await.into_iter();
    let refused = refused.filter(|line| line["message"] == REFUSED);
    assert_eq!(refused.count(), 2, "each is told once");
    for key in keys {
        let secret = key.lines().nth(1).unwrap();
        assert!(!api.printed().await.contains(secret));
    }
    // One that is over is used, since there is no better one, and said to be.
    server.renew(-1);
    api.logged("the TLS certificate has expired").await;
    assert!(connect(&api, &trusted, &[]).await.is_err());
}

#[test]
fn files_that_are_no_pair_stop_the_boot() {
    let server = TlsFiles::new(30);
    let other = TlsFiles::new(30);
    let [certificate, key] = server.settings();
    let [_, others_key] = other.settings();
    let missing = "/does/not/exist";
    for (settings, culprit) in [
        (vec![certificate], "TLS_KEY_FILE must be set"),
        (vec![key], "TLS_CERT_FILE must be set"),
        (
            vec![certificate, ("TLS_KEY_FILE", missing)],
            "TLS_KEY_FILE (/does",
        ),
        (
            vec![("TLS_CERT_FILE", missing), key],
            "TLS_CERT_FILE (/does",
        ),
        (
            vec![("TLS_CERT_FILE", key.1), key],
            "is missing: there is none",
        ),
        (vec![certificate, others_key], "is not the certificate's"),
    ] {
        let required = [("DATABASE_URL", NO_DATABASE), ("SECRET_KEY", SECRET)];
        let output = run(&["serve"], &[&required[..], &settings].concat());
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{culprit}: it started");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(culprit), "{culprit}: {text}");
    }
}
