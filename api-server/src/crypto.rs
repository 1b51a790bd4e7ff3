//! Passwords into hashes, claims into tokens, and back; keys and certificates.

pub mod clients;
pub mod hasher;
pub mod jwt;
pub mod keys;
pub mod limit_key;
pub mod memory;
pub mod phc;
pub mod refresh;
pub mod tls;
