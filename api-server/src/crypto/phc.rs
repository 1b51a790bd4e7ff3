//! Password hashes as text: ours, and those that users bring from elsewhere.
//!
//! A hash is judged when it is read. What is out of bounds here is never
//! computed: whoever wrote it must not choose what a login costs.

use thiserror::Error;

mod argon2;
mod bcrypt;

pub use argon2::{Argon2Hash, Cost};
pub use bcrypt::BcryptHash;

/// Bytes of random salt in a new hash (RFC 9106, section 3.1).
pub const SALT_BYTES: usize = 16;
/// Bytes of output in a new hash.
pub const OUTPUT_BYTES: usize = 32;

/// The cost of every hash that this server makes: the second of the settings
/// that OWASP recommends for argon2id.
pub const LIVE: Cost = Cost {
    memory_kib: 19_456,
    passes: 2,
    lanes: 1,
};

/// The most memory of a foreign argon2 hash, in KiB: what argon2-cffi took by
/// default before it took the 64 MiB of RFC 9106, section 4.
pub const MAX_MEMORY_KIB: u32 = 100 * 1024;
/// The most passes of a foreign argon2 hash.
pub const MAX_PASSES: u32 = 10;
/// The most lanes of a foreign argon2 hash.
pub const MAX_LANES: u32 = 16;
/// The highest cost of a bcrypt hash: 2^14 rounds, about a second.
pub const MAX_BCRYPT_COST: u32 = 14;

/// A stored hash, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub enum PasswordHash {
    /// Ours, or another argon2.
    Argon2(Argon2Hash),
    /// From a service that used bcrypt.
    Bcrypt(BcryptHash),
}

/// A text is not a hash that this server verifies. What it says never repeats
/// the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PhcError {
    /// Neither argon2 nor bcrypt, by its first word.
    #[error("is of a kind that is not supported: argon2id, argon2i, argon2d and bcrypt are")]
    Kind,
    /// It says what it is, and then is not spelt like one.
    #[error("is not spelt as a hash of its kind is")]
    Malformed,
    /// Another version of argon2.
    #[error("is of a version of argon2 that is not supported: 16 and 19 are")]
    Version,
    /// `m` is out of bounds.
    #[error(
        "takes too much or too little memory: from 8 KiB for each lane to {MAX_MEMORY_KIB} KiB are supported"
    )]
    Memory,
    /// `t` is out of bounds.
    #[error("takes too many passes, or none: 1 to {MAX_PASSES} are supported")]
    Passes,
    /// `p` is out of bounds.
    #[error("has too many lanes, or none: 1 to {MAX_LANES} are supported")]
    Lanes,
    /// The salt or the output is too short or too long.
    #[error("has a salt of other than 8 to 64 bytes, or an output of other than 16 to 64")]
    Length,
    /// The cost of bcrypt is out of bounds.
    #[error("has a cost of bcrypt that is not supported: 4 to {MAX_BCRYPT_COST} are")]
    BcryptCost,
    /// `$2x$` marks hashes made by a defective implementation.
    #[error("was made by a defective bcrypt ($2x$), whose hashes do not protect")]
    BcryptDefect,
}

impl PasswordHash {
    /// Reads `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<output>`, or
    /// `$2b$12$<salt and output>`.
    pub fn parse(text: &str) -> Result<Self, PhcError> {
        let kind = text.strip_prefix('$').and_then(|rest| rest.split_once('$'));
        let (kind, rest) = kind.ok_or(PhcError::Kind)?;
        match kind {
            "argon2id" | "argon2i" | "argon2d" => Argon2Hash::parse(kind, rest).map(Self::Argon2),
            "2a" | "2b" | "2y" => BcryptHash::parse(rest).map(Self::Bcrypt),
            "2x" => Err(PhcError::BcryptDefect),
            _ => Err(PhcError::Kind),
        }
    }

    /// A hash of ours, from what was computed at the live cost.
    #[must_use]
    pub fn live(salt: Vec<u8>, output: Vec<u8>) -> Self {
        Self::Argon2(Argon2Hash::live(salt, output))
    }

    /// A hash that no password has, at the live cost. Verifying against it is
    /// what a login costs where there is no user.
    #[must_use]
    pub fn of_nobody() -> Self {
        Self::live(vec![0; SALT_BYTES], vec![0; OUTPUT_BYTES])
    }

    /// Whether this is what this server would make today. Any other is
    /// replaced when its password is next known.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Argon2(hash) if hash.is_live())
    }

    /// How much memory it takes to verify, in KiB.
    #[must_use]
    pub fn memory_kib(&self) -> u32 {
        match self {
            Self::Argon2(hash) => hash.cost.memory_kib,
            // Its 4 KiB are on the stack.
            Self::Bcrypt(_) => 0,
        }
    }
}

impl std::fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Argon2(hash) => hash.fmt(f),
            Self::Bcrypt(hash) => hash.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
