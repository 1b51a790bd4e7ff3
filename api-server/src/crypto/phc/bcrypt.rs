//! The format of bcrypt, older than PHC strings: `$2b$12$`, 22 characters of
//! salt and 31 of output in an alphabet of its own.

use base64::{
    Engine,
    alphabet::BCRYPT,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{MAX_BCRYPT_COST, PhcError};

/// The last characters carry bits that mean nothing. Every implementation of
/// old ignores them, and some wrote them at random.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &BCRYPT,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// Characters of salt.
const SALT_CHARS: usize = 22;

/// A stored bcrypt hash, taken apart; its cost is within bounds.
///
/// `2a`, `2b` and `2y` name implementations that agree on every password below
/// 255 bytes. Only the first 72 bytes of a password count.
#[derive(Clone, PartialEq, Eq)]
pub struct BcryptHash {
    /// The binary logarithm of the number of rounds.
    pub cost: u32,
    /// Its salt.
    pub salt: [u8; 16],
    /// The expected output.
    pub output: [u8; 23],
}

impl BcryptHash {
    /// Reads what follows `$2b$`.
    pub(super) fn parse(rest: &str) -> Result<Self, PhcError> {
        let (cost, text) = rest.split_once('$').ok_or(PhcError::Malformed)?;
        if cost.len() != 2 || !cost.bytes().all(|b| b.is_ascii_digit()) {
            return Err(PhcError::Malformed);
        }
        let cost = cost.parse().map_err(|_| PhcError::Malformed)?;
        let (salt, output) = text
            .split_at_checked(SALT_CHARS)
            .ok_or(PhcError::Malformed)?;
        let salt = bytes(salt).ok_or(PhcError::Malformed)?;
        let output = bytes(output).ok_or(PhcError::Malformed)?;
        if !(4..=MAX_BCRYPT_COST).contains(&cost) {
            return Err(PhcError::BcryptCost);
        }
        Ok(Self { cost, salt, output })
    }
}

/// Decodes to exactly `N` bytes.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64.decode(text).ok()?.try_into().ok()
}

impl std::fmt::Display for BcryptHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (salt, output) = (BASE64.encode(self.salt), BASE64.encode(self.output));
        write!(f, "$2b${:02}${salt}{output}", self.cost)
    }
}
