//! How much of a request's head is kept while the rest has not come.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::api::{Api, NO_DATABASE};

/// The first line of the answer to a request with a header of so many bytes.
async fn answer_to(port: u16, bytes: usize) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let filler = "a".repeat(bytes);
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-A: {filler}\r\n\r\n");
    // The server may close before it has all of it.
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let text = String::from_utf8_lossy(&answer);
    text.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_head_longer_than_any_browsers_is_refused() {
    let api = Api::start(NO_DATABASE, &[]).await;
    for bytes in [1, 8 * 1024, 24 * 1024] {
        assert_eq!(
            answer_to(api.port, bytes).await,
            "HTTP/1.1 200 OK",
            "{bytes}"
        );
    }
    for bytes in [100 * 1024, 300 * 1024] {
        let answer = answer_to(api.port, bytes).await;
        // Where it was still being sent, the answer may be lost in the reset.
        let refused = answer == "HTTP/1.1 431 Request Header Fields Too Large";
        assert!(refused || answer.is_empty(), "{bytes}: {answer}");
    }
}

#[tokio::test]
async fn five_hundred_unfinished_heads_are_held_in_little_memory() {
    let api = Api::start(NO_DATABASE, &[]).await;
    answer_to(api.port, 1).await;
    let before = api.resident_mib();
    let head = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nX-A: {}",
        "a".repeat(390 * 1024)
    );
    let mut connections = Vec::new();
    for _ in 0..500 {
        let mut stream = TcpStream::connect(("127.0.0.1", api.port)).await.unwrap();
        let _ = stream.write_all(head.as_bytes()).await;
        connections.push(stream);
    }
    answer_to(api.port, 1).await;
    let grown = api.resident_mib() - before;
    assert!(grown < 40.0, "{grown:.0} MiB more");
}
