//! The stack's certificates: reads what is there, and makes what is not.

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::{Api, ResourceExt as _};
use secrecy::ExposeSecret as _;

use authstack_crds::AuthStack;

use super::{ours, read, text};
use crate::reconcile::certificates::{
    self, AllWanted, Authority, Certificate, Certificates, Decision, Exposed, Held, Leaf, Pair,
    Wanted, issue,
};
use crate::reconcile::error::Error;
use crate::reconcile::names::{Names, tls};

/// The stack's certificates, found or made.
pub(super) async fn certificates(
    secrets: &Api<Secret>,
    stack: &AuthStack,
    names: &Names,
    now: Timestamp,
) -> Result<Certificates, Error> {
    let AllWanted {
        postgres,
        api,
        ingress,
    } = certificates::wanted(stack, names);
    let name = names.authority();
    let found = read(secrets, &name).await?;
    let pair = match &found {
        Some(secret) => existing(secret, names)?,
        None => issue::authority(names, now).map_err(failed(&name))?,
    };
    let Some(certificate) = Certificate::of_pair(&pair) else {
        return Err(unusable(names, "its key does not go with its certificate"));
    };
    if !certificate.is_authority {
        return Err(unusable(names, "its certificate is none of an authority"));
    }
    if certificate.not_after <= now {
        let problem = format!("it expired at {}", certificate.not_after);
        return Err(unusable(names, &problem));
    }
    let maker = Maker {
        secrets,
        names,
        pair: &pair,
        certificate: &certificate,
        now,
    };
    let (postgres, api, ingress) = futures::try_join!(
        maker.leaf_if(postgres.as_ref(), Trust::Both),
        maker.leaf(&api, Trust::Authority),
        maker.leaf_if(ingress.as_ref(), Trust::Authority),
    )?;
    Ok(Certificates {
        authority: Authority {
            not_after: certificate.not_after,
            pair,
            found: found.map(|secret| secret.metadata),
        },
        postgres,
        api,
        ingress,
    })
}

/// The authority in a Secret that is the stack's, by label: it may have
/// outlived the stack that it was made for. One that somebody broke is not
/// written over: clients were told to trust it, and a backup may bring it back.
fn existing(secret: &Secret, names: &Names) -> Result<Pair, Error> {
    ours(secret, names, &names.authority())?;
    pair(secret).ok_or_else(|| unusable(names, "it has no tls.crt and tls.key"))
}

fn unusable(names: &Names, problem: &str) -> Error {
    Error::AuthorityInvalid {
        secret: names.authority(),
        problem: problem.to_owned(),
    }
}

fn failed(secret: &str) -> impl FnOnce(rcgen::Error) -> Error {
    let secret = secret.to_owned();
    move |source| Error::Certificate { secret, source }
}

fn pair(secret: &Secret) -> Option<Pair> {
    Some(Pair {
        certificate: text(secret, tls::CERTIFICATE)?.expose_secret().to_owned(),
        key: text(secret, tls::KEY)?,
    })
}

fn held(secret: &Secret) -> Option<Held> {
    Some(Held {
        pair: pair(secret)?,
        trust: text(secret, tls::TRUST)?.expose_secret().to_owned(),
    })
}

/// Whom clients are to trust while a certificate is replaced.
#[derive(Clone, Copy)]
enum Trust {
    /// The authority.
    Authority,
    /// Also the one before, if there was another: the server shows the old
    /// certificate until it is told to read the new one, and clients come and go
    /// meanwhile.
    Both,
}

/// Makes certificates that an authority signs.
struct Maker<'a> {
    secrets: &'a Api<Secret>,
    names: &'a Names,
    pair: &'a Pair,
    certificate: &'a Certificate,
    now: Timestamp,
}

impl Maker<'_> {
    async fn leaf_if(&self, wanted: Option<&Wanted>, trust: Trust) -> Result<Option<Leaf>, Error> {
        match wanted {
            Some(wanted) => Ok(Some(self.leaf(wanted, trust).await?)),
            None => Ok(None),
        }
    }

    async fn leaf(&self, wanted: &Wanted, trust: Trust) -> Result<Leaf, Error> {
        let secret = read(self.secrets, &wanted.secret).await?;
        // A Secret without one of the three is not whole, and one is missing.
        let held = secret.as_ref().and_then(held);
        let before = held.as_ref().map(|held| held.trust.clone());
        let authority = (self.pair, self.certificate);
        let found = secret.map(|secret| secret.metadata);
        match certificates::decide(held, wanted, authority, self.now) {
            Decision::Keep(Held { pair, trust }, terms) => Ok(Leaf {
                secret: wanted.secret.clone(),
                pair,
                trust,
                terms,
                made: None,
                found,
            }),
            Decision::Make(why) => {
                let end = self.certificate.not_after;
                let (pair, certificate) = issue::leaf(wanted, self.names, self.pair, end, self.now)
                    .and_then(parsed)
                    .map_err(failed(&wanted.secret))?;
                if !certificate.is_signed_by(self.certificate) {
                    let problem = "it is none that this operator made";
                    return Err(unusable(self.names, problem));
                }
                Ok(Leaf {
                    secret: wanted.secret.clone(),
                    trust: match trust {
                        Trust::Authority => self.pair.certificate.clone(),
                        Trust::Both => certificates::trust_both(self.pair, before.as_deref()),
                    },
                    terms: certificates::terms(&certificate, end),
                    made: Some(why),
                    found,
                    pair,
                })
            }
        }
    }
}

fn parsed(pair: Pair) -> Result<(Pair, Certificate), rcgen::Error> {
    let certificate = Certificate::of_pair(&pair);
    let certificate = certificate.ok_or(rcgen::Error::CouldNotParseCertificate)?;
    Ok((pair, certificate))
}

/// The certificate of an Ingress that somebody other than the operator made,
/// if it is there.
pub(super) fn exposed(secret: &Secret, host: Option<&String>) -> Exposed {
    let pem = text(secret, tls::CERTIFICATE);
    let pem = pem.as_ref().map_or("", |pem| pem.expose_secret());
    Exposed {
        secret: secret.name_any(),
        certificate: Certificate::parse(pem),
        host: host.cloned(),
    }
}
