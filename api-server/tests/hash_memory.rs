//! Idle memory goes back to the system: alone in its process, so that nothing
//! else moves the figure.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::time::Duration;

use authstack_api::crypto::hasher::{Hasher, Limits};

/// Resident memory, in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib: u64 = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib / 1024
}

#[tokio::test]
async fn idle_memory_goes_back_to_the_system_every_time() {
    let limits = Limits {
        keep_memory: Duration::from_millis(100),
        ..Limits::new(4, 64)
    };
    let before = resident();
    let hasher = Hasher::start(limits, |_| {}).unwrap();
    // More than once: the allocator behaves differently from the second time.
    for round in 0..3 {
        let jobs = (0..16).map(|_| hasher.hash("securepass".into(), [0; 16]));
        let results = futures::future::join_all(jobs).await;
        assert!(results.iter().all(Result::is_ok));
        let busy = resident();
        assert!(busy >= before + 4 * 19, "{before} MiB, then {busy} MiB");
        tokio::time::sleep(Duration::from_millis(600)).await;
        let idle = resident();
        assert!(
            idle <= before + 4,
            "round {round}: {before} MiB, then {idle} MiB"
        );
    }
}
