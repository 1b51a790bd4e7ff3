//! Conversations with an API server that says what a real one cannot be made to
//! say. No cluster is needed; time is virtual where it matters.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod errors;
mod fake;
mod health;
mod loops;
mod ownership;
mod stage;
mod wire;
