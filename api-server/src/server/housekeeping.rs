//! Housekeeping, as long as the server runs.

use std::time::Duration;

use crate::{
    app::{
        App,
        housekeeping::{Bookmark, Removed},
    },
    config::Housekeeping,
};

/// Runs a round from time to time. Every replica does, each in a rhythm of its
/// own, so that they seldom meet; where they do, one waits for its next turn.
pub(super) async fn run(app: App, settings: Housekeeping) {
    let mut bookmark = Bookmark::default();
    loop {
        tokio::time::sleep(pause(settings.interval)).await;
        match app.tidy(settings.audit_retention, &mut bookmark).await {
            Ok(removed) if removed == Removed::default() => {}
            Ok(removed) => tracing::info!(
                sessions = removed.sessions,
                audit = removed.audit,
                buckets = removed.buckets,
                "removed what was old"
            ),
            Err(error) => tracing::warn!(%error, "housekeeping failed; it will be tried again"),
        }
    }
}

/// Between half the interval and one and a half.
fn pause(interval: Duration) -> Duration {
    interval.mul_f64(rand::random_range(0.5..1.5))
}
