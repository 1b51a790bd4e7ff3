//! What the API server itself can do: the objects of AuthStacks, written by a
//! client that does nothing else. For `bench/operator-scale`.
//!
//!     bare_client stacks  NAMESPACE COUNT         creates AuthStacks
//!     bare_client objects NAMESPACE COUNT         creates the children of as many
//!     bare_client secrets NAMESPACE COUNT BYTES   creates Secrets of that size
//!
//! Prints how many objects it created, and in how many seconds.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::time::Instant;

use anyhow::Context as _;
use authstack_operator::{args::Images, reconcile::render::render};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use kube::{
    Client,
    api::{Api, DynamicObject, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde::Deserialize as _;
use serde_json::{Value, json};

/// As many requests at a time as the operator has reconciles.
const CONCURRENCY: usize = 16;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let word = |at: usize| words.get(at).map(String::as_str);
    let what = word(0).context("what? stacks, objects or secrets")?;
    let namespace = word(1).context("in which namespace?")?;
    let count: usize = word(2).context("how many?")?.parse()?;
    let bytes: usize = word(3).unwrap_or("0").parse()?;
    // Whatever takes time of its own comes before the clock is started.
    let objects = match what {
        "stacks" => (0..count).map(stack).collect(),
        "objects" => children(count)?,
        "secrets" => (0..count).map(|number| secret(number, bytes)).collect(),
        other => anyhow::bail!("{other} is none of stacks, objects and secrets"),
    };
    let client = Client::try_default().await?;
    let begin = Instant::now();
    let all = objects.len();
    stream::iter(objects)
        .map(|object| create(&client, namespace, object))
        .buffer_unordered(CONCURRENCY)
        .try_collect::<Vec<()>>()
        .await?;
    println!("{all} {:.2}", begin.elapsed().as_secs_f64());
    Ok(())
}

async fn create(client: &Client, namespace: &str, object: Value) -> anyhow::Result<()> {
    let object: DynamicObject = serde_json::from_value(object)?;
    let types = object.types.as_ref().context("an object without a type")?;
    let kind = ApiResource::from_gvk(&GroupVersionKind::try_from(types)?);
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
    api.create(&PostParams::default(), &object).await?;
    Ok(())
}

fn stack(number: usize) -> Value {
    json!({
        "apiVersion": "auth.dataviv.com/v1alpha1",
        "kind": "AuthStack",
        "metadata": {"name": format!("stack-{number}")},
        "spec": {},
    })
}

fn children(stacks: usize) -> anyhow::Result<Vec<Value>> {
    let mut objects = Vec::new();
    for number in 0..stacks {
        let text = render(&stack(number).to_string(), &Images::default())?;
        for document in serde_yaml::Deserializer::from_str(&text) {
            let mut object = Value::deserialize(document)?;
            object["metadata"]["namespace"].take();
            objects.push(object);
        }
    }
    Ok(objects)
}

fn secret(number: usize, bytes: usize) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": format!("unrelated-{number}")},
        "stringData": {"value": "x".repeat(bytes)},
    })
}
