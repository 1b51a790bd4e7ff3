//! The real binary as a process: its boot, its signals, its log, and a
//! PostgreSQL of its own that is killed under it.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

mod admin;
mod api;
mod boot;
mod browser;
mod certificates;
mod clock;
mod credentials;
mod database;
mod database_tls;
mod disk;
mod drain;
mod forward_auth;
mod heads;
mod housekeeping;
mod idle;
mod import;
mod keys;
mod log;
mod mount;
mod outage;
mod pages;
mod postgres;
mod secrets;
mod slow;
mod tls;
mod traces;
mod two_processes;
