//! What is true of the ways in: the Ingress with its certificate, the HTTPRoute.

use authstack_crds::CertificateStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{certificates, live, refused};
use crate::reconcile::apply::Outcome;
use crate::reconcile::children::{Certificate, Route, State};
use crate::reconcile::dereference::{Inputs, Reference};
use crate::reconcile::finding::Finding;

/// The Ingress, with the Secret of the stack's own certificate for it, or with
/// cert-manager's Certificate.
pub(super) fn ingress(
    ingress: Option<&Outcome>,
    own: Option<&Outcome>,
    certificate: Option<&Outcome>,
    inputs: &Inputs,
) -> Finding {
    if let Some(finding) = refused(own) {
        return finding;
    }
    let Some(ingress) = ingress else {
        return no_ingress();
    };
    if let Some(finding) = refused([ingress]).or_else(|| self::certificate(certificate?)) {
        return finding;
    }
    if let Reference::Missing(message) = &inputs.tls {
        return Finding::stalled("SecretNotFound", message);
    }
    certificates::exposed(inputs).unwrap_or_else(|| match live(ingress).map(|live| &live.state) {
        Some(State::Ingress { has_address: true }) => {
            Finding::ready("Ready", "the Ingress has an address")
        }
        // There may be no controller that ever gives it one.
        _ => Finding::ready(
            "AddressPending",
            "the Ingress is applied; no controller has given it an address yet",
        ),
    })
}

/// What is true where there is to be none.
pub(super) fn no_ingress() -> Finding {
    Finding::ready("Disabled", "spec.ingress.enabled is false")
}

/// When a certificate of cert-manager's expires. It has the name of its Secret.
pub(super) fn expiry(certificate: &Outcome) -> Option<CertificateStatus> {
    let state = certificate_state(certificate)?;
    Some(CertificateStatus {
        secret_name: state.secret_name.clone(),
        not_after: Time(state.not_after?),
    })
}

/// What keeps the Ingress's certificate from being there, if anything does.
fn certificate(outcome: &Outcome) -> Option<Finding> {
    if let Some(finding) = refused([outcome]) {
        return Some(finding);
    }
    let state = certificate_state(outcome)?;
    let said = if state.message.is_empty() {
        "nothing yet: is its controller running?"
    } else {
        &state.message
    };
    if state.is_ready {
        None
    } else if state.has_failed {
        let message = format!("cert-manager could not get the certificate: {said}");
        Some(Finding::stalled("CertificateFailed", message))
    } else {
        let message = format!("the certificate is not there yet; cert-manager says: {said}");
        Some(Finding::not_ready("CertificatePending", message))
    }
}

/// What cert-manager says of a certificate.
fn certificate_state(outcome: &Outcome) -> Option<&Certificate> {
    match outcome {
        Outcome::Live(live) => match &live.state {
            State::Certificate(certificate) => Some(certificate),
            _ => None,
        },
        Outcome::Refused { .. } | Outcome::Unavailable(..) => None,
    }
}

/// The HTTPRoute.
pub(super) fn http_route(outcome: &Outcome) -> Finding {
    let state = live(outcome).map_or(&State::Plain, |live| &live.state);
    refused([outcome]).unwrap_or_else(|| route(state))
}

/// An HTTPRoute that was seen. Unlike an Ingress's controller, a Gateway's must
/// say whether it took the route.
pub(super) fn route(state: &State) -> Finding {
    match state {
        State::Route(Route::Accepted) => {
            Finding::ready("Accepted", "every Gateway has accepted the HTTPRoute")
        }
        State::Route(Route::Refused {
            parent,
            reason,
            message,
            is_pending,
        }) => {
            let message = format!("Gateway {parent} says of the HTTPRoute: {message} ({reason})");
            if *is_pending {
                Finding::not_ready("RoutePending", message)
            } else {
                Finding::stalled("RouteNotAccepted", message)
            }
        }
        State::Route(Route::Unheard { parent }) => Finding::not_ready(
            "RoutePending",
            format!(
                "nobody has said yet whether Gateway {parent} accepts the HTTPRoute: does it exist, and is the controller of its class running?"
            ),
        ),
        _ => Finding::unknown("Unknown", "the HTTPRoute has not been seen yet"),
    }
}
