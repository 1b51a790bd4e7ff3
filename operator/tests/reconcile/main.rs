//! The controller on a real API server, as the operator's own account with the
//! rights that `config/rbac` gives it. There are no nodes: what pods do is the
//! end-to-end tests' matter.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod autoscaling;
mod certificates;
mod children;
mod cluster;
mod data;
mod definition;
mod drift;
mod keys;
mod killed;
mod life;
mod network;
mod optional;
mod picture;
mod replaced;
mod site;
#[path = "../support/mod.rs"]
mod support;
mod trouble;
