//! The API against a real PostgreSQL: each test has a database of its own on
//! the server that DATABASE_URL names, and calls the router without a network.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

mod account_races;
mod admin;
mod audit;
mod buckets;
mod concurrency;
mod contract;
mod cookies;
mod cors;
mod cross_site;
mod delete_account;
mod document;
mod edge;
mod enumeration;
mod export;
mod fuzz;
mod housekeeping;
mod import;
mod jwks;
mod key_reload;
mod limits;
mod login;
mod logout;
mod migrations;
mod oauth;
mod operations;
mod password;
mod password_upgrade;
mod problems;
mod profile;
mod refresh;
mod register;
mod root;
mod rotation_model;
mod sessions;
mod signing;
mod support;
mod tokens;
mod user;
mod verify;
