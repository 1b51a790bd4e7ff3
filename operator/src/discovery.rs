//! Which optional kinds the cluster serves, asked now and then.
//!
//! One request for all: aggregated discovery ([KEP-3352]), which every account
//! that is authenticated may read. The API server answers "not modified" while
//! nothing was installed or removed, so asking often costs next to nothing.
//!
//! [KEP-3352]: https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/3352-aggregated-discovery

use std::collections::BTreeSet;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH};
use http::{Request, StatusCode};
use kube::Client;
use kube::client::Body;
use kube::core::discovery::v2::{
    ACCEPT_AGGREGATED_DISCOVERY_V2, APIGroupDiscovery, APIGroupDiscoveryList,
};
use tokio::sync::{Notify, watch};

use crate::reconcile::optional::Optional;

/// How long what was installed may go unnoticed.
const PERIOD: Duration = Duration::from_secs(5);
/// The pause before an answer is asked for early: discovery is a moment behind
/// what watches report.
const SETTLE: Duration = Duration::from_secs(1);
/// No answer is larger: a group takes a few kilobytes.
const LARGEST: usize = 64 << 20;

/// The kinds that the cluster serves; `None` until it was asked.
pub type Served = Option<BTreeSet<Optional>>;

/// Why it is not known what the cluster serves.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Client(#[from] kube::Error),
    #[error("the API server answered {0}")]
    Status(StatusCode),
    #[error("the API server does not aggregate discovery")]
    Unsupported,
    #[error("the answer broke off, or is too large: {0}")]
    Body(#[from] axum::Error),
    #[error("the answer makes no sense: {0}")]
    Json(#[from] serde_json::Error),
}

/// What the cluster serves, kept up to date.
#[derive(Debug)]
pub struct Discovery {
    served: watch::Sender<Served>,
    soon: Notify,
}

impl Default for Discovery {
    fn default() -> Self {
        Self {
            served: watch::Sender::new(None),
            soon: Notify::new(),
        }
    }
}

impl Discovery {
    /// What the cluster serves, now and from now on.
    #[must_use]
    pub fn served(&self) -> watch::Receiver<Served> {
        self.served.subscribe()
    }

    /// Has it asked soon: something does not fit what is known.
    pub fn doubt(&self) {
        self.soon.notify_one();
    }

    /// Asks now and then. Never completes.
    pub async fn run(&self, client: &Client) {
        let mut tag = None;
        let mut failed = false;
        loop {
            match self.ask(client, &mut tag).await {
                Ok(()) => failed = false,
                // What was known stays.
                Err(error) if failed => {
                    tracing::debug!(%error, "it is still not known which APIs are served");
                }
                Err(error) => {
                    failed = true;
                    tracing::warn!(%error, "which APIs the cluster serves cannot be asked");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = self.soon.notified() => tokio::time::sleep(SETTLE).await,
            }
        }
    }

    async fn ask(&self, client: &Client, tag: &mut Option<HeaderValue>) -> Result<(), Error> {
        let mut request = Request::get("/apis").header(ACCEPT, ACCEPT_AGGREGATED_DISCOVERY_V2);
        if let Some(tag) = tag.as_ref() {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let request = request.body(Body::empty());
        let request = request.map_err(kube::Error::HttpError)?;
        let answer = client.send(request).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED => return Ok(()),
            status => return Err(Error::Status(status)),
        }
        let (parts, body) = answer.into_parts();
        let form = parts.headers.get(CONTENT_TYPE);
        let form = form.and_then(|form| form.to_str().ok()).unwrap_or_default();
        if !form.contains("APIGroupDiscoveryList") {
            return Err(Error::Unsupported);
        }
        let body = axum::body::to_bytes(axum::body::Body::new(body), LARGEST).await?;
        let groups: APIGroupDiscoveryList = serde_json::from_slice(&body)?;
        self.served.send_if_modified(|served| {
            let now = served_kinds(&groups.items, served.as_ref());
            let is_news = served.as_ref() != Some(&now);
            if is_news {
                tracing::info!(kinds = ?now, "optional APIs that the cluster serves");
            }
            *served = Some(now);
            is_news
        });
        *tag = parts.headers.get(ETAG).cloned();
        Ok(())
    }
}

/// The optional kinds among the groups. Of a version whose own server cannot be
/// reached what was known before stays.
fn served_kinds(
    groups: &[APIGroupDiscovery],
    before: Option<&BTreeSet<Optional>>,
) -> BTreeSet<Optional> {
    let version = |kind: Optional| {
        let name = |group: &&APIGroupDiscovery| {
            let metadata = group.metadata.as_ref();
            metadata.and_then(|metadata| metadata.name.as_deref()) == Some(kind.group())
        };
        let group = groups.iter().find(name)?;
        let mut versions = group.versions.iter();
        versions.find(|version| version.version.as_deref() == Some(kind.version()))
    };
    let is_served = |kind: &Optional| match version(*kind) {
        None => false,
        Some(version) if version.freshness.as_deref() == Some("Stale") => {
            before.is_some_and(|before| before.contains(kind))
        }
        Some(version) => version
            .resources
            .iter()
            .any(|resource| resource.resource.as_deref() == Some(kind.plural())),
    };
    Optional::ALL.into_iter().filter(is_served).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn groups(freshness: &str, resources: &[&str]) -> Vec<APIGroupDiscovery> {
        let resources: Vec<_> = resources
            .iter()
            .map(|resource| json!({"resource": resource, "scope": "Namespaced"}))
            .collect();
        serde_json::from_value(json!([
            {"metadata": {"name": "apps"}, "versions": [{"version": "v1"}]},
            {"metadata": {"name": "postgresql.cnpg.io"}, "versions": [
                {"version": "v1", "freshness": freshness, "resources": resources},
            ]},
            {"metadata": {"name": "gateway.networking.k8s.io"}, "versions": [
                {"version": "v1beta1", "resources": [{"resource": "httproutes"}]},
            ]},
        ]))
        .unwrap()
    }

    #[test]
    fn a_kind_is_served_by_its_group_its_version_and_its_name() {
        let only_clusters = groups("Current", &["clusters", "backups"]);
        let served = served_kinds(&only_clusters, None);
        assert_eq!(served, BTreeSet::from([Optional::Cluster]));
    }

    #[test]
    fn a_version_that_cannot_be_reached_stays_what_it_was() {
        let stale = groups("Stale", &[]);
        let before = BTreeSet::from([Optional::Cluster, Optional::Certificate]);
        let served = served_kinds(&stale, Some(&before));
        assert_eq!(served, BTreeSet::from([Optional::Cluster]));
        assert_eq!(served_kinds(&stale, None), BTreeSet::new());
    }
}
