//! What other services and other sites may do.

use clap::Args;

/// What other services and other sites may do.
#[derive(Args)]
pub struct ServiceArgs {
    /// The services that may ask about tokens and revoke them, as id:secret,
    /// separated by commas or lines; a secret has at least 32 characters.
    #[arg(long, env = "OAUTH_CLIENTS", hide_env_values = true)]
    pub oauth_clients: Option<String>,
    /// A file with OAUTH_CLIENTS.
    #[arg(long, env = "OAUTH_CLIENTS_FILE")]
    pub oauth_clients_file: Option<String>,
    /// The sites whose pages may call this service, as origins such as
    /// https://app:8443, separated by commas [default: none].
    #[arg(long, env = "CORS_ORIGINS")]
    pub cors_origins: Option<String>,
}
