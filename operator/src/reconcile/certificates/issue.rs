//! Makes keys and signs certificates. Keys are random, so this belongs to the
//! edge, like the generated passwords.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, Error, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use secrecy::{ExposeSecret as _, SecretString};
use time::OffsetDateTime;

use super::{Pair, Wanted, expiry, whole};
use crate::reconcile::names::Names;

/// How long an authority lasts. Whoever was told to trust it would have to be
/// told again, so it is long.
pub const AUTHORITY_LIFE: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);
/// How long a certificate lasts.
pub const LEAF_LIFE: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How far clocks may differ.
const SKEW: SignedDuration = SignedDuration::from_hours(1);

/// Makes a stack's authority: its key (ECDSA, P-256) and a certificate that it
/// signs itself. It may sign servers' certificates, and no other authority.
///
/// # Errors
/// When there is no randomness, or a name is no text that a certificate takes.
pub fn authority(names: &Names, now: Timestamp) -> Result<Pair, Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name = authority_name(names);
    (params.not_before, params.not_after) = (date(now - SKEW), date(now + AUTHORITY_LIFE));
    let certificate = params.self_signed(&key)?;
    Ok(pair(&certificate, &key))
}

/// Makes a server's certificate, signed by the stack's authority, which it does
/// not outlive.
///
/// # Errors
/// When there is no randomness, a name is none that a certificate takes, or the
/// authority is none.
pub fn leaf(
    wanted: &Wanted,
    names: &Names,
    authority: &Pair,
    authority_end: Timestamp,
    now: Timestamp,
) -> Result<Pair, Error> {
    let key = KeyPair::generate()?;
    let mut issuer = CertificateParams::default();
    issuer.distinguished_name = authority_name(names);
    let issuer = Issuer::new(issuer, KeyPair::from_pem(authority.key.expose_secret())?);
    let wanted_names: Vec<String> = wanted.names.iter().cloned().collect();
    let mut params = CertificateParams::new(wanted_names)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.distinguished_name = subject(&wanted.subject);
    params.not_before = date(now - SKEW);
    params.not_after = date(expiry(authority_end, now));
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(pair(&certificate, &key))
}

fn authority_name(names: &Names) -> DistinguishedName {
    let mut name = subject(&format!("{} AuthStack CA", names.stack));
    name.push(DnType::OrganizationName, names.namespace.as_str());
    name
}

fn subject(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

fn pair(certificate: &rcgen::Certificate, key: &KeyPair) -> Pair {
    Pair {
        certificate: certificate.pem(),
        key: SecretString::from(key.serialize_pem()),
    }
}

/// The same moment as the library for certificates has it, to the second.
fn date(time: Timestamp) -> OffsetDateTime {
    // Both reach from the year -9999 to 9999.
    OffsetDateTime::from_unix_timestamp(whole(time).as_second())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
