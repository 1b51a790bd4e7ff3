//! The AuthStack operator: turns `AuthStack` objects into running
//! authentication services.
//!
//! The binary is a thin shell around this library, so that integration tests
//! drive the same modules that a cluster runs.

pub mod args;
pub mod client;
pub mod controller;
pub mod discovery;
pub mod foreign;
pub mod health;
pub mod leader;
pub mod metrics;
pub mod reconcile;
pub mod run;
pub mod telemetry;
pub mod watch;
