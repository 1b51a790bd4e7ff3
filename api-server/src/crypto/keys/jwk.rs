//! The mathematical part of a JWK (RFC 7518, section 6; RFC 8037, section 2):
//! whether it is a key at all, and one that is strong enough.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, Ed25519KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use secrecy::{ExposeSecret, SecretSlice};

use super::file::RawKey;

/// RSA moduli have at least 2048 bits (RFC 7518, section 3.3) and at most what
/// the library takes.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// The smallest public exponent (FIPS 186-5, section A.1.1).
const MIN_RSA_EXPONENT: u64 = 65_537;

/// PKCS #8 of an Ed25519 key, before its 32 bytes (RFC 8410, section 7).
const ED25519_PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// The y coordinates, little-endian, of the points whose order divides 8, in
/// every encoding that a decoder may take. Anybody can sign for such a "key".
const SMALL_ORDER: [[u8; 32]; 7] = [
    with_ends(0x00, 0x00, 0x00),
    with_ends(0x01, 0x00, 0x00),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    with_ends(0xec, 0xff, 0x7f),
    with_ends(0xed, 0xff, 0x7f),
    with_ends(0xee, 0xff, 0x7f),
];

const fn with_ends(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

/// A key, ready for use.
pub(super) struct Material {
    pub(super) algorithm: Algorithm,
    pub(super) verifying: DecodingKey,
    pub(super) signing: Option<EncodingKey>,
    pub(super) public: PublicKey,
}

/// The public members of a JWK, in base64url.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// `kty` OKP, `crv` Ed25519.
    Ed25519 {
        /// The public key.
        x: String,
    },
    /// `kty` EC, `crv` P-256.
    P256 {
        /// The first coordinate.
        x: String,
        /// The second coordinate.
        y: String,
    },
    /// `kty` RSA.
    Rsa {
        /// The modulus.
        n: String,
        /// The exponent.
        e: String,
    },
}

/// The names of the algorithms that key files know (RFC 7518, section 3.1;
/// RFC 8037, section 3.1).
pub(super) fn algorithm_name(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::EdDSA => Some("EdDSA"),
        Algorithm::ES256 => Some("ES256"),
        Algorithm::RS256 => Some("RS256"),
        _ => None,
    }
}

/// Checks a key and makes it ready; what is wrong with it otherwise.
pub(super) fn material(raw: &RawKey) -> Result<Material, &'static str> {
    if raw.usage.as_deref().is_some_and(|usage| usage != "sig") {
        return Err("has a use other than sig");
    }
    let alg = raw.alg.as_deref();
    match raw.kty.as_deref() {
        Some("OKP") if alg != Some("EdDSA") => Err("is of kty OKP and must have the alg EdDSA"),
        Some("EC") if alg != Some("ES256") => Err("is of kty EC and must have the alg ES256"),
        Some("RSA") if alg != Some("RS256") => Err("is of kty RSA and must have the alg RS256"),
        Some("EC" | "RSA") if raw.d.is_some() => {
            Err("has a private part, but only EdDSA signs here: keep the public members alone")
        }
        Some("OKP") => ed25519(raw),
        Some("EC") => p256(raw),
        Some("RSA") => rsa(raw),
        _ => Err("must have a kty: OKP, EC or RSA"),
    }
}

fn ed25519(raw: &RawKey) -> Result<Material, &'static str> {
    if raw.crv.as_deref() != Some("Ed25519") {
        return Err("must have the crv Ed25519");
    }
    let x = decode::<32>(raw.x.as_deref()).ok_or("must have an x: 32 bytes in base64url")?;
    let mut y_coordinate = x;
    y_coordinate[31] &= 0x7f;
    if SMALL_ORDER.contains(&y_coordinate) || ParsedPublicKey::new(&ED25519, x).is_err() {
        return Err("has an x that is no public key");
    }
    let signing = raw.d.as_ref().map(|d| {
        let wrong = "has a d that is not 32 bytes in base64url";
        let seed = URL_SAFE_NO_PAD.decode(d.expose_secret());
        let seed: SecretSlice<u8> = seed.map_err(|_| wrong)?.into();
        let seed = seed.expose_secret();
        if seed.len() != 32 {
            return Err(wrong);
        }
        Ed25519KeyPair::from_seed_and_public_key(seed, &x)
            .map_err(|_| "has a d and an x that belong to different keys")?;
        let der: SecretSlice<u8> = [&ED25519_PKCS8, seed].concat().into();
        Ok(EncodingKey::from_ed_der(der.expose_secret()))
    });
    Ok(Material {
        algorithm: Algorithm::EdDSA,
        verifying: DecodingKey::from_ed_der(&x),
        signing: signing.transpose()?,
        public: PublicKey::Ed25519 { x: encode(&x) },
    })
}

fn p256(raw: &RawKey) -> Result<Material, &'static str> {
    if raw.crv.as_deref() != Some("P-256") {
        return Err("must have the crv P-256");
    }
    let x = decode::<32>(raw.x.as_deref()).ok_or("must have an x: 32 bytes in base64url")?;
    let y = decode::<32>(raw.y.as_deref()).ok_or("must have a y: 32 bytes in base64url")?;
    let point = [&[4], &x[..], &y[..]].concat();
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point)
        .map_err(|_| "has an x and a y that are no point of P-256")?;
    Ok(Material {
        algorithm: Algorithm::ES256,
        verifying: DecodingKey::from_ec_der(&point),
        signing: None,
        public: PublicKey::P256 {
            x: encode(&x),
            y: encode(&y),
        },
    })
}

fn rsa(raw: &RawKey) -> Result<Material, &'static str> {
    let n = integer(raw.n.as_deref()).ok_or("must have an n in base64url")?;
    let e = integer(raw.e.as_deref()).ok_or("must have an e in base64url")?;
    if !RSA_BITS.contains(&bits(&n)) {
        return Err("has an n of fewer than 2048 bits, or of more than 8192");
    }
    let small = |e: &[u8]| {
        e.iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte))
    };
    if e.len() > 8 || small(&e) < MIN_RSA_EXPONENT {
        return Err("has an e that is not from 65537 to 64 bits");
    }
    let odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
    let components = RsaPublicKeyComponents { n: &n, e: &e };
    let parsed = components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256);
    if !odd(&n) || !odd(&e) || parsed.is_err() {
        return Err("has an n and an e that are no public key");
    }
    Ok(Material {
        algorithm: Algorithm::RS256,
        verifying: DecodingKey::from_rsa_raw_components(&n, &e),
        signing: None,
        public: PublicKey::Rsa {
            n: encode(&n),
            e: encode(&e),
        },
    })
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode<const N: usize>(text: Option<&str>) -> Option<[u8; N]> {
    URL_SAFE_NO_PAD.decode(text?).ok()?.try_into().ok()
}

/// A number without leading zeros (RFC 7518, section 2: Base64urlUInt).
fn integer(text: Option<&str>) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text?).ok()?;
    let start = bytes.iter().position(|byte| *byte != 0)?;
    Some(bytes[start..].to_vec())
}

fn bits(number: &[u8]) -> usize {
    let leading = number.first().map_or(0, |byte| byte.leading_zeros());
    number.len() * 8 - leading as usize
}
