//! What can go wrong on the way from a manifest to its children: a variant for
//! each thing that an operator of a cluster would tell apart.

use super::names::Component;
use super::refusal::{self, Refusal};
use crate::client;

/// Why a stack could not be reconciled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `spec.version` is none that this operator can run.
    #[error(
        "spec.version {version} is not known to this operator, which knows {known}: choose one of these, or upgrade the operator first; the stack is left as it is"
    )]
    UnsupportedVersion {
        /// What the manifest says.
        version: String,
        /// What it may say.
        known: String,
    },

    /// The manifest says something that cannot be. An API server lets it through
    /// only where the definition in the cluster is not this operator's.
    #[error("{field}: {problem}")]
    InvalidSpec {
        /// Where.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },

    /// The database's files exist and its passwords do not.
    #[error(
        "Secret {secret} is gone while the data volume {claim} exists: new passwords would not open it. Restore the Secret from a backup, or, if the data may be lost, delete the PersistentVolumeClaim {claim}; the database is left as it is"
    )]
    CredentialsMissing {
        /// The Secret that was looked for.
        secret: String,
        /// The claim that exists.
        claim: String,
    },

    /// The credentials Secret lacks something that only a human can have taken.
    #[error(
        "Secret {secret} has no usable key {key}: restore it from a backup; the pods are left as they are"
    )]
    CredentialsInvalid {
        /// The Secret.
        secret: String,
        /// The missing or empty key.
        key: &'static str,
    },

    /// The keys that sign tokens are gone while pods use them.
    #[error(
        "Secret {secret} is gone while the pods of Deployment {deployment} sign with what it held: restore it from a backup, or, if everybody may log in again, delete the Deployment {deployment}; both are then made anew"
    )]
    SigningKeysMissing {
        /// The Secret that was looked for.
        secret: String,
        /// The Deployment that mounts it.
        deployment: String,
    },

    /// The library would not make a key.
    #[error("a key to sign tokens with could not be made")]
    KeyGeneration,

    /// The Secret of the stack's authority holds none that could sign.
    #[error(
        "Secret {secret} holds no usable certificate authority, {problem}: restore it from a backup, or delete it to have a new one made, which clients that trust the old one must then be told of; the stack is left as it is"
    )]
    AuthorityInvalid {
        /// The Secret.
        secret: String,
        /// What is wrong with it.
        problem: String,
    },

    /// A certificate could not be made.
    #[error("making the certificate for Secret {secret}: {source}")]
    Certificate {
        /// The Secret that was to hold it.
        secret: String,
        /// Why.
        source: rcgen::Error,
    },

    /// The retained volume was written by another major version.
    #[error(
        "the data volume {claim} was written by PostgreSQL {found} and spec.postgres.managed.major is {wanted}: set it to {found}, or delete the PersistentVolumeClaim if its data may be lost"
    )]
    MajorMismatch {
        /// The claim.
        claim: String,
        /// What its label says.
        found: String,
        /// What the manifest says.
        wanted: i32,
    },

    /// An object with a child's name belongs to somebody else.
    #[error(
        "{kind} {name} exists already and does not belong to this AuthStack: rename or delete it, or give the AuthStack another name; it is left as it is"
    )]
    NameTaken {
        /// The part of the stack that needs the name.
        component: Component,
        /// Kind of the object.
        kind: &'static str,
        /// Its name.
        name: String,
    },

    /// An object with a child's name is on its way out.
    #[error("{kind} {name} is still being deleted; its successor is made when it is gone")]
    StillDeleting {
        /// Kind of the object.
        kind: &'static str,
        /// Its name.
        name: String,
    },

    /// An object is made anew around what belongs to it, because it cannot be
    /// changed into what it is to be.
    #[error("{kind} {name} is made anew around its pods and volumes: {step}")]
    Replacing {
        /// Kind of the object.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What is being waited for.
        step: &'static str,
    },

    /// An object cannot be changed into what it is to be, nor be made anew
    /// without losing something.
    #[error("{kind} {name} cannot be changed: {problem}; it is left as it is")]
    Immutable {
        /// Kind of the object.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What cannot change, and what to do.
        problem: String,
    },

    /// A request failed.
    #[error("{action}: {}", said(source))]
    Api {
        /// What was being done, with the object's kind and name.
        action: String,
        /// What the client or the API server said.
        source: kube::Error,
    },
}

/// Wraps a client's error with what was being done.
pub(super) fn api(action: impl Into<String>) -> impl FnOnce(kube::Error) -> Error {
    let action = action.into();
    move |source| Error::Api { action, source }
}

impl Error {
    /// The reason that conditions, events and metrics carry.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UnsupportedVersion { .. } => "UnsupportedVersion",
            Self::InvalidSpec { .. } => "InvalidSpec",
            Self::CredentialsMissing { .. } => "CredentialsMissing",
            Self::CredentialsInvalid { .. } => "CredentialsInvalid",
            Self::SigningKeysMissing { .. } => "SigningKeysMissing",
            Self::KeyGeneration => "KeyGenerationFailed",
            Self::AuthorityInvalid { .. } => "AuthorityInvalid",
            Self::Certificate { .. } => "CertificateFailed",
            Self::MajorMismatch { .. } => "MajorMismatch",
            Self::NameTaken { .. } => "NameTaken",
            Self::StillDeleting { .. } => "StillDeleting",
            Self::Replacing { .. } => "Replacing",
            Self::Immutable { .. } => "Immutable",
            Self::Api { source, .. } => match refusal(source) {
                Some(refusal) => refusal.reason(),
                None if is_terminating(source) => "NamespaceTerminating",
                None => "ApiError",
            },
        }
    }

    /// Whether waiting and trying again can mend it. What cannot be mended that
    /// way needs a human, and the change that the human makes is a new trigger.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::UnsupportedVersion { .. }
            | Self::InvalidSpec { .. }
            | Self::CredentialsMissing { .. }
            | Self::CredentialsInvalid { .. }
            | Self::SigningKeysMissing { .. }
            | Self::AuthorityInvalid { .. }
            | Self::MajorMismatch { .. }
            | Self::NameTaken { .. }
            | Self::Immutable { .. } => false,
            Self::StillDeleting { .. }
            | Self::KeyGeneration
            | Self::Certificate { .. }
            | Self::Replacing { .. } => true,
            Self::Api { source, .. } => refusal(source).is_none(),
        }
    }

    /// Whether this is no failure of the stack: another replica leads, somebody
    /// was faster, or the stack is about to go with its namespace.
    #[must_use]
    pub fn is_benign(&self) -> bool {
        match self {
            Self::StillDeleting { .. } => true,
            Self::Api { source, .. } => {
                client::is_not_leading(source)
                    || is_terminating(source)
                    || matches!(source, kube::Error::Api(status) if status.code == 409)
            }
            _ => false,
        }
    }

    /// What the API server means, if it understood and said no.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Api { source, .. } => refusal(source),
            _ => None,
        }
    }

    /// Whether the API server knows no such object, or no such kind.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Api { source: kube::Error::Api(status), .. } if status.code == 404)
    }

    /// The part of the stack that it concerns, if it is one part's matter.
    #[must_use]
    pub fn component(&self) -> Option<Component> {
        match self {
            Self::CredentialsMissing { .. }
            | Self::CredentialsInvalid { .. }
            | Self::SigningKeysMissing { .. }
            | Self::AuthorityInvalid { .. }
            | Self::KeyGeneration => Some(Component::Credentials),
            Self::MajorMismatch { .. } => Some(Component::Postgres),
            Self::NameTaken { component, .. } => Some(*component),
            Self::UnsupportedVersion { .. }
            | Self::InvalidSpec { .. }
            | Self::StillDeleting { .. }
            | Self::Certificate { .. }
            | Self::Replacing { .. }
            | Self::Immutable { .. }
            | Self::Api { .. } => None,
        }
    }
}

fn refusal(error: &kube::Error) -> Option<Refusal> {
    match error {
        kube::Error::Api(status) => Refusal::of(status),
        _ => None,
    }
}

fn is_terminating(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if refusal::is_terminating(status))
}

/// What a client's error says to a person, with what to do about it.
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => match Refusal::of(status) {
            Some(refusal) => format!("{}: {}", status.message, refusal.advice()),
            None => status.message.clone(),
        },
        other => other.to_string(),
    }
}
