//! An API server in memory: it keeps objects, answers and reports changes as a
//! real one does, and fails when it is told to. What a real one cannot be made
//! to say is tested with it, without a cluster and in virtual time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::stream;
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;
use tower::BoxError;

use super::ownership::{self, APPLY, Manager, SOMEBODY, UPDATE};
use super::wire::{Query, Target, merge};

/// The API server. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Fake {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    /// By path.
    objects: BTreeMap<String, Value>,
    version: u64,
    /// Whoever asks what happened since before this is told that it is gone.
    compacted: u64,
    /// Watches that began in another epoch have ended.
    epoch: u64,
    happened: Vec<Change>,
    faults: Vec<Fault>,
    requests: Vec<String>,
}

struct Change {
    version: u64,
    what: &'static str,
    collection: String,
    object: Value,
}

struct Fault {
    request: String,
    left: usize,
    answer: Answer,
}

/// What a request gets instead of what it asks for.
#[derive(Clone)]
pub(crate) enum Answer {
    /// A failure in the API server's own form.
    Status(Value),
    /// No answer.
    Lost,
}

/// A failure with a code, a reason and a message.
pub(crate) fn failure(code: u16, reason: &str, message: &str) -> Answer {
    Answer::Status(status(code, reason, message))
}

/// What every create in a namespace gets that is being deleted.
pub(crate) fn terminating() -> Answer {
    let message = "unable to create new content in namespace store because it is being terminated";
    let mut body = status(403, "Forbidden", message);
    body["details"] = json!({"causes": [{
        "reason": "NamespaceTerminating",
        "message": "namespace store is being terminated",
        "field": "metadata.namespace",
    }]});
    Answer::Status(body)
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message,
    })
}

impl State {
    fn store(&mut self, what: &'static str, collection: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let name = object["metadata"]["name"].as_str().unwrap();
        let path = format!("{collection}/{name}");
        if what == "DELETED" {
            self.objects.remove(&path);
        } else {
            self.objects.insert(path, object.clone());
        }
        self.happened.push(Change {
            version: self.version,
            what,
            collection: collection.to_owned(),
            object: object.clone(),
        });
        object
    }

    fn create(&mut self, collection: &str, mut object: Value, by: Manager<'_>) -> Value {
        let written = object.clone();
        ownership::note(&mut object, by, &written);
        let meta = &mut object["metadata"];
        if let Some(prefix) = meta["generateName"].as_str() {
            meta["name"] = json!(format!("{prefix}{}", self.version));
        }
        let name = meta["name"].as_str().unwrap().to_owned();
        if self.objects.contains_key(&format!("{collection}/{name}")) {
            let message = format!("{collection} {name:?} already exists");
            return status(409, "AlreadyExists", &message);
        }
        let namespace = collection.split('/').rev().nth(1).unwrap();
        meta["namespace"] = json!(namespace);
        meta["uid"] = json!(format!("uid-{}", self.version + 1));
        meta["generation"] = json!(1);
        meta["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        self.store("ADDED", collection, object)
    }

    fn patch(&mut self, target: &Target, patch: &Value, by: Manager<'_>) -> Value {
        let collection = &target.collection;
        let Some(old) = self.objects.get(&target.path()).cloned() else {
            if by.operation == APPLY && target.part.is_none() {
                return self.create(collection, patch.clone(), by);
            }
            return not_found(target);
        };
        for condition in ["uid", "resourceVersion"] {
            let wanted = &patch["metadata"][condition];
            if wanted.is_string() && *wanted != old["metadata"][condition] {
                return status(409, "Conflict", "the object has been modified");
            }
        }
        let mut new = old.clone();
        if target.part.as_deref() == Some("status") {
            new["status"] = patch["status"].clone();
        } else {
            merge(&mut new, patch);
            if !patch["metadata"]["managedFields"].is_array() {
                ownership::note(&mut new, by, patch);
            }
        }
        if new == old {
            return old;
        }
        if new["spec"] != old["spec"] {
            let generation = old["metadata"]["generation"].as_i64().unwrap_or(1);
            new["metadata"]["generation"] = json!(generation + 1);
        }
        self.store("MODIFIED", collection, new)
    }

    /// The answer of a fault that is set for a request.
    fn fault(&mut self, request: &str) -> Option<Answer> {
        let (method, path) = request.split_once(' ').unwrap();
        let fault = self.faults.iter_mut().find(|fault| {
            let (of, part) = fault.request.split_once(' ').unwrap();
            fault.left > 0 && of == method && path.contains(part)
        })?;
        fault.left -= 1;
        Some(fault.answer.clone())
    }
}

fn not_found(target: &Target) -> Value {
    status(404, "NotFound", &format!("{} not found", target.path()))
}

impl Fake {
    /// A client of it.
    pub(crate) fn client(&self) -> Client {
        let fake = self.clone();
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let fake = fake.clone();
            async move { fake.answer(request).await }
        });
        Client::new(service, "default")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn notify(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// Lets the next requests of a method, to paths that hold a text, fail:
    /// `POST /services`. Watches have the method `WATCH`.
    pub(crate) fn fail(&self, request: &str, times: usize, answer: Answer) {
        let request = request.to_owned();
        self.lock().faults.push(Fault {
            request,
            left: times,
            answer,
        });
    }

    /// Takes every fault away.
    pub(crate) fn heal(&self) {
        self.lock().faults.clear();
    }

    /// Ends all watches, changes an object, and forgets what happened: whoever
    /// goes on watching where it was is told that this is gone.
    pub(crate) fn change_unseen(&self, end: &str, patch: &Value) {
        self.merge(end, patch);
        let mut state = self.lock();
        state.epoch += 1;
        state.compacted = state.version;
        state.happened.clear();
        drop(state);
        self.notify();
    }

    /// Methods and paths of all requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.lock().requests.clone()
    }

    /// Creates an object in a collection.
    pub(crate) fn create(&self, collection: &str, object: Value) {
        let created = self.lock().create(collection, object, SOMEBODY);
        assert_ne!(created["kind"], "Status", "{created}");
        self.notify();
    }

    /// The object whose path ends so.
    pub(crate) fn get(&self, end: &str) -> Option<Value> {
        let state = self.lock();
        let mut objects = state.objects.iter();
        objects.find_map(|(path, object)| path.ends_with(end).then(|| object.clone()))
    }

    /// Paths of all objects.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.lock().objects.keys().cloned().collect()
    }

    /// Changes the object whose path ends so, as anybody might.
    pub(crate) fn merge(&self, end: &str, patch: &Value) {
        let mut state = self.lock();
        let found = state.objects.keys().find(|path| path.ends_with(end));
        let target = Target::parse(found.unwrap());
        let patched = state.patch(&target, patch, SOMEBODY);
        assert_ne!(patched["kind"], "Status", "{patched}");
        drop(state);
        self.notify();
    }

    async fn answer(
        &self,
        request: Request<kube::client::Body>,
    ) -> Result<Response<Body>, BoxError> {
        let (head, body) = request.into_parts();
        let query = Query::parse(head.uri.query().unwrap_or_default());
        let is_watch = matches!(query.get("watch"), "true" | "1");
        let method = if is_watch {
            "WATCH"
        } else {
            head.method.as_str()
        };
        let line = format!("{method} {}", head.uri.path());
        let fault = {
            let mut state = self.lock();
            state.requests.push(line.clone());
            state.fault(&line)
        };
        match fault {
            Some(Answer::Lost) => return Err("the connection was lost".into()),
            Some(Answer::Status(body)) => return Ok(respond(&body)),
            None => {}
        }
        let target = Target::parse(head.uri.path());
        if is_watch {
            return Ok(self.watch(target, query));
        }
        let body = body.collect().await?.to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let kind = head.headers.get("content-type");
        let applies = kind.is_some_and(|kind| kind == "application/apply-patch+yaml");
        let answer = self.act(&head.method, &target, &query, body, applies);
        self.notify();
        Ok(respond(&answer))
    }

    fn act(
        &self,
        method: &Method,
        target: &Target,
        query: &Query,
        body: Value,
        applies: bool,
    ) -> Value {
        let by = Manager {
            name: query.get("fieldManager"),
            operation: if applies { APPLY } else { UPDATE },
        };
        let mut state = self.lock();
        let found = state.objects.get(&target.path()).cloned();
        match (method.as_str(), &target.name) {
            ("GET", None) => {
                let of_kind = |path: &str| {
                    path.strip_prefix(&target.collection)
                        .is_some_and(|rest| rest.starts_with('/'))
                };
                let objects = state.objects.iter();
                let items: Vec<_> = objects
                    .filter(|(path, object)| of_kind(path) && query.selects(object))
                    .map(|(_, object)| object.clone())
                    .collect();
                let metadata = json!({"resourceVersion": state.version.to_string()});
                json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items})
            }
            ("GET", Some(_)) => found.unwrap_or_else(|| not_found(target)),
            ("POST", _) => state.create(&target.collection, body, by),
            ("PATCH", _) => state.patch(target, &body, by),
            ("DELETE", _) => match found {
                Some(object) => state.store("DELETED", &target.collection, object),
                None => not_found(target),
            },
            _ => status(405, "MethodNotAllowed", method.as_str()),
        }
    }

    fn watch(&self, target: Target, query: Query) -> Response<Body> {
        let since: u64 = query.get("resourceVersion").parse().unwrap_or(0);
        let seconds: u64 = query.get("timeoutSeconds").parse().unwrap_or(60);
        let end = Instant::now() + Duration::from_secs(seconds);
        let (epoch, compacted) = {
            let state = self.lock();
            (state.epoch, state.compacted)
        };
        if since < compacted {
            let gone = status(410, "Expired", "too old resource version");
            let event = json!({"type": "ERROR", "object": gone});
            return Response::new(Body::from(format!("{event}\n")));
        }
        let watching = (self.clone(), since, target.collection, query);
        let lines = stream::unfold(
            watching,
            move |(fake, since, collection, query)| async move {
                let mut changed = fake.changed.subscribe();
                loop {
                    let next = {
                        let state = fake.lock();
                        if state.epoch != epoch {
                            return None;
                        }
                        let mut later = state.happened.iter().filter(|one| one.version > since);
                        later
                            .find(|one| one.collection == collection && query.selects(&one.object))
                            .map(|one| {
                                (one.version, json!({"type": one.what, "object": one.object}))
                            })
                    };
                    if let Some((version, event)) = next {
                        let line: Result<_, BoxError> = Ok(Bytes::from(format!("{event}\n")));
                        return Some((line, (fake, version, collection, query)));
                    }
                    tokio::time::timeout_at(end, changed.changed())
                        .await
                        .ok()?
                        .ok()?;
                }
            },
        );
        Response::new(Body::from_stream(lines))
    }
}

fn respond(body: &Value) -> Response<Body> {
    let code = match (body["kind"].as_str(), body["code"].as_u64()) {
        (Some("Status"), Some(code)) => u16::try_from(code).unwrap(),
        _ => 200,
    };
    let bytes = serde_json::to_vec(body).unwrap();
    let response = Response::builder().status(code);
    response.body(Body::from(bytes)).unwrap()
}
