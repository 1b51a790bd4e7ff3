//! Clients that take their time: headers and body must each arrive within
//! thirty seconds.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::api::{Api, NO_DATABASE};

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

#[tokio::test]
async fn connections_that_stall_are_closed_after_thirty_seconds() {
    let api = Api::start(NO_DATABASE, &[]).await;
    let (nothing, head, body) = tokio::join!(
        send_and_stall(api.port, ""),
        send_and_stall(api.port, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "),
        send_and_stall(
            api.port,
            "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Content-Length: 100\r\n\r\n{"
        ),
    );
    for (_, took) in [&nothing, &head, &body] {
        let seconds = took.as_secs();
        assert!((29..=35).contains(&seconds), "{seconds}");
    }
    assert_eq!(nothing.0, "");
    assert_eq!(head.0, "");
    assert!(body.0.starts_with("HTTP/1.1 408 "), "{}", body.0);
    assert!(body.0.contains("application/problem+json"), "{}", body.0);
    assert!(body.0.contains("connection: close"), "{}", body.0);
}
