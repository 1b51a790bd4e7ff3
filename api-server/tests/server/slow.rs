//! Clients that take their time: headers and body must each arrive within
//! thirty seconds, however steadily they drip, and an answer must be taken.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::api::{Api, NO_DATABASE, eventually};

/// Sends `beginning` and no more; what came back until the connection closed,
/// and after how long that was.
async fn send_and_stall(port: u16, beginning: &str) -> (String, Duration) {
    let started = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(beginning.as_bytes()).await.unwrap();
    let mut text = String::new();
    let reading = stream.read_to_string(&mut text);
    let closed = tokio::time::timeout(Duration::from_secs(45), reading).await;
    assert!(closed.is_ok(), "it was never closed: {beginning:?}");
    (text, started.elapsed())
}

/// Sends `beginning` and then a byte a second; what came back until the
/// connection closed, and after how long that was.
async fn send_and_drip(port: u16, beginning: &str) -> (String, Duration) {
    let started = Instant::now();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    to.write_all(beginning.as_bytes()).await.unwrap();
    let dripping = tokio::spawn(async move {
        while to.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut bytes = Vec::new();
    // A byte that crosses the answer makes the end a reset.
    let closed = tokio::time::timeout(Duration::from_secs(45), from.read_to_end(&mut bytes));
    let closed = closed.await;
    dripping.abort();
    assert!(closed.is_ok(), "it was never closed: {beginning:?}");
    (
        String::from_utf8_lossy(&bytes).into_owned(),
        started.elapsed(),
    )
}

/// Asks for a large page a thousand times on each of fifty connections and
/// takes nothing; the most memory that the server then had in use, in MiB, and
/// how long it kept them.
async fn ask_and_take_nothing(api: &Api) -> (f64, Duration) {
    let request = "GET /redoc/redoc.standalone.js HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1_000);
    let mut connections = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(("127.0.0.1", api.port)).await.unwrap();
        // The server stops reading when it cannot write.
        let sending = stream.write_all(request.as_bytes());
        let _ = tokio::time::timeout(Duration::from_millis(100), sending).await;
        connections.push(stream);
    }
    let started = Instant::now();
    let files = || {
        let files = std::fs::read_dir(format!("/proc/{}/fd", api.pid()));
        files.unwrap().count()
    };
    eventually(Duration::from_secs(10), async || {
        (files() > 50).then_some(())
    })
    .await;
    let mut most = 0_f64;
    eventually(Duration::from_secs(75), async || {
        most = most.max(api.resident_mib());
        (files() < 50).then_some(())
    })
    .await;
    drop(connections);
    (most, started.elapsed())
}

#[tokio::test]
async fn connections_that_stall_are_closed_after_thirty_seconds() {
    let api = Api::start(NO_DATABASE, &[]).await;
    let takers = Api::start(NO_DATABASE, &[]).await;
    let idle_mib = takers.resident_mib();
    let (nothing, head, body, dripped_head, dripped_body, (mib, kept)) = tokio::join!(
        send_and_stall(api.port, ""),
        send_and_stall(api.port, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "),
        send_and_stall(
            api.port,
            "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Content-Length: 100\r\n\r\n{"
        ),
        send_and_drip(api.port, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "),
        send_and_drip(
            api.port,
            "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Content-Length: 100\r\n\r\n{"
        ),
        ask_and_take_nothing(&takers),
    );
    for (_, took) in [&nothing, &head, &body, &dripped_head, &dripped_body] {
        assert!(*took >= Duration::from_secs(29), "{took:?}");
    }
    assert_eq!(nothing.0, "");
    assert_eq!(head.0, "");
    assert_eq!(dripped_head.0, "");
    for body in [&body.0, &dripped_body.0] {
        assert!(body.starts_with("HTTP/1.1 408 "), "{body}");
        assert!(body.contains("application/problem+json"), "{body}");
        assert!(body.contains("connection: close"), "{body}");
    }
    assert!(
        mib < idle_mib + 64.0,
        "{idle_mib} MiB at first, {mib} MiB then"
    );
    assert!(kept > Duration::from_secs(20), "{kept:?}");
}
