//! Connections by the thousand, and fewer descriptors than connections.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::api::{Api, NO_DATABASE, eventually};

/// How many connections this process can hold, up to so many.
fn affordable(wanted: u64) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let most = limit.maximum.unwrap_or(u64::MAX).saturating_sub(1_000);
    usize::try_from(wanted.min(most)).unwrap()
}

async fn connect(api: &Api, count: usize) -> Vec<TcpStream> {
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count {
        let stream = TcpStream::connect(("127.0.0.1", api.port)).await.unwrap();
        connections.push(stream);
    }
    connections
}

fn open_files(api: &Api) -> usize {
    fs::read_dir(format!("/proc/{}/fd", api.pid()))
        .unwrap()
        .count()
}

#[tokio::test]
async fn ten_thousand_idle_connections_are_held_and_closed_in_time() {
    let count = affordable(10_000);
    let api = Api::start(NO_DATABASE, &[]).await;
    let before = api.resident_mib();
    let started = Instant::now();
    let mut connections = connect(&api, count).await;
    // A tenth have asked for something and stay; the others never speak.
    for stream in connections.iter_mut().step_by(10) {
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
    }
    eventually(Duration::from_secs(20), async || {
        (open_files(&api) >= count).then_some(())
    })
    .await;
    let asked = Instant::now();
    for _ in 0..20 {
        assert_eq!(api.get("/").await.status(), 200);
    }
    let took = asked.elapsed() / 20;
    assert!(took < Duration::from_millis(500), "{took:?}");
    let held = api.resident_mib();
    let each = (held - before) * 1024.0 / f64::from(u32::try_from(count).unwrap());
    println!(
        "{count} connections: {before:.0} MiB before, {held:.0} MiB then, {each:.1} KiB each, {took:?} a request"
    );
    assert!(held < 250.0, "{held} MiB");
    eventually(Duration::from_mins(1), async || {
        (open_files(&api) < 100).then_some(())
    })
    .await;
    let closed = started.elapsed();
    assert!(closed >= Duration::from_secs(29), "{closed:?}");
    assert_eq!(api.get("/").await.status(), 200);
}

#[tokio::test]
async fn when_descriptors_run_out_accepting_recovers() {
    let few = ["sh", "-c", "ulimit -n 64; exec \"$0\" \"$@\""];
    let api = Api::start_under(&few, NO_DATABASE, &[]).await;
    assert_eq!(api.get("/").await.status(), 200);
    let connections = connect(&api, 200).await;
    api.logged("cannot accept connections").await;
    let newcomer = api.get_with_a_new_connection("/");
    let waited = tokio::time::timeout(Duration::from_secs(1), newcomer).await;
    assert!(waited.is_err(), "there was room: {waited:?}");
    drop(connections);
    eventually(Duration::from_secs(20), async || {
        let answer = api.get_with_a_new_connection("/");
        let answer = tokio::time::timeout(Duration::from_secs(1), answer).await;
        (answer.ok()? == Some(200)).then_some(())
    })
    .await;
    let log = api.log().await.into_iter();
    let complaints = log.filter(|line| line["message"] == "cannot accept connections");
    assert_eq!(complaints.count(), 1, "one line, not one for each attempt");
}

#[tokio::test]
async fn the_limit_of_descriptors_is_raised_as_far_as_allowed() {
    let soft = ["sh", "-c", "ulimit -S -n 300; exec \"$0\" \"$@\""];
    let api = Api::start_under(&soft, NO_DATABASE, &[]).await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", api.pid())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let numbers: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{line}");
    assert_ne!(numbers[0], "300");
}
