//! Keys of a test's own, and tokens that say anything.

use authstack_api::crypto::keys::rfc3339;
use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RSA_PSS_SHA256, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use time::OffsetDateTime;

/// Both halves of a key.
pub(crate) struct TestKey {
    pair: Pair,
    /// The key as a key file has it, with the private part where it may sign.
    pub(crate) jwk: Value,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(Box<EcdsaKeyPair>),
    Rsa(RsaKeyPair),
}

impl TestKey {
    /// EdDSA, with these members of a key file.
    pub(crate) fn ed25519(kid: &str, members: &Value) -> Self {
        let seed: [u8; 32] = rand::random();
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let jwk = json!({
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": kid,
            "x": encode(pair.public_key()), "d": encode(seed),
        });
        Self {
            pair: Pair::Ed25519(pair),
            jwk: with(jwk, members),
        }
    }

    /// ES256, the public half in the file.
    pub(crate) fn es256(kid: &str, members: &Value) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": kid, "x": encode(x), "y": encode(y),
        });
        Self {
            pair: Pair::P256(Box::new(pair)),
            jwk: with(jwk, members),
        }
    }

    /// RS256, the public half in the file.
    pub(crate) fn rs256(kid: &str, members: &Value) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        let jwk = json!({
            "kty": "RSA", "alg": "RS256", "kid": kid,
            "n": encode(public.n), "e": encode(public.e),
        });
        Self {
            pair: Pair::Rsa(pair),
            jwk: with(jwk, members),
        }
    }

    /// The header of an access token of this key.
    pub(crate) fn header(&self) -> Value {
        json!({"typ": "at+jwt", "alg": self.jwk["alg"], "kid": self.jwk["kid"]})
    }

    /// A token as this server would have made it.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_with(&self.header(), claims)
    }

    /// A token with any header.
    pub(crate) fn token_with(&self, header: &Value, claims: &Value) -> String {
        self.token_of(&header.to_string(), &claims.to_string())
    }

    /// A token of any text at all.
    pub(crate) fn token_of(&self, header: &str, claims: &str) -> String {
        let signed = unsigned(header, claims);
        let signature = self.sign(signed.as_bytes());
        format!("{signed}.{}", encode(signature))
    }

    /// The signature by the key's own algorithm.
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::P256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message);
                signature.unwrap().as_ref().to_vec()
            }
            Pair::Rsa(pair) => rsa_signature(pair, &RSA_PKCS1_SHA256, message),
        }
    }

    /// A PS256 token by an RSA key.
    pub(crate) fn pss_token(&self, header: &Value, claims: &Value) -> String {
        let signed = unsigned(&header.to_string(), &claims.to_string());
        let Pair::Rsa(pair) = &self.pair else {
            unreachable!("only RSA has PSS");
        };
        let signature = rsa_signature(pair, &RSA_PSS_SHA256, signed.as_bytes());
        format!("{signed}.{}", encode(signature))
    }

    /// The bytes of an Ed25519 public key.
    pub(crate) fn public_bytes(&self) -> Vec<u8> {
        let x = self.jwk["x"].as_str().unwrap();
        URL_SAFE_NO_PAD.decode(x).unwrap()
    }
}

fn rsa_signature(pair: &RsaKeyPair, padding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(padding, &SystemRandom::new(), message, &mut signature)
        .unwrap();
    signature
}

/// A token with HMAC-SHA256 under any bytes.
pub(crate) fn hs256(key: &[u8], header: &Value, claims: &Value) -> String {
    let signed = unsigned(&header.to_string(), &claims.to_string());
    let key = jsonwebtoken::EncodingKey::from_secret(key);
    let algorithm = jsonwebtoken::Algorithm::HS256;
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, algorithm).unwrap();
    format!("{signed}.{signature}")
}

/// The first two parts of a token.
pub(crate) fn unsigned(header: &str, claims: &str) -> String {
    format!("{}.{}", encode(header), encode(claims))
}

/// What a token of this server claims, unverified.
pub(crate) fn claims(token: &str) -> Value {
    part(token, 1)
}

/// The header of a token.
pub(crate) fn header(token: &str) -> Value {
    part(token, 0)
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// `value` with `members` set, or taken out where they are null.
pub(crate) fn with(mut value: Value, members: &Value) -> Value {
    let object = value.as_object_mut().unwrap();
    for (name, member) in members.as_object().unwrap() {
        if member.is_null() {
            object.remove(name);
        } else {
            object.insert(name.clone(), member.clone());
        }
    }
    value
}

/// A key file of these keys.
pub(crate) fn file(keys: &[&TestKey]) -> Value {
    let keys: Vec<_> = keys.iter().map(|key| &key.jwk).collect();
    json!({ "keys": keys })
}

/// A time in so many seconds, as key files write it.
pub(crate) fn at(seconds: i64) -> Value {
    json!(rfc3339(
        OffsetDateTime::now_utc().unix_timestamp() + seconds
    ))
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
