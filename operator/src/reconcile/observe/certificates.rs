//! What is true of a stack's certificates.

use authstack_crds::CertificateStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Finding, front};
use crate::reconcile::apply::{Applied, Outcome};
use crate::reconcile::certificates::is_ending;
use crate::reconcile::children::{JobEnd, State};
use crate::reconcile::dereference::Inputs;
use crate::reconcile::desired::Desired;
use crate::reconcile::labels::COMPONENT;
use crate::reconcile::names::Component;

/// What is true of the passwords and the authority, which both are there.
pub(super) fn credentials(inputs: &Inputs) -> Finding {
    let authority = &inputs.certificates.authority;
    if is_ending(authority.not_after, inputs.now) {
        return Finding::ready(
            "AuthorityEnding",
            format!(
                "the stack's certificate authority expires at {}: at a quiet time before that, delete its Secret to have a new one made, and tell whoever trusts it",
                authority.not_after
            ),
        );
    }
    Finding::ready("Ready", "the credentials are there")
}

/// That the database goes on with its old certificate though there is a new one.
/// It serves until that expires, a month later; another Job tries before then.
pub(super) fn reload_failure(reload: Option<&Outcome>) -> Option<Finding> {
    let Outcome::Live(live) = reload? else {
        return None;
    };
    let State::Job(Some(JobEnd::Failed(message))) = &live.state else {
        return None;
    };
    let component = Component::PostgresJob.as_str();
    Some(Finding::not_ready(
        "CertificateReloadFailed",
        format!(
            "PostgreSQL accepts connections but could not be told to read its new certificate: {message}; see the log of the Job with the label {COMPONENT}={component}; another one tries again in a while"
        ),
    ))
}

/// What is to be said of a certificate that somebody else made for the Ingress.
pub(super) fn exposed(inputs: &Inputs) -> Option<Finding> {
    let verdict = inputs.exposed.as_ref()?.judge(inputs.now)?;
    Some(if verdict.is_refused {
        Finding::stalled(verdict.reason, verdict.message)
    } else {
        Finding::ready(verdict.reason, verdict.message)
    })
}

/// The certificates that servers of the stack show, and when they expire.
pub(super) fn in_use(inputs: &Inputs, applied: &Desired<Applied>) -> Vec<CertificateStatus> {
    let own = &inputs.certificates;
    let postgres = applied.postgres.as_ref().map(|postgres| &postgres.tls);
    let leaves = [
        (postgres, own.postgres.as_ref()),
        (Some(&applied.api.tls), Some(&own.api)),
        (applied.ingress_tls.as_ref(), own.ingress.as_ref()),
    ];
    let is_live = |outcome: Option<&Outcome>| matches!(outcome, Some(Outcome::Live(_)));
    let status = |secret: &str, not_after| CertificateStatus {
        secret_name: secret.to_owned(),
        not_after: Time(not_after),
    };
    let mut list: Vec<_> = leaves
        .into_iter()
        .filter(|(outcome, _)| is_live(*outcome))
        .filter_map(|(_, leaf)| leaf.map(|leaf| status(&leaf.secret, leaf.terms.not_after)))
        .collect();
    if let Some(exposed) = &inputs.exposed
        && let Ok(certificate) = &exposed.certificate
        && list.iter().all(|one| one.secret_name != exposed.secret)
    {
        list.push(status(&exposed.secret, certificate.not_after));
    }
    let foreign = applied.certificate.as_ref();
    list.extend(foreign.and_then(front::expiry));
    list
}
