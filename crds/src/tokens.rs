//! What a manifest says of tokens.

#![expect(
    unreachable_pub,
    reason = "the derive copies each struct into a function of its own"
)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{SecretKeyRef, schema};

/// Tokens that the API issues.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!self.accessTTL.matches('^[1-9]') || !self.refreshTTL.matches('^[1-9]') || int(self.accessTTL.find('^[0-9]+')) * (self.accessTTL.endsWith('s') ? 1 : self.accessTTL.endsWith('m') ? 60 : self.accessTTL.endsWith('h') ? 3600 : 86400) < int(self.refreshTTL.find('^[0-9]+')) * (self.refreshTTL.endsWith('s') ? 1 : self.refreshTTL.endsWith('m') ? 60 : self.refreshTTL.endsWith('h') ? 3600 : 86400)").message("spec.tokens.refreshTTL must be longer than spec.tokens.accessTTL: a refresh token that ends first can never renew anything"))]
pub struct TokensSpec {
    /// How long an access token is valid, as a number and a unit: `30s`, `1m`,
    /// `2h` or `1d`.
    #[serde(default = "default_access_ttl", rename = "accessTTL")]
    #[schemars(schema_with = "schema::duration")]
    pub access_ttl: String,

    /// How long a session lasts after login, however often it is refreshed, as a
    /// number and a unit: `12h` or `7d`. Longer than `accessTTL`.
    #[serde(default = "default_refresh_ttl", rename = "refreshTTL")]
    #[schemars(schema_with = "schema::duration")]
    pub refresh_ttl: String,

    /// The `iss` claim (RFC 7519, section 4.1.1); the stack's public URL when it
    /// is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub issuer: Option<String>,

    /// The `aud` claim (RFC 7519, section 4.1.3).
    #[serde(default = "default_audience")]
    #[schemars(length(min = 1, max = 255))]
    pub audience: String,

    /// What signs tokens.
    #[serde(default)]
    pub signing: SigningSpec,
}

fn default_access_ttl() -> String {
    "1m".to_owned()
}

fn default_refresh_ttl() -> String {
    "7d".to_owned()
}

fn default_audience() -> String {
    "authstack".to_owned()
}

impl Default for TokensSpec {
    fn default() -> Self {
        Self {
            access_ttl: default_access_ttl(),
            refresh_ttl: default_refresh_ttl(),
            issuer: None,
            audience: default_audience(),
            signing: SigningSpec::default(),
        }
    }
}

/// What signs tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.secretKeyRef) || self.algorithm == 'HS256'").message("spec.tokens.signing.secretKeyRef is for HS256: set algorithm to HS256, or remove it, because the keys of EdDSA are made by the operator"))]
pub struct SigningSpec {
    /// `EdDSA`: a key pair that the operator makes, whose public half anybody can
    /// read at `/.well-known/jwks.json`. `HS256`: one shared secret, as services
    /// expect that verify tokens with `SECRET_KEY`.
    #[serde(default)]
    pub algorithm: SigningAlgorithm,

    /// The Secret key that holds the shared secret of HS256, of at least 32
    /// bytes; one that the operator makes when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
}

/// The algorithm that tokens are signed with (RFC 8037, section 3.1; RFC 7518,
/// section 3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SigningAlgorithm {
    /// Ed25519.
    #[default]
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// HMAC with SHA-256.
    #[serde(rename = "HS256")]
    Hs256,
}
