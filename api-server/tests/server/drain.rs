//! Stopping: no request is lost, and none keeps the server for ever.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use futures::future::join_all;
use serde_json::json;

use crate::{
    api::{Api, NO_DATABASE, PASSWORD, eventually},
    postgres::Postgres,
    tls::TlsFiles,
};

/// Sends the head of a login and a part of its body.
async fn begin_request(api: &Api) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", api.port)).await.unwrap();
    let head = "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Content-Length: 10\r\n\r\n{\"x\":";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    // A connection that was cut may end with an error; what came, came.
    let _ = stream.read_to_string(&mut text).await;
    text
}

async fn connects(api: &Api) -> bool {
    TcpStream::connect(("127.0.0.1", api.port)).await.is_ok()
}

#[tokio::test]
async fn sigterm_lets_load_balancers_notice_and_requests_finish() {
    let settings = [("DRAIN_DELAY", "5s"), ("DRAIN_TIMEOUT", "20s")];
    let mut api = Api::start(NO_DATABASE, &settings).await;
    let mut unfinished = begin_request(&api).await;
    let started = Instant::now();
    api.signal("TERM");
    api.logged("draining").await;
    assert_eq!(api.probe("/readyz").await, 503);
    assert_eq!(api.probe("/livez").await, 200);
    // Requests that still come are served, on connections that end with them.
    let answer = api.get("/").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["connection"], "close");
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "the test is too slow to tell"
    );

    eventually(Duration::from_secs(20), async || {
        (!connects(&api).await).then_some(())
    })
    .await;
    assert!(
        started.elapsed() >= Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(
        api.probe("/livez").await,
        200,
        "probes are answered to the end"
    );
    // The request that was begun before is finished now.
    unfinished.write_all(b"1   }").await.unwrap();
    let answer = rest(unfinished).await;
    assert!(answer.starts_with("HTTP/1.1 422 "), "{answer}");
    let (status, log) = api.ended(Duration::from_secs(10)).await;
    assert!(status.success(), "{status}");
    assert_eq!(log.last().unwrap()["message"], "stopped");
    assert!(
        !log.iter()
            .any(|line| line["message"] == "requests were cut off")
    );
}

#[tokio::test]
async fn the_drain_is_bounded() {
    let settings = [("DRAIN_DELAY", "1s"), ("DRAIN_TIMEOUT", "1s")];
    let mut api = Api::start(NO_DATABASE, &settings).await;
    let unfinished = begin_request(&api).await;
    api.signal("TERM");
    let (status, log) = api.ended(Duration::from_secs(10)).await;
    assert!(status.success(), "{status}");
    assert!(
        log.iter()
            .any(|line| line["message"] == "requests were cut off")
    );
    drop(unfinished);
}

#[tokio::test]
async fn a_person_at_a_terminal_does_not_wait() {
    let settings = [("DRAIN_DELAY", "60s")];
    let mut api = Api::start(NO_DATABASE, &settings).await;
    assert_eq!(
        api.get("/").await.status(),
        200,
        "an idle connection holds nothing up"
    );
    api.signal("INT");
    let (status, _) = api.ended(Duration::from_secs(10)).await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn a_second_signal_ends_the_wait() {
    let settings = [("DRAIN_DELAY", "60s")];
    let mut api = Api::start(NO_DATABASE, &settings).await;
    api.signal("TERM");
    api.logged("draining").await;
    api.signal("TERM");
    let (status, _) = api.ended(Duration::from_secs(10)).await;
    assert!(status.success(), "{status}");
}

/// Asks as one behind a load balancer does, which notices half a second late
/// that the server is no longer ready; how many answers came. Whatever else
/// comes is a request that was lost.
async fn ask_until_unready(api: &Api, keep_alive: bool) -> Result<usize, String> {
    // A request at a time: either always over one connection, or each over
    // its own.
    let kept = usize::from(keep_alive);
    let client = api
        .new_client()
        .pool_max_idle_per_host(kept)
        .build()
        .unwrap();
    let mut unready: Option<Instant> = None;
    let mut answered = 0;
    while unready.is_none_or(|since| since.elapsed() < Duration::from_millis(500)) {
        let answer = client.get(api.url("/")).send().await;
        let answer = answer.map_err(|error| format!("after {answered}: {error:?}"))?;
        let status = answer.status();
        let body = answer.text().await.map_err(|error| error.to_string())?;
        if status != 200 || !body.contains("Welcome") {
            return Err(format!("{status}: {body}"));
        }
        answered += 1;
        if unready.is_none() && api.probe("/readyz").await == 503 {
            unready = Some(Instant::now());
        }
    }
    Ok(answered)
}

#[tokio::test]
async fn under_load_no_request_is_lost_and_every_hash_is_finished() {
    let postgres = Postgres::migrated().await;
    let api = Api::start(&postgres.url(), &BUSY).await;
    api.ready().await;
    api.tokens("guybrush").await;
    let credentials = json!({"username": "guybrush", "password": PASSWORD});
    // They are still hashing when the listener closes.
    let logins = (0..24).map(|_| async {
        tokio::time::sleep(Duration::from_millis(3_200)).await;
        api.post("/auth/login", &credentials)
            .await
            .status()
            .as_u16()
    });
    let ((), logins) = tokio::join!(ask_during_the_drain(&api), join_all(logins));
    assert_eq!(logins, [200; 24]);
    assert_ends_well(api).await;
}

#[tokio::test]
async fn under_load_no_request_is_lost_over_tls_either() {
    let postgres = Postgres::migrated().await;
    let server = TlsFiles::new(30);
    let settings = [&server.settings()[..], &BUSY].concat();
    let mut api = Api::start(&postgres.url(), &settings).await;
    api.trust(&server.authority.pem);
    api.ready().await;
    ask_during_the_drain(&api).await;
    assert_ends_well(api).await;
}

/// Who has not greeted yet holds nothing up.
#[tokio::test]
async fn a_handshake_that_was_not_begun_is_not_waited_for() {
    let server = TlsFiles::new(30);
    let settings = [&server.settings()[..], &[("DRAIN_DELAY", "1s")]].concat();
    let mut api = Api::start(NO_DATABASE, &settings).await;
    api.trust(&server.authority.pem);
    let silent = TcpStream::connect(("127.0.0.1", api.port)).await.unwrap();
    assert_eq!(api.get("/").await.status(), 200, "it was accepted before");
    api.signal("TERM");
    let (status, log) = api.ended(Duration::from_secs(10)).await;
    assert!(status.success(), "{status}");
    let cut_off = |line: &serde_json::Value| line["message"] == "requests were cut off";
    assert!(!log.iter().any(cut_off), "{log:?}");
    drop(silent);
}

const BUSY: [(&str, &str); 2] = [("DRAIN_DELAY", "3s"), ("HASH_THREADS", "1")];

/// Eight ask all the time, half of them over connections that stay.
async fn ask_during_the_drain(api: &Api) {
    let asking = (0..8).map(|n| ask_until_unready(api, n % 2 == 0));
    let signal = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        api.signal("TERM");
    };
    let (answered, ()) = tokio::join!(join_all(asking), signal);
    for answered in answered {
        let answered = answered.unwrap();
        assert!(answered > 1, "{answered}");
    }
}

async fn assert_ends_well(mut api: Api) {
    let (status, log) = api.ended(Duration::from_secs(10)).await;
    assert!(status.success(), "{status}");
    let cut_off = log
        .iter()
        .any(|line| line["message"] == "requests were cut off");
    assert!(!cut_off);
}

/// The server does not run while they connect and its time to listen ends, as
/// when the machine is busy: it finds both at once.
#[tokio::test]
async fn who_knocked_before_the_listener_closed_is_let_in() {
    let mut api = Api::start(NO_DATABASE, &[("DRAIN_DELAY", "1s")]).await;
    api.signal("TERM");
    api.logged("draining").await;
    api.signal("STOP");
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(("127.0.0.1", api.port)).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(request).await.unwrap();
        waiting.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    api.signal("CONT");
    for stream in waiting {
        let answer = rest(stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
    let (status, _) = api.ended(Duration::from_secs(10)).await;
    assert!(status.success(), "{status}");
}
