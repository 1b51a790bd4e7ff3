//! Looking after files. Their content is compared, every few seconds: a mounted
//! Secret changes by a link somewhere above it, so that neither times nor
//! notifications of the files themselves tell.

use std::time::Duration;

use tokio::{sync::mpsc, time::MissedTickBehavior};

use crate::{
    app::App,
    config::{Contents, FileSet},
    metrics::Reloadable,
    store::renewal::LookRequest,
};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What the files were at a look; `None` if they could not be read.
type Seen = Option<[u8; 32]>;

/// Files, and what has become of what they held.
pub(super) struct Watch<T> {
    app: App,
    what: Reloadable,
    files: FileSet,
    /// Puts new contents in force, or says why not.
    take: T,
    loaded: Seen,
    refused: Option<Seen>,
    wanted: Option<mpsc::Receiver<LookRequest>>,
}

impl<T: AsyncFnMut(&Contents) -> Result<(), String>> Watch<T> {
    pub(super) fn new(app: App, what: Reloadable, files: FileSet, take: T) -> Self {
        let loaded = Some(files.loaded());
        app.metrics.in_force(what);
        Self {
            app,
            what,
            files,
            take,
            loaded,
            refused: None,
            wanted: None,
        }
    }

    /// Looks at once, too, when somebody asks for it.
    pub(super) fn when_asked(mut self, wanted: mpsc::Receiver<LookRequest>) -> Self {
        self.wanted = Some(wanted);
        self
    }

    /// Keeps what is in force as the files have it, for as long as the server
    /// runs.
    pub(super) async fn run(mut self) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Who asks during a look may have come too late for it.
            let mut asked = Vec::new();
            tokio::select! {
                _ = looks.tick() => {}
                Some(request) = next(&mut self.wanted) => asked.push(request),
            }
            while let Some(wanted) = &mut self.wanted
                && let Ok(request) = wanted.try_recv()
            {
                asked.push(request);
            }
            self.look().await;
            drop(asked);
        }
    }

    async fn look(&mut self) {
        let files = self.files.clone();
        // A task that cannot be run to its end says nothing about the files.
        let Ok(read) = tokio::task::spawn_blocking(move || files.read()).await else {
            return;
        };
        let seen = read.as_ref().ok().map(Contents::digest);
        let words = words(self.what);
        if seen.is_some() && seen == self.loaded {
            if self.refused.take().is_some() {
                self.app.metrics.in_force(self.what);
                tracing::info!("{} is again as it was loaded", words.setting);
            }
            return;
        }
        let outcome = match read {
            Ok(contents) => (self.take)(&contents).await,
            Err(unreadable) => Err(unreadable.to_string()),
        };
        match outcome {
            Ok(()) => {
                (self.loaded, self.refused) = (seen, None);
                self.app.metrics.reloaded(self.what);
            }
            // Tried again at each look, since time alone may mend it; told once.
            Err(_) if self.refused == Some(seen) => {}
            Err(reason) => {
                self.refused = Some(seen);
                self.app.metrics.reload_refused(self.what);
                tracing::error!(
                    file = self.files.names(),
                    reason,
                    "{} not reloaded: {} until it is mended",
                    words.setting,
                    words.kept
                );
            }
        }
    }
}

/// The next who asks; for ever, where nobody can.
async fn next(wanted: &mut Option<mpsc::Receiver<LookRequest>>) -> Option<LookRequest> {
    match wanted {
        Some(wanted) => wanted.recv().await,
        None => std::future::pending().await,
    }
}

/// How it is spoken of in the log.
struct Words {
    setting: &'static str,
    kept: &'static str,
}

fn words(what: Reloadable) -> Words {
    match what {
        Reloadable::SigningKeys => Words {
            setting: "SIGNING_KEYS_FILE",
            kept: "the old keys stay in force",
        },
        Reloadable::TlsCertificate => Words {
            setting: "TLS_CERT_FILE with TLS_KEY_FILE",
            kept: "the old certificate stays in force",
        },
        Reloadable::DatabaseSettings => Words {
            setting: "DATABASE_URL_FILE or DATABASE_PASSWORD_FILE",
            kept: "the old way to the database is kept",
        },
    }
}
