//! `GET /.well-known/jwks.json`

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    crypto::keys::{PublicKey, PublishedKey},
};

/// Long enough to be worth keeping, and half as long as a key is published
/// before it signs.
const CACHE: &str = "public, max-age=300";

/// The keys that access tokens are verified with: a JWK Set (RFC 7517).
#[derive(Serialize, ToSchema)]
pub(super) struct JwkSet {
    /// None where tokens are signed with a shared secret.
    keys: Vec<Jwk>,
}

/// A public key. Which key signs at the moment is nobody's concern: each
/// token names its own by `kid`.
#[derive(Default, Serialize, ToSchema)]
pub(super) struct Jwk {
    /// The key's name, as in the header of a token.
    #[schema(example = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")]
    kid: String,
    /// `OKP`, `EC` or `RSA`.
    #[schema(example = "OKP")]
    kty: &'static str,
    /// The only algorithm that the key is for.
    #[schema(example = "EdDSA")]
    alg: &'static str,
    /// Always `sig`.
    #[serde(rename = "use")]
    #[schema(example = "sig")]
    usage: &'static str,
    /// The curve: `Ed25519` or `P-256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "Ed25519")]
    crv: Option<&'static str>,
    /// The public key, or the first coordinate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        nullable = false,
        example = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    )]
    x: Option<String>,
    /// The second coordinate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    y: Option<String>,
    /// The modulus.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    n: Option<String>,
    /// The exponent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    e: Option<String>,
}

impl From<PublishedKey> for Jwk {
    fn from(published: PublishedKey) -> Self {
        let (kty, crv) = match published.key {
            PublicKey::Ed25519 { .. } => ("OKP", Some("Ed25519")),
            PublicKey::P256 { .. } => ("EC", Some("P-256")),
            PublicKey::Rsa { .. } => ("RSA", None),
        };
        let common = Self {
            kid: published.kid,
            kty,
            alg: published.algorithm,
            usage: "sig",
            crv,
            ..Self::default()
        };
        match published.key {
            PublicKey::Ed25519 { x } => Self {
                x: Some(x),
                ..common
            },
            PublicKey::P256 { x, y } => Self {
                x: Some(x),
                y: Some(y),
                ..common
            },
            PublicKey::Rsa { n, e } => Self {
                n: Some(n),
                e: Some(e),
                ..common
            },
        }
    }
}

/// Shows the public keys, so that other services verify access tokens
/// themselves. A key is here before it signs, and as long as anything that it
/// signed is valid.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "tokens", responses(
    (status = 200, description = "The keys, none where a shared secret signs; to be kept for five minutes", body = JwkSet),
))]
pub(super) async fn jwks(State(app): State<App>) -> Response {
    let keys = app.tokens.keys().published(app.now());
    let keys = keys.into_iter().map(Jwk::from).collect();
    let cache = [(header::CACHE_CONTROL, CACHE)];
    (cache, Json(JwkSet { keys })).into_response()
}
