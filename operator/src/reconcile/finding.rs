//! What is true of one part of a stack, as its condition will say it.

use super::diagnose::Cause;

/// What is true of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is as it is to be, at this generation; `None` is unknown.
    pub ready: Option<bool>,
    /// Why, for programs.
    pub reason: &'static str,
    /// Why, for people.
    pub message: String,
    /// Whether it stays so until somebody acts.
    pub stalled: bool,
    /// Whether what is in the way is nothing that is watched: another's object
    /// of a child's name, a quota, a policy.
    pub unwatched: bool,
}

impl Finding {
    pub(super) fn ready(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            ready: Some(true),
            reason,
            message: message.into(),
            stalled: false,
            unwatched: false,
        }
    }

    pub(super) fn not_ready(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            ready: Some(false),
            ..Self::ready(reason, message)
        }
    }

    pub(super) fn stalled(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            stalled: true,
            ..Self::not_ready(reason, message)
        }
    }

    /// The API server or an object's owner would not have it.
    pub(super) fn refused(reason: &'static str, message: &str) -> Self {
        Self {
            unwatched: true,
            ..Self::stalled(reason, message)
        }
    }

    pub(super) fn unknown(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            ready: None,
            ..Self::ready(reason, message)
        }
    }
}

impl From<Cause> for Finding {
    fn from(cause: Cause) -> Self {
        Self {
            ready: Some(false),
            reason: cause.reason,
            message: cause.message,
            stalled: cause.stalled,
            unwatched: false,
        }
    }
}
