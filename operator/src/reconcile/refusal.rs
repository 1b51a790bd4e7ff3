//! What the API server means when it says no.
//!
//! Its codes are few and its words many: a quota, a policy and a missing right
//! are all 403, and each wants something else of the person who reads it.

use kube::core::Status;

/// A no that trying again does not turn into a yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The operator's account may not do this.
    Forbidden,
    /// The namespace's quota is used up.
    QuotaExceeded,
    /// A webhook or a policy of the cluster is against it.
    AdmissionDenied,
    /// A field cannot change in an object that exists.
    Immutable,
    /// The object is not valid.
    Invalid,
}

impl Refusal {
    /// What an answer means, if it is a no. Conflicts, overload and failures of
    /// the API server or of what it asks are none.
    #[must_use]
    pub fn of(status: &Status) -> Option<Self> {
        let says = |words: &str| status.message.contains(words);
        let policy = says("ValidatingAdmissionPolicy") && says("denied request");
        if policy || says("admission webhook") && says("denied the request") {
            return Some(Self::AdmissionDenied);
        }
        match status.code {
            403 if is_terminating(status) => None,
            403 if says("exceeded quota") || says("failed quota") => Some(Self::QuotaExceeded),
            403 => Some(Self::Forbidden),
            422 if IMMUTABLE.iter().any(|words| says(words)) => Some(Self::Immutable),
            400 | 405 | 413 | 415 | 422 => Some(Self::Invalid),
            _ => None,
        }
    }

    /// The reason that conditions carry.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Forbidden => "Forbidden",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::AdmissionDenied => "AdmissionDenied",
            Self::Immutable => "Immutable",
            Self::Invalid => "Invalid",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Forbidden => "give the operator's account this right, as config/rbac does",
            Self::QuotaExceeded => "raise the namespace's quota, or ask for less in the manifest",
            Self::AdmissionDenied => {
                "change the manifest so that the policy agrees, or except the stack from it"
            }
            Self::Immutable => {
                "the object is left as it is; where it holds nothing that you would miss, delete it, and the operator makes it anew"
            }
            Self::Invalid => "correct the field of the manifest that it comes from",
        }
    }
}

/// How the API server says that a field cannot change, by kind of object.
const IMMUTABLE: [&str; 3] = [
    "immutable",
    "may not change once set",
    "updates to statefulset spec for fields other than",
];

/// Whether the namespace is being deleted, and everything in it with it.
#[must_use]
pub fn is_terminating(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let mut causes = causes.map(|cause| cause.reason.as_str());
    status.code == 403 && causes.any(|cause| cause == "NamespaceTerminating")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: u16, message: &str) -> Option<Refusal> {
        Refusal::of(&Status::failure(message, "").with_code(code))
    }

    #[test]
    fn each_no_is_told_by_its_words() {
        // The words are those of a kube-apiserver 1.35.
        for (code, message, wanted) in [
            (
                403,
                "services is forbidden: User \"a\" cannot create resource \"services\" in API group \"\" in the namespace \"b\"",
                Some(Refusal::Forbidden),
            ),
            (
                403,
                "services \"shop-api\" is forbidden: exceeded quota: small, requested: services=1, used: services=0, limited: services=0",
                Some(Refusal::QuotaExceeded),
            ),
            (
                400,
                "admission webhook \"check.example.com\" denied the request: no",
                Some(Refusal::AdmissionDenied),
            ),
            (
                403,
                "admission webhook \"check.example.com\" denied the request: no",
                Some(Refusal::AdmissionDenied),
            ),
            (
                422,
                "services \"shop-api\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
                Some(Refusal::AdmissionDenied),
            ),
            (
                422,
                "Deployment.apps \"shop-api\" is invalid: spec.selector: Invalid value: {}: field is immutable",
                Some(Refusal::Immutable),
            ),
            (
                422,
                "Service \"shop-api\" is invalid: spec.clusterIPs[0]: Invalid value: [\"None\"]: may not change once set",
                Some(Refusal::Immutable),
            ),
            (
                422,
                "Deployment.apps \"shop-api\" is invalid: spec.replicas: Invalid value: -1",
                Some(Refusal::Invalid),
            ),
            (400, "the body is no object", Some(Refusal::Invalid)),
            (
                500,
                "Internal error occurred: failed calling webhook \"check.example.com\": context deadline exceeded",
                None,
            ),
            (409, "the object has been modified", None),
            (429, "too many requests", None),
            (404, "namespaces \"b\" not found", None),
        ] {
            assert_eq!(of(code, message), wanted, "{code} {message}");
        }
    }
}
