//! What the operator has last seen of every child, in a few hundred bytes each.
//!
//! The watches and the answers to writes both report here; the newer one wins.
//! Whether a child needs to be written is decided by comparing with this, so
//! that nothing is written when nothing changed.

mod foreign;
mod kinds;
mod owned;
mod state;

pub(super) use owned::is_our_update;

use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{NamespaceResourceScope, serde::de::DeserializeOwned};
use kube::Resource;

pub use self::state::{Certificate, Cluster, JobEnd, Rollout, Route, State};
use super::immutable::Step;
use super::labels::{INSTANCE, MANAGED_BY, OPERATOR};
use super::optional::Optional;

/// Namespace and name of a stack.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StackKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Kind and name of a child.
pub type ChildKey = (&'static str, String);

/// What is known of the children of one stack.
pub type Known = HashMap<ChildKey, Arc<Live>>;

/// A kind of object that stacks consist of.
pub trait Child:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + std::fmt::Debug
    + serde::Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// Its kind, as messages name it.
    const KIND: &'static str;

    /// A fingerprint of its spec, of the kinds that are watched whole.
    fn spec_fingerprint(&self) -> Option<u64> {
        None
    }

    /// How many pods it says that there are to be, if it says so.
    fn replicas(&self) -> Option<i32> {
        None
    }

    /// What its status says, where that matters to the stack.
    fn state(&self) -> State {
        State::Plain
    }

    /// What to do when the API server says that the live object cannot be
    /// changed into this one.
    fn replacement(&self, _: &Self) -> Step {
        Step::Accept
    }
}

/// A kind of child that a cluster may lack.
pub trait Foreign: Child {
    /// Which.
    const OPTIONAL: Optional;
}

/// What is known of one child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion.
    pub version: String,
    /// Changes whenever what somebody wrote into it changes, and not when a
    /// controller reports on it.
    pub content: u64,
    /// The uid of its controller.
    pub controller: Option<Controller>,
    /// The stack that its labels name, if they are ours.
    pub instance: Option<String>,
    /// Somebody deleted it, and it is not gone yet.
    pub deleting: bool,
    /// Its fields are ours by creation, not by server-side apply: before an
    /// apply may drop one of them, the ownership must be converted.
    pub owned_by_update: bool,
    /// The number of its pods is ours to say.
    pub owns_replicas: bool,
    /// What its status says.
    pub state: State,
}

/// An object's controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl Live {
    /// What is known of an object.
    pub fn of<K: Child>(object: &K) -> Self {
        Self::build(object.meta(), object.spec_fingerprint(), object.state())
    }

    /// What is known of an object of which only the metadata was seen.
    #[must_use]
    pub fn of_metadata(meta: &ObjectMeta) -> Self {
        Self::build(meta, None, State::Plain)
    }

    fn build(meta: &ObjectMeta, spec: Option<u64>, state: State) -> Self {
        let controller = meta
            .owner_references
            .iter()
            .flatten()
            .find(|owner| owner.controller == Some(true))
            .map(|owner| Controller {
                kind: owner.kind.clone(),
                name: owner.name.clone(),
                uid: owner.uid.clone(),
            });
        Self {
            uid: meta.uid.clone().unwrap_or_default(),
            version: meta.resource_version.clone().unwrap_or_default(),
            content: content(meta, spec),
            controller,
            instance: instance(meta),
            deleting: meta.deletion_timestamp.is_some(),
            owned_by_update: meta.managed_fields.iter().flatten().any(is_our_update),
            owns_replicas: owned::owns_replicas(meta),
            state,
        }
    }
}

/// The stack that an object's labels name: the adoption label, as it were.
fn instance(meta: &ObjectMeta) -> Option<String> {
    let labels = meta.labels.as_ref()?;
    (labels.get(MANAGED_BY)? == OPERATOR).then(|| labels.get(INSTANCE).cloned())?
}

/// A fingerprint of what was written into an object. Of a kind that is watched
/// whole that is its spec and metadata; its generation would not do, because a
/// Deployment's also counts what its controller notes in annotations. Of the
/// others every version is a new content.
fn content(meta: &ObjectMeta, spec: Option<u64>) -> u64 {
    let mut hash = DefaultHasher::new();
    let Some(spec) = spec else {
        meta.resource_version.hash(&mut hash);
        return hash.finish();
    };
    spec.hash(&mut hash);
    meta.labels.hash(&mut hash);
    for owner in meta.owner_references.iter().flatten() {
        (&owner.uid, owner.controller).hash(&mut hash);
    }
    let by_controller = |key: &&String| key.starts_with("deployment.kubernetes.io/");
    let annotations = meta.annotations.iter().flatten();
    for (key, value) in annotations.filter(|(key, _)| !by_controller(key)) {
        (key, value).hash(&mut hash);
    }
    hash.finish()
}

/// Tells one value from another. Typed objects of string-keyed maps always
/// encode, and always alike.
pub(super) fn fingerprint<T: serde::Serialize + ?Sized>(value: &T) -> u64 {
    let mut hash = DefaultHasher::new();
    let text = serde_json::to_string(value).unwrap_or_default();
    text.hash(&mut hash);
    hash.finish()
}

/// What was last seen under a name.
#[derive(Clone, Debug)]
enum Sight {
    Live(Arc<Live>),
    /// It is gone; the version keeps late reports of its life from reviving it.
    Gone {
        version: String,
    },
}

impl Sight {
    fn version(&self) -> &str {
        match self {
            Self::Live(live) => &live.version,
            Self::Gone { version } => version,
        }
    }
}

/// The children of all stacks.
#[derive(Debug, Default)]
pub struct Children {
    stacks: Mutex<HashMap<StackKey, HashMap<ChildKey, Sight>>>,
}

impl Children {
    /// Takes note of a child, unless something newer is known.
    pub fn put(&self, stack: &StackKey, key: ChildKey, live: Live) {
        self.note(stack, key, Sight::Live(Arc::new(live)));
    }

    /// Takes note that a child is gone, unless something newer is known.
    pub fn remove(&self, stack: &StackKey, key: ChildKey, version: String) {
        self.note(stack, key, Sight::Gone { version });
    }

    fn note(&self, stack: &StackKey, key: ChildKey, sight: Sight) {
        let mut stacks = self.lock();
        match stacks.entry(stack.clone()).or_default().entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(sight);
            }
            Entry::Occupied(mut entry) => {
                if !is_older(sight.version(), entry.get().version()) {
                    entry.insert(sight);
                }
            }
        }
    }

    /// What a complete list of one kind says: whatever it does not name is gone.
    pub fn retain(&self, kind: &'static str, namespace: Option<&str>, seen: &[(StackKey, String)]) {
        let seen: std::collections::HashSet<_> = seen.iter().collect();
        for (stack, children) in self.lock().iter_mut() {
            if namespace.is_some_and(|namespace| namespace != stack.namespace) {
                continue;
            }
            children.retain(|(of, name), _| {
                *of != kind || seen.contains(&(stack.clone(), name.clone()))
            });
        }
    }

    /// What is known of one child.
    #[must_use]
    pub fn get(&self, stack: &StackKey, key: &ChildKey) -> Option<Arc<Live>> {
        match self.lock().get(stack)?.get(key)? {
            Sight::Live(live) => Some(Arc::clone(live)),
            Sight::Gone { .. } => None,
        }
    }

    /// Everything that a stack has.
    #[must_use]
    pub fn of(&self, stack: &StackKey) -> Known {
        let stacks = self.lock();
        let children = stacks.get(stack).into_iter().flatten();
        children
            .filter_map(|(key, sight)| match sight {
                Sight::Live(live) => Some((key.clone(), Arc::clone(live))),
                Sight::Gone { .. } => None,
            })
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<StackKey, HashMap<ChildKey, Sight>>> {
        // Nothing in here can panic half-way through a change.
        self.stacks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether one resourceVersion is older than another. Kubernetes promises from
/// 1.35 on that they can be compared as numbers, and etcd has always made them
/// so; ones that are no numbers are taken as they come.
pub(super) fn is_older(one: &str, other: &str) -> bool {
    match (one.parse::<u128>(), other.parse::<u128>()) {
        (Ok(one), Ok(other)) => one < other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Secret, Service};

    use super::*;

    fn live(version: &str) -> Live {
        let meta = ObjectMeta {
            resource_version: Some(version.to_owned()),
            ..ObjectMeta::default()
        };
        Live::of_metadata(&meta)
    }

    fn stack(name: &str) -> StackKey {
        StackKey {
            namespace: "space".to_owned(),
            name: name.to_owned(),
        }
    }

    fn key() -> ChildKey {
        (Secret::KIND, "demo-credentials".to_owned())
    }

    #[test]
    fn the_newer_report_wins() {
        let children = Children::default();
        children.put(&stack("demo"), key(), live("10"));
        children.put(&stack("demo"), key(), live("9"));
        let known = |children: &Children| {
            children
                .get(&stack("demo"), &key())
                .map(|live| live.version.clone())
        };
        assert_eq!(known(&children).as_deref(), Some("10"));
        children.remove(&stack("demo"), key(), "12".to_owned());
        children.put(&stack("demo"), key(), live("11"));
        assert_eq!(known(&children), None, "a late answer revives nothing");
        children.put(&stack("demo"), key(), live("13"));
        assert_eq!(known(&children).as_deref(), Some("13"));
    }

    #[test]
    fn a_list_speaks_for_its_kind_and_namespace_alone() {
        let children = Children::default();
        let service = || (Service::KIND, "demo-api".to_owned());
        children.put(&stack("demo"), key(), live("1"));
        children.put(&stack("demo"), service(), live("1"));
        children.retain(Secret::KIND, Some("elsewhere"), &[]);
        assert_eq!(children.of(&stack("demo")).len(), 2);
        children.retain(Secret::KIND, Some("space"), &[]);
        assert!(children.get(&stack("demo"), &key()).is_none());
        assert!(children.get(&stack("demo"), &service()).is_some());
    }

    #[test]
    fn a_status_is_no_new_content_and_an_edit_is() {
        let meta = |version: &str, note: (&str, &str), label: &str| ObjectMeta {
            resource_version: Some(version.to_owned()),
            annotations: Some([(note.0.to_owned(), note.1.to_owned())].into()),
            labels: Some([("a".to_owned(), label.to_owned())].into()),
            ..ObjectMeta::default()
        };
        let revision = |number| ("deployment.kubernetes.io/revision", number);
        let first = content(&meta("1", revision("1"), "x"), Some(1));
        let same = [meta("2", revision("1"), "x"), meta("1", revision("2"), "x")];
        assert!(same.iter().all(|meta| content(meta, Some(1)) == first));
        assert_ne!(content(&meta("1", revision("1"), "x"), Some(2)), first);
        assert_ne!(content(&meta("1", revision("1"), "y"), Some(1)), first);
        assert_ne!(content(&meta("1", ("a/b", "1"), "x"), Some(1)), first);
        let plain = |version| content(&meta(version, revision("1"), "x"), None);
        assert_ne!(
            plain("1"),
            plain("2"),
            "without a spec every version counts"
        );
    }
}
