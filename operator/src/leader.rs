//! Leader election by a Lease (`coordination.k8s.io/v1`).
//!
//! Candidates replace the Lease with the resourceVersion that they last saw,
//! so the API server lets one of them win. Two clocks keep leaderships apart,
//! both monotonic and both local:
//!
//! - a leader stops when its renew deadline has passed, counted from *sending*
//!   the last renewal that succeeded, whatever else it knows or does not know;
//! - a candidate takes over when it has *seen* the Lease unchanged for the
//!   Lease's whole duration.
//!
//! The deadline and the time that a write may take add up to less than the
//! duration, so the old leader's last write has ended before the new one's
//! first begins, even if the old one was stopped and woke up again.

mod election;
mod leadership;

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
    jiff::Timestamp,
};
use kube::{
    Client,
    api::{Api, PostParams},
};
use tokio::time::{Instant, timeout};

use self::election::{Action, Observed, claim, decide, release};
pub use self::leadership::{Leadership, LeadershipSource};
use crate::health::Health;

/// Whose election it is and how fast it goes.
#[derive(Clone, Debug)]
pub struct Config {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// This candidate. Must be unique among processes, not only among pods: a
    /// restarted container must not mistake its predecessor's Lease for its own.
    pub identity: String,
    /// How long others wait after the last renewal that they saw; whole seconds.
    pub lease_duration: Duration,
    /// How long after sending a renewal the leader may start writes.
    pub renew_deadline: Duration,
    /// Time from one renewal to the next.
    pub renew_period: Duration,
    /// Time between reads of another's Lease, and between attempts after a failure.
    pub retry_period: Duration,
    /// How long one request about the Lease may take.
    pub request_timeout: Duration,
}

impl Config {
    /// 15 s leases with a deadline of 10 s. Renewing every 5.5 s is at most 11
    /// writes a minute and leaves time for a second attempt after one that
    /// hangs.
    #[must_use]
    pub fn new(namespace: String, name: String, identity: String) -> Self {
        Self {
            namespace,
            name,
            identity,
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            renew_period: Duration::from_millis(5500),
            retry_period: Duration::from_secs(1),
            request_timeout: Duration::from_secs(2),
        }
    }
}

/// Why a step of the election failed; the next one tries again.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the API server did not answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    #[error(transparent)]
    Api(#[from] kube::Error),
}

impl Error {
    /// Somebody else wrote, created or deleted the Lease since it was read.
    fn is_overtaken(&self) -> bool {
        matches!(self, Self::Api(kube::Error::Api(status))
            if status.is_conflict() || status.is_not_found() || status.is_already_exists())
    }
}

/// A candidate in the election.
pub struct Elector {
    api: Api<Lease>,
    config: Config,
    source: LeadershipSource,
    health: Health,
    /// What was last read or written; none when that is not known.
    observed: Option<Observed>,
    /// Whether `observed` is what our own last write left, so that the next
    /// renewal needs no read before it.
    fresh: bool,
    /// The holder that was last logged.
    announced: Option<String>,
}

impl Elector {
    /// A candidate that has not asked anything yet. Its client must not be
    /// fenced by the leadership that it is to produce. The first answer from
    /// the API server makes `health` ready.
    #[must_use]
    pub fn new(client: Client, config: Config, health: Health) -> Self {
        Self {
            api: Api::namespaced(client, &config.namespace),
            config,
            source: LeadershipSource::new(),
            health,
            observed: None,
            fresh: false,
            announced: None,
        }
    }

    /// The handle by which others learn whether this candidate leads.
    #[must_use]
    pub fn leadership(&self) -> Leadership {
        self.source.leadership()
    }

    /// Stands for election until `stop` completes, then gives the Lease up if
    /// it is held. Errors are logged and tried again.
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send) {
        let bound = 4 * self.config.request_timeout + self.config.renew_period;
        let heartbeat = self.health.liveness().watch("election", bound);
        tokio::pin!(stop);
        loop {
            heartbeat.beat();
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = self.turn() => {}
            }
        }
        self.give_up().await;
    }

    /// One step and the pause after it.
    async fn turn(&mut self) {
        let blind = self.fresh;
        let pause = match self.step().await {
            Ok(pause) => pause,
            // A renewal without a read before it met somebody's change: look
            // at once, for it may be that another leads.
            Err(error) if blind && error.is_overtaken() => Duration::ZERO,
            Err(error) => {
                let leading = self.source.leads();
                tracing::warn!(%error, leading, "the election's request failed");
                self.config.retry_period
            }
        };
        tokio::time::sleep(pause).await;
    }

    async fn step(&mut self) -> Result<Duration, Error> {
        if !self.fresh {
            self.read().await?;
        }
        let now = Instant::now();
        let duration = self.config.lease_duration;
        let action = decide(&self.config.identity, self.observed.as_ref(), duration, now);
        if action != Action::Renew {
            // Whoever changed the Lease, it is not ours any more.
            self.source.lose();
        }
        let pause = match action {
            Action::Wait(left) => left.min(self.config.retry_period),
            Action::Create | Action::Acquire | Action::Renew => {
                self.write().await?;
                self.config.renew_period
            }
        };
        self.announce();
        Ok(pause)
    }

    async fn read(&mut self) -> Result<(), Error> {
        let lease = self.bounded(self.api.get_opt(&self.config.name)).await?;
        let now = Instant::now();
        let previous = self.observed.take();
        self.observed = lease.map(|lease| Observed::note(previous, lease, now));
        self.health.set_connected();
        Ok(())
    }

    /// Creates or replaces the Lease in our name and counts the leadership
    /// from just before sending.
    async fn write(&mut self) -> Result<(), Error> {
        let config = &self.config;
        let current = self.observed.as_ref().map(|observed| &observed.lease);
        let spec = claim(
            &config.identity,
            current.and_then(|lease| lease.spec.as_ref()),
            config.lease_duration,
            Timestamp::now(),
        );
        let lease = with_spec(current, &config.name, spec);
        let params = PostParams::default();
        // Until the answer is here, what the server holds is not known.
        self.fresh = false;
        let sent = Instant::now();
        let written = if current.is_some() {
            self.bounded(self.api.replace(&config.name, &params, &lease))
                .await?
        } else {
            self.bounded(self.api.create(&params, &lease)).await?
        };
        self.observed = Some(Observed {
            lease: written,
            since: sent,
        });
        self.fresh = true;
        self.source.lead_until(sent + self.config.renew_deadline);
        Ok(())
    }

    /// Gives the Lease up if it is ours, so that the next leader need not wait
    /// for it to expire.
    async fn give_up(mut self) {
        self.source.lose();
        // An interrupted write may have succeeded: only reading tells.
        let released = async {
            self.read().await?;
            let Some(observed) = &self.observed else {
                return Ok(false);
            };
            if observed.holder() != Some(&self.config.identity) {
                return Ok(false);
            }
            let current = observed.lease.spec.clone().unwrap_or_default();
            let spec = release(&current, Timestamp::now());
            let lease = with_spec(Some(&observed.lease), &self.config.name, spec);
            let params = PostParams::default();
            self.bounded(self.api.replace(&self.config.name, &params, &lease))
                .await?;
            Ok::<_, Error>(true)
        };
        match released.await {
            Ok(true) => tracing::info!("gave the lease up"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "could not give the lease up; it will expire"),
        }
    }

    async fn bounded<T>(
        &self,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Error> {
        let limit = self.config.request_timeout;
        match timeout(limit, request).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Error::Timeout(limit)),
        }
    }

    /// Logs who holds the Lease, once per change.
    fn announce(&mut self) {
        let holder = self.observed.as_ref().and_then(Observed::holder);
        if let Some(holder) = holder
            && self.announced.as_deref() != Some(holder)
        {
            let me = holder == self.config.identity;
            tracing::info!(leader = holder, me, "the leader is known");
        }
        self.announced = holder.map(ToOwned::to_owned);
    }
}

/// The Lease to send: what is there with another spec, or a new one.
fn with_spec(current: Option<&Lease>, name: &str, spec: LeaseSpec) -> Lease {
    let metadata = current.map_or_else(
        || ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        |lease| lease.metadata.clone(),
    );
    Lease {
        metadata,
        spec: Some(spec),
    }
}

#[cfg(test)]
mod tests;
