//! Idle memory goes back to the system: alone in its process, so that nothing
//! else moves the figure.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::time::{Duration, Instant};

use authstack_api::crypto::{
    hasher::{Hasher, Limits},
    phc::PasswordHash,
};

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

/// Resident memory, once it is as low as this; or else after ten seconds.
async fn settled(low: u64) -> u64 {
    let started = Instant::now();
    while resident() > low && started.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    resident()
}

#[tokio::test]
async fn idle_memory_goes_back_to_the_system_every_time() {
    let limits = Limits {
        // Longer than a busy machine takes for the last of a few hashes.
        keep_memory: Duration::from_secs(1),
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
        let idle = settled(before + 4).await;
        assert!(
            idle <= before + 4,
            "round {round}: {before} MiB, then {idle} MiB"
        );
    }
    // A foreign hash takes more, for as long as it is computed and no longer.
    let foreign = "$argon2id$v=19$m=102400,t=2,p=8$c29tZXNhbHRzb21lc2FsdA$L14meSyLDe/GK8iWC8KUjA";
    let foreign = PasswordHash::parse(foreign).unwrap_or_else(|error| panic!("{error}"));
    for round in 0..3 {
        let answer = hasher.verify("password".into(), foreign.clone()).await;
        assert_eq!(answer, Ok(true));
        let started = Instant::now();
        let after = settled(before + 4).await;
        assert!(
            started.elapsed() < Duration::from_millis(900),
            "kept while idle, as only a live hash's is"
        );
        assert!(
            after <= before + 4,
            "foreign, round {round}: {before} MiB, then {after} MiB"
        );
    }
}
