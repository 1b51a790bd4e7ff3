//! Looking after the key file. Its content is compared, every few seconds: a
//! mounted Secret changes by a link somewhere above it, so that neither times
//! nor notifications of the file itself tell.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::MissedTickBehavior;

use crate::{app::App, config::SigningKeysFile};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A content, by its SHA-256; `None` for a file that cannot be read.
type Content = Option<[u8; 32]>;

/// Keeps the keys as the file has them, for as long as the server runs.
pub(super) async fn watch_keys(app: App, file: SigningKeysFile) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut loaded: Content = Some(file.digest);
    let mut refused: Option<Content> = None;
    app.metrics.key_file_in_force();
    loop {
        looks.tick().await;
        let look = file.clone();
        // A task that cannot be run to its end says nothing about the file.
        let Ok(read) = tokio::task::spawn_blocking(move || look.read()).await else {
            continue;
        };
        let content = read.as_ref().ok().map(|bytes| Sha256::digest(bytes).into());
        if content.is_some() && content == loaded {
            if refused.take().is_some() {
                app.metrics.key_file_in_force();
                tracing::info!("the key file is again as it was loaded");
            }
            continue;
        }
        let outcome = match read {
            Ok(bytes) => app.reload_keys(&bytes).map_err(|error| error.to_string()),
            Err(reason) => Err(reason),
        };
        match outcome {
            Ok(()) => {
                (loaded, refused) = (content, None);
                app.metrics.key_file_loaded();
            }
            // Tried again at each look, since time alone may mend it; told once.
            Err(_) if refused == Some(content) => {}
            Err(reason) => {
                refused = Some(content);
                app.metrics.key_file_refused();
                tracing::error!(
                    file = %file.path.display(),
                    reason,
                    "SIGNING_KEYS_FILE not reloaded: the old keys stay in force until it is mended"
                );
            }
        }
    }
}
