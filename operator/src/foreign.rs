//! The kinds of other projects that stacks may use: of each only the fields that
//! the operator writes, and of its status only what it reads. Nothing here is
//! ever installed; a cluster has these APIs, or it has not.

pub mod cert_manager;
pub mod cloud_native_pg;
pub mod gateway;
pub mod prometheus;

use serde::{Deserialize, Serialize};

/// A condition, as most kinds have them. Nothing in it is relied on to be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Condition {
    /// What it is about.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, in one word.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
    /// The generation of the object that it speaks of, where that is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// The condition of a type.
#[must_use]
pub fn condition<'a>(conditions: &'a [Condition], of: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == of)
}
