//! The certificates of servers in place of the API, as the operator makes them.

use std::sync::{Arc, OnceLock};

use authstack_crds::AuthStack;
use authstack_operator::reconcile::certificates::{Certificate, Pair, issue, wanted};
use authstack_operator::reconcile::names::Names;
use k8s_openapi::jiff::Timestamp;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use secrecy::ExposeSecret as _;
use tokio_rustls::TlsAcceptor;

fn names() -> Names {
    Names {
        stack: "shop".to_owned(),
        namespace: "store".to_owned(),
    }
}

/// The stack's authority.
pub(crate) fn authority() -> &'static Pair {
    static AUTHORITY: OnceLock<Pair> = OnceLock::new();
    AUTHORITY.get_or_init(|| issue::authority(&names(), Timestamp::now()).unwrap())
}

/// What a server shows: the API's certificate, or a stranger's for the same name.
pub(crate) fn acceptor(stranger: bool) -> TlsAcceptor {
    let stack = "metadata: {name: shop, namespace: store}\nspec: {}";
    let stack: AuthStack = serde_yaml::from_str(stack).unwrap();
    let now = Timestamp::now();
    let other = issue::authority(&names(), now).unwrap();
    let signer = if stranger { &other } else { authority() };
    let end = Certificate::parse(&signer.certificate).unwrap().not_after;
    let wanted = wanted(&stack, &names()).api;
    let pair = issue::leaf(&wanted, &names(), signer, end, now).unwrap();
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(pair.key.expose_secret().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
