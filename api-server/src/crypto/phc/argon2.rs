//! The PHC string format of argon2.

use argon2::{Algorithm, Version};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

use super::{LIVE, MAX_LANES, MAX_MEMORY_KIB, MAX_PASSES, OUTPUT_BYTES, PhcError, SALT_BYTES};

/// What a hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

/// A stored argon2 hash, taken apart; its cost is within bounds.
#[derive(Clone, PartialEq, Eq)]
pub struct Argon2Hash {
    /// Which of the three.
    pub algorithm: Algorithm,
    /// Which version of it.
    pub version: Version,
    /// What it costs to verify.
    pub cost: Cost,
    /// Its salt.
    pub salt: Vec<u8>,
    /// The expected output.
    pub output: Vec<u8>,
}

impl Argon2Hash {
    pub(super) fn live(salt: Vec<u8>, output: Vec<u8>) -> Self {
        Self {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
            cost: LIVE,
            salt,
            output,
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.algorithm == Algorithm::Argon2id
            && self.version == Version::V0x13
            && self.cost == LIVE
            && self.salt.len() >= SALT_BYTES
            && self.output.len() >= OUTPUT_BYTES
    }

    /// Reads what follows `$argon2id$`: `v=19$m=19456,t=2,p=1$<salt>$<output>`.
    /// Without `v=`, which the format leaves out for it, the version is 16.
    pub(super) fn parse(kind: &str, rest: &str) -> Result<Self, PhcError> {
        let algorithm = match kind {
            "argon2id" => Algorithm::Argon2id,
            "argon2i" => Algorithm::Argon2i,
            _ => Algorithm::Argon2d,
        };
        let parts: Vec<&str> = rest.split('$').take(5).collect();
        let (version, cost, salt, output) = match parts[..] {
            [version, cost, salt, output] => (parse_version(version)?, cost, salt, output),
            [cost, salt, output] => (Version::V0x10, cost, salt, output),
            _ => return Err(PhcError::Malformed),
        };
        let bytes = |text| STANDARD_NO_PAD.decode(text);
        let cost = parse_cost(cost).ok_or(PhcError::Malformed)?;
        let salt = bytes(salt).map_err(|_| PhcError::Malformed)?;
        let output = bytes(output).map_err(|_| PhcError::Malformed)?;
        if !(1..=MAX_LANES).contains(&cost.lanes) {
            return Err(PhcError::Lanes);
        }
        if !(1..=MAX_PASSES).contains(&cost.passes) {
            return Err(PhcError::Passes);
        }
        if !(8 * cost.lanes..=MAX_MEMORY_KIB).contains(&cost.memory_kib) {
            return Err(PhcError::Memory);
        }
        if !(8..=64).contains(&salt.len()) || !(16..=64).contains(&output.len()) {
            return Err(PhcError::Length);
        }
        Ok(Self {
            algorithm,
            version,
            cost,
            salt,
            output,
        })
    }
}

impl std::fmt::Display for Argon2Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Cost {
            memory_kib,
            passes,
            lanes,
        } = self.cost;
        let kind = match self.algorithm {
            Algorithm::Argon2id => "argon2id",
            Algorithm::Argon2i => "argon2i",
            Algorithm::Argon2d => "argon2d",
        };
        write!(
            f,
            "${kind}$v={}$m={memory_kib},t={passes},p={lanes}${}${}",
            u32::from(self.version),
            STANDARD_NO_PAD.encode(&self.salt),
            STANDARD_NO_PAD.encode(&self.output)
        )
    }
}

fn parse_version(text: &str) -> Result<Version, PhcError> {
    match text.strip_prefix("v=") {
        Some("19") => Ok(Version::V0x13),
        Some("16") => Ok(Version::V0x10),
        Some(_) => Err(PhcError::Version),
        None => Err(PhcError::Malformed),
    }
}

/// Reads `m=19456,t=2,p=1`, in this order, which the reference implementation
/// and the format's own text prescribe.
fn parse_cost(text: &str) -> Option<Cost> {
    let mut fields = text.split(',');
    let mut number = |name: &str| {
        let digits = fields.next()?.strip_prefix(name)?.strip_prefix('=')?;
        (!digits.starts_with('+')).then(|| digits.parse().ok())?
    };
    let cost = Cost {
        memory_kib: number("m")?,
        passes: number("t")?,
        lanes: number("p")?,
    };
    fields.next().is_none().then_some(cost)
}
