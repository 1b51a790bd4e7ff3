//! The handle by which the rest of the operator learns whether it leads.

use std::sync::Arc;

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// What is published: which leadership it is and until when it may write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Term {
    /// Counts leaderships, so that losing one and winning the next between
    /// two looks is not mistaken for one leadership.
    number: u64,
    /// None while another leads or nobody does.
    until: Option<Instant>,
}

impl Term {
    fn leads(self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

/// Whether this replica leads, now. Clones watch the same leadership.
#[derive(Clone, Debug)]
pub struct Leadership {
    term: watch::Receiver<Term>,
}

/// The writing end of [`Leadership`]. The elector has one; tests of what
/// depends on a leadership make their own.
#[derive(Clone, Debug)]
pub struct LeadershipSource {
    term: Arc<watch::Sender<Term>>,
}

impl LeadershipSource {
    /// A source that does not lead.
    #[must_use]
    pub fn new() -> Self {
        Self {
            term: Arc::new(watch::Sender::default()),
        }
    }

    /// A handle on this source.
    #[must_use]
    pub fn leadership(&self) -> Leadership {
        Leadership {
            term: self.term.subscribe(),
        }
    }

    /// Whether the leadership is in force at this moment.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.term.borrow().leads(Instant::now())
    }

    /// Begins a leadership, or prolongs the one in force.
    pub fn lead_until(&self, deadline: Instant) {
        let now = Instant::now();
        self.term.send_modify(|term| {
            if !term.leads(now) {
                term.number += 1;
            }
            term.until = Some(deadline);
        });
    }

    /// Ends the leadership, if there is one.
    pub fn lose(&self) {
        self.term
            .send_if_modified(|term| term.until.take().is_some());
    }
}

impl Default for LeadershipSource {
    fn default() -> Self {
        Self::new()
    }
}

impl Leadership {
    /// Whether a write may be started now. Asks the monotonic clock, so it is
    /// right even if this process was stopped for a while and nobody told it.
    #[must_use]
    pub fn may_write(&self) -> bool {
        self.term.borrow().leads(Instant::now())
    }

    /// Completes when this replica leads; at once if it does already. Never,
    /// if the election has ended.
    pub fn acquired(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut seen = self.term.clone();
        async move {
            loop {
                if seen.borrow_and_update().leads(Instant::now()) {
                    return;
                }
                if seen.changed().await.is_err() {
                    return std::future::pending().await;
                }
            }
        }
    }

    /// Completes when the leadership that is in force at the time of this call
    /// has ended, even if another of this replica's has begun since; at once
    /// if there is none. Needs no word from the election: the deadline is
    /// enough.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut seen = self.term.clone();
        let number = seen.borrow().number;
        async move {
            loop {
                let term = *seen.borrow_and_update();
                let Some(until) = term.until else { return };
                if term.number != number || !term.leads(Instant::now()) {
                    return;
                }
                tokio::select! {
                    () = sleep_until(until) => {}
                    changed = seen.changed() => if changed.is_err() {
                        return sleep_until(until).await;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;

    use super::*;

    const TEN: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn ends_at_the_deadline_without_a_word() {
        let source = LeadershipSource::new();
        let leadership = source.leadership();
        assert!(!leadership.may_write());
        source.lead_until(Instant::now() + TEN);
        assert!(leadership.may_write());
        let begin = Instant::now();
        leadership.lost().await;
        assert_eq!(begin.elapsed(), TEN);
        assert!(!leadership.may_write());
    }

    #[tokio::test(start_paused = true)]
    async fn ends_at_the_deadline_when_the_election_is_gone() {
        let source = LeadershipSource::new();
        let leadership = source.leadership();
        source.lead_until(Instant::now() + TEN);
        drop(source);
        let begin = Instant::now();
        leadership.lost().await;
        assert_eq!(begin.elapsed(), TEN);
        assert!(leadership.acquired().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_prolongs_it() {
        let source = LeadershipSource::new();
        let leadership = source.leadership();
        source.lead_until(Instant::now() + TEN);
        let begin = Instant::now();
        let lost = tokio::spawn(leadership.lost());
        tokio::time::sleep(TEN / 2).await;
        source.lead_until(Instant::now() + TEN);
        lost.await.unwrap();
        assert_eq!(begin.elapsed(), TEN + TEN / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn losing_and_winning_between_two_looks_is_a_loss() {
        let source = LeadershipSource::new();
        let leadership = source.leadership();
        source.lead_until(Instant::now() + TEN);
        let lost = leadership.lost();
        source.lose();
        source.lead_until(Instant::now() + TEN);
        assert!(lost.now_or_never().is_some());
        assert!(leadership.lost().now_or_never().is_none());
        assert!(leadership.may_write());
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_renewal_is_a_new_leadership() {
        let source = LeadershipSource::new();
        let leadership = source.leadership();
        source.lead_until(Instant::now() + TEN);
        let lost = leadership.lost();
        tokio::time::advance(TEN).await;
        source.lead_until(Instant::now() + TEN);
        assert!(lost.now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn acquired_waits_for_a_leadership() {
        let source = LeadershipSource::new();
        let acquired = tokio::spawn(source.leadership().acquired());
        tokio::time::sleep(TEN).await;
        assert!(!acquired.is_finished());
        source.lead_until(Instant::now() + TEN);
        acquired.await.unwrap();
    }
}
