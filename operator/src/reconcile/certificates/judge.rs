//! What is to be said of a certificate that somebody else made.

use k8s_openapi::jiff::Timestamp;

use super::{Certificate, DAY};

/// A certificate that a manifest refers to, as it was found.
#[derive(Clone, Debug)]
pub struct Exposed {
    /// The Secret that holds it.
    pub secret: String,
    /// What it says, or why it cannot be read.
    pub certificate: Result<Certificate, String>,
    /// The host that it must be for.
    pub host: Option<String>,
}

/// What is wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// For programs.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// Whether clients refuse it now, and not only soon.
    pub is_refused: bool,
}

impl Exposed {
    /// What is wrong with it, if anything is.
    #[must_use]
    pub fn judge(&self, now: Timestamp) -> Option<Verdict> {
        let secret = &self.secret;
        let verdict = |reason, message, is_refused| {
            Some(Verdict {
                reason,
                message,
                is_refused,
            })
        };
        let certificate = match &self.certificate {
            Ok(certificate) => certificate,
            Err(problem) => {
                return verdict(
                    "CertificateInvalid",
                    format!("tls.crt of Secret {secret} is not usable, {problem}: replace it"),
                    true,
                );
            }
        };
        let Certificate {
            not_before,
            not_after,
            ..
        } = certificate;
        if let Some(host) = self.host.as_ref().filter(|host| !certificate.is_for(host)) {
            let names: Vec<_> = certificate.names.iter().map(String::as_str).collect();
            let names = names.join(", ");
            return verdict(
                "CertificateHostMismatch",
                format!(
                    "the certificate in Secret {secret} is for [{names}] and not for {host}: replace it, or change spec.ingress.host"
                ),
                true,
            );
        }
        if *not_after <= now {
            return verdict(
                "CertificateExpired",
                format!(
                    "the certificate in Secret {secret} expired at {not_after}: put a new one there"
                ),
                true,
            );
        }
        if *not_before > now {
            return verdict(
                "CertificateNotYetValid",
                format!(
                    "the certificate in Secret {secret} is valid from {not_before} on: wait, or replace it"
                ),
                true,
            );
        }
        if *not_after - DAY * 14 <= now {
            return verdict(
                "CertificateExpiring",
                format!(
                    "the certificate in Secret {secret} expires at {not_after}: put a new one there in time"
                ),
                false,
            );
        }
        None
    }

    /// When something else will have to be said of it.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Option<Timestamp> {
        let certificate = self.certificate.as_ref().ok()?;
        let changes = [
            certificate.not_before,
            certificate.not_after - DAY * 14,
            certificate.not_after,
        ];
        changes.into_iter().filter(|change| *change > now).min()
    }
}
