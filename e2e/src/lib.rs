//! What the end-to-end tests share: a [`Site`], which is a namespace of its own
//! on a real cluster, a [`Gateway`], which is a client of a stack's nginx, and a
//! [`Crowd`], which is many of them at work.
//!
//! The cluster is the one that `KUBECONFIG` names, with the operator on it, as
//! `make up` leaves it. Where this machine has no route to the addresses of
//! Services, requests go through a port-forward of the tests' own.

#![allow(
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::panic,
    clippy::unwrap_used,
    reason = "these are tests' parts, and tests fail by panicking"
)]

mod cluster;
mod crash;
mod forward;
mod gateway;
mod load;
mod manifest;
mod node;
mod removal;
mod report;
mod site;

use std::io::Write as _;
use std::time::{Duration, Instant};

pub use cluster::cluster;
pub use crash::crash;
pub use gateway::{Answer, Gateway, Tokens, User};
pub use load::{Crowd, Load, Outcome};
pub use manifest::{MISSING_IMAGE, merged, small};
pub use node::{Cordoned, by_node, open_nodes};
pub use site::{Exec, Site};

/// How long a test waits for what takes seconds on an idle machine: longer than
/// a busy one with two cores needs, and shorter than anybody's patience.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Prints a figure, also when the test passes: what is measured is read in the
/// log of a run, and bounded only loosely by assertions.
pub fn figure(text: &str) {
    // Not by `println!`, whose output the test harness keeps for itself.
    let _ = writeln!(std::io::stderr(), "figure: {text}");
}

/// Seconds since an instant, as a figure prints them.
pub fn seconds(since: Instant) -> String {
    format!("{:.1} s", since.elapsed().as_secs_f64())
}
