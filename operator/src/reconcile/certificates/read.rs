//! What a certificate says (RFC 5280).

use std::collections::BTreeSet;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use k8s_openapi::jiff::Timestamp;
use rcgen::{KeyPair, PublicKeyData as _};
use secrecy::{ExposeSecret as _, SecretString};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer as _;

use super::Pair;

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// From when on it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// The DNS names that it is for, in lower case.
    pub names: BTreeSet<String>,
    /// Whether it may sign others.
    pub is_authority: bool,
    /// Its public key, without the algorithm.
    pub(super) public_key: Vec<u8>,
    der: Vec<u8>,
}

impl Certificate {
    /// Reads the first certificate of a PEM file.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(pem: &str) -> Result<Self, String> {
        let pem = blocks(pem)
            .next()
            .ok_or("it holds no certificate in PEM form")?;
        let der = pem.contents;
        let (_, x509) = X509Certificate::from_der(&der)
            .map_err(|error| format!("its certificate cannot be read: {error}"))?;
        let time = |seconds| {
            Timestamp::from_second(seconds)
                .map_err(|_| "its certificate's dates are out of range".to_owned())
        };
        let validity = x509.validity();
        let names = x509.subject_alternative_name();
        let names = names.map_err(|error| format!("its names cannot be read: {error}"))?;
        let names = names.iter().flat_map(|names| &names.value.general_names);
        Ok(Self {
            not_before: time(validity.not_before.timestamp())?,
            not_after: time(validity.not_after.timestamp())?,
            names: names
                .filter_map(|name| match name {
                    GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
                    _ => None,
                })
                .collect(),
            is_authority: x509.is_ca(),
            public_key: x509.public_key().subject_public_key.data.to_vec(),
            der,
        })
    }

    /// Reads a certificate that goes with its key.
    #[must_use]
    pub fn of_pair(pair: &Pair) -> Option<Self> {
        let certificate = Self::parse(&pair.certificate).ok()?;
        certificate.has_key(&pair.key).then_some(certificate)
    }

    fn has_key(&self, key: &SecretString) -> bool {
        KeyPair::from_pem(key.expose_secret()).is_ok_and(|key| key.der_bytes() == self.public_key)
    }

    /// Whether an authority signed it, as the operator's do: ECDSA with P-256
    /// and SHA-256.
    #[must_use]
    pub fn is_signed_by(&self, authority: &Self) -> bool {
        let parsed = (
            X509Certificate::from_der(&self.der),
            X509Certificate::from_der(&authority.der),
        );
        let (Ok((_, certificate)), Ok((_, signer))) = parsed else {
            return false;
        };
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &authority.public_key);
        let signature = &certificate.signature_value.data;
        certificate.issuer().as_raw() == signer.subject().as_raw()
            && key
                .verify(certificate.tbs_certificate.as_ref(), signature)
                .is_ok()
    }

    /// Whether clients that ask for a host accept it (RFC 9525, section 6.3): a
    /// wildcard stands for the first label, whole.
    #[must_use]
    pub fn is_for(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(domain) => parent == Some(domain),
            None => *name == host,
        })
    }
}

fn blocks(pem: &str) -> impl Iterator<Item = Pem> {
    Pem::iter_from_buffer(pem.as_bytes())
        .filter_map(Result::ok)
        .filter(|pem| pem.label == "CERTIFICATE")
}

/// The first certificate of a PEM file, as text.
pub(super) fn first_pem(pem: &str) -> Option<String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    Certificate::parse(pem).ok()?;
    let start = pem.find(BEGIN)?;
    let length = pem[start..].find(END)? + END.len();
    Some(format!("{}\n", &pem[start..start + length]))
}
