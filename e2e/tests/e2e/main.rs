//! End-to-end tests: a file for each behaviour, in one binary, so that they
//! share what bounds how many stacks run at a time.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod at_rest;
mod certificate_renewal;
mod credentials_missing;
mod database_killed;
mod database_tls;
mod delete_policy;
mod drain;
mod failover;
mod forwarded;
mod image_missing;
mod proxy_problems;
mod retain;
mod rollout;
mod scale;
mod smallest_manifest;
mod storage_class_missing;
mod tls_secret_missing;
