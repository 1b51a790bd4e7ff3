//! Exchanging the way to the database while it is in use: its credentials, or
//! the whole address.

use std::{
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{ACQUIRE_TIMEOUT, Store, StoreError};

/// Somebody waits for a look at what says how to reach the database; dropped,
/// it says that there was one.
pub type LookRequest = oneshot::Sender<()>;

/// How many may have asked for a look before others wait to ask.
const LOOKS: usize = 64;

/// When the way to the database was last exchanged, and whom to ask for more.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    last: Mutex<Last>,
    looks: OnceLock<mpsc::Sender<LookRequest>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Last {
    /// How often it was exchanged.
    turn: u64,
    at: Option<Instant>,
}

impl Renewal {
    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the way was exchanged.
    pub(super) fn turn(&self) -> u64 {
        self.last().turn
    }

    /// Whether the way was exchanged since, or is when it is looked at.
    pub(super) async fn is_past(&self, turn: u64) -> bool {
        if self.turn() == turn
            && let Some(looks) = self.looks.get()
        {
            let (request, looked) = oneshot::channel();
            if looks.send(request).await.is_ok() {
                let _ = looked.await;
            }
        }
        self.turn() != turn
    }

    /// Whether a connection of this age came the old way.
    pub(super) fn is_over(&self, age: Duration) -> bool {
        let at = self.last().at;
        at.is_some_and(|at| came_before(age, at.elapsed()))
    }
}

/// Whether a connection of this age may have been begun longer ago than `since`.
/// A little later, those count too that were being made at that time.
fn came_before(age: Duration, since: Duration) -> bool {
    age > since.checked_sub(ACQUIRE_TIMEOUT).unwrap_or(since)
}

/// Whether this is about the way to the database, not about a turn in a queue.
pub(super) fn is_refusal(error: &sqlx::Error) -> bool {
    !matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)
}

impl Store {
    /// From now on, who cannot connect asks here whether there is another way
    /// before they give up.
    #[must_use]
    pub fn looks_wanted(&self) -> mpsc::Receiver<LookRequest> {
        let (sender, receiver) = mpsc::channel(LOOKS);
        let _ = self.renewal.looks.set(sender);
        receiver
    }

    /// Goes another way to the database from now on, if a login by it succeeds.
    /// Connections that came the old way are closed when they are next idle:
    /// nothing that is being done is cut off.
    pub async fn renew(&self, options: PgConnectOptions) -> Result<(), StoreError> {
        let login = timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(&options));
        let connection = login.await.map_err(|_| StoreError::TimedOut)??;
        // Politeness, which may fail.
        let _ = timeout(ACQUIRE_TIMEOUT, connection.close()).await;
        self.pool.set_connect_options(options);
        {
            let mut last = self.renewal.last();
            last.turn += 1;
            last.at = Some(Instant::now());
        }
        let store = self.clone();
        tokio::spawn(async move {
            store.sweep();
            tokio::time::sleep(ACQUIRE_TIMEOUT).await;
            store.sweep();
        });
        Ok(())
    }

    /// Takes each idle connection and gives it back, which closes the old ones.
    fn sweep(&self) {
        for _ in 0..self.pool.num_idle() {
            drop(self.pool.try_acquire());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_being_made_at_the_exchange_is_old_a_little_later() {
        let seconds = Duration::from_secs;
        assert!(came_before(seconds(11), seconds(1)), "from long ago");
        assert!(!came_before(seconds(0), seconds(1)), "made by the new way");
        assert!(!came_before(seconds(1), seconds(1)), "not known yet");
        assert!(
            came_before(seconds(9), seconds(10)),
            "1 s after it: may be old"
        );
        assert!(
            !came_before(seconds(8), seconds(10)),
            "2 s after it: is new"
        );
        assert!(!came_before(seconds(3), seconds(10)));
    }

    #[tokio::test]
    async fn nobody_waits_where_nobody_looks() {
        let renewal = Renewal::default();
        assert!(!renewal.is_past(0).await);
        assert!(!renewal.is_over(Duration::from_hours(1)));
        renewal.last().turn = 1;
        assert!(renewal.is_past(0).await);
    }
}
