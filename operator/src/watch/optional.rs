//! The watches of kinds that the cluster may lack: each runs while its kind is
//! served, and says whether it can be used.

use std::time::Duration;

use futures::future::ready;
use futures::stream::StreamExt as _;
use kube::runtime::watcher::{Error, watcher};

use super::{Scope, Task, counted, labelled};
use crate::discovery::{Discovery, Served};
use crate::reconcile::children::{Foreign, Live, StackKey};
use crate::reconcile::optional::{Availabilities, Availability, Optional};

/// The pause before a kind is listed again that the operator may not read.
const FORBIDDEN_PAUSE: Duration = Duration::from_secs(15);

/// What the watches of optional kinds need and tell.
#[derive(Clone, Copy)]
pub struct Optionals<'a> {
    /// What the cluster serves.
    pub discovery: &'a Discovery,
    /// Where it is noted what can be used.
    pub availabilities: &'a Availabilities,
    /// The stacks that need a kind.
    pub needing: &'a (dyn Fn(Optional) -> Vec<StackKey> + Send + Sync),
}

impl<'a> Scope<'a> {
    /// Keeps `children` and the kind's availability true.
    pub(super) fn optional<K: Foreign>(&self, optionals: Optionals<'a>) -> Task<'a> {
        let kind = K::OPTIONAL;
        let scope = self.clone();
        Box::pin(async move {
            let has = |served: &Served| served.as_ref().is_some_and(|all| all.contains(&kind));
            let lacks = |served: &Served| served.as_ref().is_some_and(|all| !all.contains(&kind));
            let mut served = optionals.discovery.served();
            loop {
                let known = served.wait_for(Option::is_some).await;
                if known.is_ok_and(|served| lacks(&served)) {
                    scope.children.retain(K::KIND, scope.namespace, &[]);
                    scope.note(optionals, kind, &Availability::Missing);
                    let _ = served.wait_for(has).await;
                }
                tokio::select! {
                    () = scope.attend::<K>(optionals) => {}
                    _ = served.wait_for(lacks) => {}
                }
            }
        })
    }

    /// Follows a kind until the operator is forbidden to, and a while longer.
    async fn attend<K: Foreign>(&self, optionals: Optionals<'a>) {
        let kind = K::OPTIONAL;
        let (judge, listed) = (self.clone(), self.clone());
        let events = counted(K::KIND, watcher(self.api::<K>(), labelled()))
            // Ended, because a watch that begins anew lists first, and so shows
            // when it may again.
            .take_while(move |event| ready(!judge.is_forbidden(optionals, kind, event)));
        let on_listed = move || listed.note(optionals, kind, &Availability::Served);
        self.follow::<K, K, _>(events, Live::of, on_listed).await;
        tokio::time::sleep(FORBIDDEN_PAUSE).await;
    }

    /// Takes note of an error; tells whether the operator may not read the kind.
    fn is_forbidden<E>(
        &self,
        optionals: Optionals<'a>,
        kind: Optional,
        event: &Result<E, Error>,
    ) -> bool {
        let Err(error) = event else {
            return false;
        };
        let answer = match error {
            Error::InitialListFailed(kube::Error::Api(status))
            | Error::WatchStartFailed(kube::Error::Api(status))
            | Error::WatchFailed(kube::Error::Api(status))
            | Error::WatchError(status) => Some(status),
            _ => None,
        };
        match answer {
            Some(answer) if answer.code == 403 => {
                let forbidden = Availability::Forbidden(answer.message.clone());
                self.note(optionals, kind, &forbidden);
                return true;
            }
            // It has gone a moment ago, or is only just coming.
            Some(answer) if answer.code == 404 => optionals.discovery.doubt(),
            _ => tracing::warn!(kind = kind.plural(), %error, "a watch failed"),
        }
        false
    }

    /// Takes note whether a kind can be used, and sends the stacks that need it
    /// if that is news.
    fn note(&self, optionals: Optionals<'a>, kind: Optional, now: &Availability) {
        let is_first = optionals.availabilities.of(kind) == Availability::Unknown;
        if !optionals.availabilities.set(kind, now) {
            return;
        }
        if is_first {
            self.known.send_modify(|count| *count += 1);
        }
        match now {
            Availability::Forbidden(answer) => {
                tracing::warn!(kind = kind.plural(), answer, "may not be watched");
            }
            now => tracing::info!(kind = kind.plural(), ?now, "availability"),
        }
        for stack in (optionals.needing)(kind) {
            let _ = self.triggers.send(stack);
        }
    }
}
