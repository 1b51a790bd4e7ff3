//! Password hashes as text: the PHC string format of argon2.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use thiserror::Error;

/// Bytes of random salt in a new hash (RFC 9106, section 3.1).
pub const SALT_BYTES: usize = 16;
/// Bytes of output in a new hash.
pub const OUTPUT_BYTES: usize = 32;

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

/// The cost of every hash that this server makes: the second of the settings
/// that OWASP recommends for argon2id.
pub const LIVE: Cost = Cost {
    memory_kib: 19_456,
    passes: 2,
    lanes: 1,
};

/// A stored argon2id hash, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    /// What it costs to verify.
    pub cost: Cost,
    /// Its salt.
    pub salt: Vec<u8>,
    /// The expected output.
    pub output: Vec<u8>,
}

/// A stored text is not a hash that this server verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not an argon2id hash within the bounds of this server")]
pub struct PhcError;

impl PasswordHash {
    /// Reads `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<output>`. A cost above
    /// the live one is refused: whoever wrote it must not choose how much
    /// memory a login takes.
    pub fn parse(text: &str) -> Result<Self, PhcError> {
        let mut parts = text.split('$');
        if parts.next() != Some("")
            || parts.next() != Some("argon2id")
            || parts.next() != Some("v=19")
        {
            return Err(PhcError);
        }
        let cost = parts.next().and_then(parse_cost).ok_or(PhcError)?;
        let mut bytes = || {
            let encoded = parts.next()?;
            STANDARD_NO_PAD.decode(encoded).ok()
        };
        let (salt, output) = (bytes().ok_or(PhcError)?, bytes().ok_or(PhcError)?);
        let within = cost.lanes == 1
            && (8..=LIVE.memory_kib).contains(&cost.memory_kib)
            && (1..=LIVE.passes).contains(&cost.passes)
            && (8..=64).contains(&salt.len())
            && (16..=64).contains(&output.len());
        if !within || parts.next().is_some() {
            return Err(PhcError);
        }
        Ok(Self { cost, salt, output })
    }

    /// A hash that no password has, at the live cost. Verifying against it is
    /// what a login costs where there is no user.
    #[must_use]
    pub fn of_nobody() -> Self {
        Self {
            cost: LIVE,
            salt: vec![0; SALT_BYTES],
            output: vec![0; OUTPUT_BYTES],
        }
    }
}

impl std::fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Cost {
            memory_kib,
            passes,
            lanes,
        } = self.cost;
        write!(
            f,
            "$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${}${}",
            STANDARD_NO_PAD.encode(&self.salt),
            STANDARD_NO_PAD.encode(&self.output)
        )
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_hash_survives_being_written() {
        let hash = PasswordHash {
            cost: LIVE,
            salt: (0..16).collect(),
            output: (0..32).collect(),
        };
        let text = hash.to_string();
        assert_eq!(
            text,
            "$argon2id$v=19$m=19456,t=2,p=1$AAECAwQFBgcICQoLDA0ODw\
             $AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
        );
        assert!(PasswordHash::parse(&text) == Ok(hash));
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        let with = |cost: &str| {
            format!("$argon2id$v=19${cost}$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODw")
        };
        assert!(PasswordHash::parse(&with("m=19456,t=2,p=1")).is_ok());
        for cost in [
            "m=4194304,t=2,p=1",
            "m=19457,t=2,p=1",
            "m=19456,t=3,p=1",
            "m=19456,t=2,p=2",
            "m=19456,t=0,p=1",
            "m=0,t=2,p=1",
            "m=19456,t=2",
            "t=2,m=19456,p=1",
            "m=+19456,t=2,p=1",
            "m=19456,t=2,p=1,x=1",
            "",
        ] {
            assert!(PasswordHash::parse(&with(cost)).is_err(), "{cost}");
        }
        let good = with("m=19456,t=2,p=1");
        assert!(PasswordHash::parse(&good.replace("argon2id", "argon2i")).is_err());
        assert!(PasswordHash::parse(&format!("{good}$more")).is_err());
        assert!(PasswordHash::parse("").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,120}|\\$argon2id\\$v=19\\$m=[0-9]{1,12},t=[0-9]{1,3},p=1\\$[A-Za-z0-9+/]{0,30}\\$[A-Za-z0-9+/]{0,60}") {
            if let Ok(hash) = PasswordHash::parse(&text) {
                prop_assert!(hash.cost.memory_kib <= LIVE.memory_kib);
            }
        }
    }
}
