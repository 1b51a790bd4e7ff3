//! Reads the details of a stack that is not ready: its pods, its claims and
//! what was reported about them. A stack that is ready costs no such read.

use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim, Pod};
use kube::Client;
use kube::api::{Api, ListParams};

use super::error::{Error, api};
use super::labels;
use super::names::Names;

/// What is known beyond the children themselves.
#[derive(Clone, Debug, Default)]
pub struct Details {
    /// The stack's pods.
    pub pods: Vec<Pod>,
    /// The stack's claims.
    pub claims: Vec<PersistentVolumeClaim>,
    /// What was reported about its claim and its StatefulSet.
    pub events: Vec<Event>,
}

/// Reads the details of a stack.
///
/// # Errors
/// When a list fails.
pub async fn inspect(client: &Client, names: &Names) -> Result<Details, Error> {
    let namespace = &names.namespace;
    let of_stack = ListParams::default().labels(&labels::instance_selector(&names.stack));
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let about = |kind: &str, name: String| {
        let fields = format!("involvedObject.kind={kind},involvedObject.name={name}");
        ListParams::default().fields(&fields)
    };
    let about_claim = about("PersistentVolumeClaim", names.data_claim());
    let about_set = about("StatefulSet", names.postgres());
    let (pods, claims, of_claim, of_set) = futures::try_join!(
        pods.list(&of_stack),
        claims.list(&of_stack),
        events.list(&about_claim),
        events.list(&about_set),
    )
    .map_err(api("reading pods, claims and events"))?;
    Ok(Details {
        pods: pods.items,
        claims: claims.items,
        events: of_claim.items.into_iter().chain(of_set.items).collect(),
    })
}
