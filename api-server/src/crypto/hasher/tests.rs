use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn hasher(threads: usize, queue: usize) -> Hasher {
    Hasher::start(Limits::new(threads, queue), |_| {}).unwrap()
}

#[tokio::test]
async fn a_password_verifies_against_its_own_hash_only() {
    let hasher = hasher(1, 4);
    let hash = hasher.hash("securepass".into(), [7; 16]).await.unwrap();
    assert!(hash.is_live());
    let text = hash.to_string();
    let stored = PasswordHash::parse(&text).unwrap();
    assert_eq!(
        hasher.verify("securepass".into(), stored.clone()).await,
        Ok(true)
    );
    assert_eq!(hasher.verify("securepasS".into(), stored).await, Ok(false));
    let nobody = PasswordHash::of_nobody();
    assert_eq!(hasher.verify("securepass".into(), nobody).await, Ok(false));
}

/// Computed with the reference implementation's command line:
/// `echo -n password | argon2 somesaltsomesalt -id -t 2 -k 19456 -p 1 -e`.
#[tokio::test]
async fn foreign_hashes_of_the_same_kind_verify() {
    let hasher = hasher(1, 4);
    let text = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$K13EBUiG7JV+9ZxztmHFTdb7J0WQsnj2V8bZaqyPptE";
    let stored = PasswordHash::parse(text).unwrap();
    assert_eq!(hasher.verify("password".into(), stored).await, Ok(true));
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let hasher = Arc::new(hasher(1, 2));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let hasher = Arc::clone(&hasher);
        tasks.spawn(async move { hasher.hash("securepass".into(), [0; 16]).await });
    }
    let results: Vec<_> = tasks.join_all().await;
    let refused = results
        .iter()
        .filter(|r| matches!(r, Err(HashError::Busy)))
        .count();
    let done = results.iter().filter(|r| r.is_ok()).count();
    assert_eq!(refused + done, 20);
    assert!(refused >= 10, "{refused} refused");
    assert!(done >= 2, "{done} done");
}

#[tokio::test]
async fn a_job_nobody_waits_for_is_not_computed() {
    let computed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&computed);
    let hasher = Hasher::start(Limits::new(1, 64), move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    })
    .unwrap();
    for _ in 0..50 {
        let job = hasher.hash("securepass".into(), [0; 16]);
        drop(tokio::time::timeout(Duration::from_nanos(1), job).await);
    }
    hasher.hash("securepass".into(), [0; 16]).await.unwrap();
    // The thread may have begun with one before it was given up.
    let computed = computed.load(Ordering::Relaxed);
    assert!(
        (1..25).contains(&computed),
        "{computed} of 51 were computed"
    );
    assert_eq!(hasher.load().waiting, 0);
}

#[tokio::test]
async fn queued_jobs_are_finished_after_the_hasher_is_dropped() {
    let hasher = hasher(1, 8);
    let (reply, answer) = oneshot::channel();
    let task = Task::Hash {
        salt: [0; 16],
        reply,
    };
    hasher.enqueue("securepass".into(), task).unwrap();
    drop(hasher);
    assert!(answer.await.unwrap().is_ok());
}

async fn matches(hasher: &Hasher, password: &str, text: &str) -> bool {
    let stored = PasswordHash::parse(text).ok().unwrap();
    hasher.verify(password.into(), stored).await.unwrap()
}

/// Computed with argon2-cffi 25.1 (the reference implementation in C).
#[tokio::test]
async fn argon2_of_other_kinds_and_costs_verifies() {
    let hasher = hasher(1, 4);
    for text in [
        "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$gduXp+Z6iReEolmbyHn5V8s1EtJzmEvZfYoY/Fn/AeI",
        "$argon2id$v=19$m=102400,t=2,p=8$c29tZXNhbHRzb21lc2FsdA$L14meSyLDe/GK8iWC8KUjA",
        "$argon2i$v=19$m=4096,t=3,p=1$c29tZXNhbHRzb21lc2FsdA$iDoHsJkczCNRjwISH0IL7Bxa65e7yZ8nY0yRqC+7Odw",
        "$argon2d$v=19$m=512,t=2,p=2$c29tZXNhbHRzb21lc2FsdA$5l0mhFaIJucnUmFa3e6FVFo8//ng4YCgWdo6oyEg/Bw",
        "$argon2i$v=16$m=512,t=2,p=2$c29tZXNhbHRzb21lc2FsdA$shro5wDeYLT8g5iw3G6VCyy8m/4BUsmZg42rW7xiwGM",
        "$argon2i$m=512,t=2,p=2$c29tZXNhbHRzb21lc2FsdA$shro5wDeYLT8g5iw3G6VCyy8m/4BUsmZg42rW7xiwGM",
    ] {
        assert!(matches(&hasher, "password", text).await, "{text}");
        assert!(!matches(&hasher, "Password", text).await, "{text}");
    }
}

/// Computed with bcrypt 5.0 for Python.
#[tokio::test]
async fn bcrypt_verifies() {
    let hasher = hasher(1, 4);
    for (password, text) in [
        (
            "securepass",
            "$2b$04$BdjZCX3YVK3Q3tbs6hcatuCQxiv3BytFNykn.UrHAyPAX0mM3nhAO",
        ),
        (
            "securepass",
            "$2a$04$RO83ZC1jmVLWm3lD5Iws/OEREajVrrsBv0vaAHP9lroFerBS9J9Z2",
        ),
        (
            "pässwörd ☃",
            "$2b$04$ZFLv/f/0n4bwKFf6vqdr0eP5pOSYmOOs1Bg6uGtbwH3Q2VK0C.Tt2",
        ),
    ] {
        assert!(matches(&hasher, password, text).await, "{text}");
        assert!(
            !matches(&hasher, &format!("{password} "), text).await,
            "{text}"
        );
        assert!(!matches(&hasher, "", text).await, "{text}");
    }
}

#[tokio::test]
async fn bcrypt_looks_at_the_first_72_bytes_as_it_always_did() {
    let hasher = hasher(1, 4);
    let of_72 = "$2b$04$Up1ujhP7CEkWLM56D364Ser3bLbGismiCcCFCncyWJU2Zy2gDpBNu";
    assert!(!matches(&hasher, &"x".repeat(71), of_72).await);
    assert!(matches(&hasher, &"x".repeat(72), of_72).await);
    assert!(matches(&hasher, &format!("{}, and more", "x".repeat(72)), of_72).await);
    assert!(matches(&hasher, &"x".repeat(1_000), of_72).await);
}

#[tokio::test]
async fn a_nul_makes_no_second_password_of_a_bcrypt_hash() {
    let hasher = hasher(1, 4);
    let of_a = "$2b$04$abcdefghijklmnopqrstuuMFdJu9yVgmagVAIC24fOZkaFqd3s9JC";
    assert!(matches(&hasher, "a", of_a).await);
    for password in ["a\0a", "a\0", "\0", "a\0b"] {
        assert!(!matches(&hasher, password, of_a).await, "{password:?}");
    }
}

/// A hash that takes the 64 MiB of RFC 9106, but one pass.
const LARGE: &str = "$argon2id$v=19$m=65536,t=1,p=4$c29tZXNhbHRzb21lc2FsdA$gduXp+Z6iReEolmbyHn5V8s1EtJzmEvZfYoY/Fn/AeI";

#[tokio::test]
async fn large_hashes_wait_until_there_is_memory_and_give_it_back() {
    // Room for one large hash, or for three live ones.
    let limits = Limits {
        keep_memory: Duration::from_millis(50),
        ..Limits::new(3, 256).within(64 * 1024)
    };
    let hasher = Arc::new(Hasher::start(limits, |_| {}).unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40 {
        let hasher = Arc::clone(&hasher);
        tasks.spawn(async move {
            if number % 8 == 3 {
                let stored = PasswordHash::parse(LARGE).ok().unwrap();
                hasher.verify("wrong".into(), stored).await == Ok(false)
            } else {
                hasher.hash("securepass".into(), [0; 16]).await.is_ok()
            }
        });
    }
    let (mut most, mut done) = (0, 0);
    while !tasks.is_empty() {
        most = most.max(hasher.shared.lock().held_kib);
        let next = tokio::time::timeout(Duration::from_millis(1), tasks.join_next());
        if let Ok(Some(answer)) = next.await {
            assert!(answer.unwrap());
            done += 1;
        }
    }
    assert_eq!(done, 40);
    assert!(most <= limits.memory_kib, "{most} KiB");
    assert_eq!(most, 64 * 1024, "a large hash was seen");
    // Given back when idle; a test that waits for ever has failed.
    while hasher.shared.lock().held_kib > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn what_no_memory_is_there_for_is_not_computed() {
    let limits = Limits::new(1, 4).within(32 * 1024);
    let hasher = Hasher::start(limits, |_| {}).unwrap();
    let stored = PasswordHash::parse(LARGE).ok().unwrap();
    assert!(!hasher.can_verify(&stored));
    let answer = hasher.verify("password".into(), stored).await;
    assert_eq!(answer, Err(HashError::Failed));
    assert!(hasher.can_verify(&PasswordHash::of_nobody()));
    assert_eq!(Limits::new(2, 4).within(0).memory_kib, 2 * 19_456);
}
