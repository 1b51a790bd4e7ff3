//! The binary as a process: signals, probes, exit codes, what it tells of itself,
//! and two of them on one API server with the timing of production.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod audit;
mod leaders;
mod logs;
mod metrics;
mod operator;
mod start;
#[path = "../support/mod.rs"]
mod support;
mod traces;
