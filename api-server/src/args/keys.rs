//! Options about signing keys: those of `serve`, and the subcommand `keys`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::domain::ttl::Ttl;

/// A file with keys instead of one secret.
#[derive(Args)]
pub struct SigningArgs {
    /// A file with the keys that sign and verify tokens, in JWKS form (see
    /// `keys generate`); it is read again when it changes.
    #[arg(long, env = "SIGNING_KEYS_FILE")]
    pub signing_keys_file: Option<PathBuf>,
    /// Until when tokens that SECRET_KEY signed are still accepted beside
    /// SIGNING_KEYS_FILE, such as 2027-01-31T00:00:00Z [default: they are not].
    #[arg(long, env = "HS256_ACCEPT_UNTIL", value_parser = rfc3339)]
    pub hs256_accept_until: Option<OffsetDateTime>,
}

/// What a key file is, for whoever writes one by hand or by other tools.
const FORMAT: &str = "\
A key file is a JWK Set (RFC 7517). Each key has kid, alg and state:
  next     known to everybody; signs from activates_at, if that is set
  active   signs, at once or from activates_at; of several, the latest
  retired  signs no more; needs retires_at
All of them verify until their retires_at, which should be REFRESH_TOKEN_TTL or
more after the key stopped signing. Times are as in 2027-01-31T00:00:00Z. Only
EdDSA (OKP, Ed25519) signs; ES256 (EC, P-256) and RS256 (RSA) verify, and have
no private part. A server takes a changed file within seconds, or keeps the old
keys and says why: a key must have been in its file for 10 minutes before it
signs. To end a key at once, take it out of the file.";

/// Options of `keys`.
#[derive(Args)]
#[command(after_help = FORMAT)]
pub struct KeysArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// What can be done with key files.
#[derive(Subcommand)]
pub enum KeysCommand {
    /// Print a new key file, with one active EdDSA key: (umask 077;
    /// authstack-api keys generate > FILE).
    Generate,
    /// Move the keys of a file on: the next key becomes active, if all servers
    /// can know it; what was active retires; a new next key is added.
    Rotate(RotateArgs),
}

/// Options of `keys rotate`.
#[derive(Args)]
pub struct RotateArgs {
    /// The key file, which is replaced as a whole, with mode 0600.
    pub file: PathBuf,
    /// How long the servers' sessions live, and so how long a key that signs
    /// no more must verify, such as 7d; wins over REFRESH_TOKEN_EXPIRE_DAYS.
    #[arg(long, env = "REFRESH_TOKEN_TTL")]
    pub refresh_token_ttl: Option<Ttl>,
    /// The same in days.
    #[arg(long, env = "REFRESH_TOKEN_EXPIRE_DAYS", default_value_t = 7,
          value_parser = clap::value_parser!(u32).range(1..=99_999))]
    pub refresh_token_expire_days: u32,
}

fn rfc3339(text: &str) -> Result<OffsetDateTime, &'static str> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "must be a time with its zone, such as 2027-01-31T00:00:00Z")
}
