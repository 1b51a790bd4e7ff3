//! The rules, and nothing that does anything: no I/O, no clock, no randomness.
//!
//! What these modules need to know of the world (the time, random bytes) is
//! passed in, so that every rule is tested in microseconds.

pub mod account;
pub mod audit;
pub mod email;
pub mod ids;
pub mod key_schedule;
pub mod limit;
pub mod login;
pub mod page;
pub mod password;
pub mod role;
pub mod search;
pub mod session;
pub mod trace_context;
pub mod ttl;
pub mod username;
