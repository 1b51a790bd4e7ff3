//! One hash, on one thread.

use argon2::{Algorithm, Argon2, Params, Version};

use super::{HashError, memory::Memory};
use crate::crypto::phc::{Argon2Hash, BcryptHash, Cost, LIVE, OUTPUT_BYTES, PasswordHash};

/// Hashes a password at the live cost.
pub(super) fn hash(
    password: &[u8],
    salt: &[u8],
    memory: &mut Memory,
) -> Result<PasswordHash, HashError> {
    let mut output = vec![0; OUTPUT_BYTES];
    let kind = (Algorithm::Argon2id, Version::V0x13);
    argon2(kind, LIVE, password, salt, &mut output, memory)?;
    Ok(PasswordHash::live(salt.to_vec(), output))
}

/// Whether `expected` was made from this password.
pub(super) fn verify(
    password: &[u8],
    expected: &PasswordHash,
    memory: &mut Memory,
) -> Result<bool, HashError> {
    match expected {
        PasswordHash::Argon2(hash) => verify_argon2(password, hash, memory),
        PasswordHash::Bcrypt(hash) => verify_bcrypt(password, hash),
    }
}

fn verify_argon2(
    password: &[u8],
    expected: &Argon2Hash,
    memory: &mut Memory,
) -> Result<bool, HashError> {
    let mut output = vec![0; expected.output.len()];
    let kind = (expected.algorithm, expected.version);
    argon2(
        kind,
        expected.cost,
        password,
        &expected.salt,
        &mut output,
        memory,
    )?;
    Ok(equal(&output, &expected.output))
}

/// The password is cut after 72 bytes, as it was when the hash was made.
///
/// A password with a NUL never matches. The key is the password, a NUL, and
/// both again until there are 72 bytes, so `a` and `a\0a` have the same hash;
/// and whatever made these hashes had refused it, or stopped reading there.
fn verify_bcrypt(password: &[u8], expected: &BcryptHash) -> Result<bool, HashError> {
    let matches = bcrypt::verify(password, &expected.to_string()).map_err(|_| HashError::Failed)?;
    Ok(matches && !password.contains(&0))
}

fn argon2(
    (algorithm, version): (Algorithm, Version),
    cost: Cost,
    password: &[u8],
    salt: &[u8],
    output: &mut [u8],
    memory: &mut Memory,
) -> Result<(), HashError> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(output.len()))
        .map_err(|_| HashError::Failed)?;
    let blocks = memory
        .blocks(params.block_count())
        .ok_or(HashError::Failed)?;
    Argon2::new(algorithm, version, params)
        .hash_password_into_with_memory(password, salt, output, blocks)
        .map_err(|_| HashError::Failed)
}

/// Compares without stopping at the first difference.
fn equal(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left
            .iter()
            .zip(right)
            .fold(0, |differences, (l, r)| differences | (l ^ r))
            == 0
}
