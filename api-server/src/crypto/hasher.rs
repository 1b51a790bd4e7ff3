//! Argon2id on a fixed set of threads, behind a queue that can be full.
//!
//! Hashing is the only thing here that is meant to be slow. On threads of its
//! own it cannot starve the others; a bounded number of them bounds the
//! memory; a bounded queue turns a flood into prompt refusals.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use tokio::sync::oneshot;

use super::phc::{Cost, LIVE, OUTPUT_BYTES, PasswordHash, SALT_BYTES};

/// What one thread's memory reserves of the address space, in blocks of 1 KiB:
/// more than it uses. glibc maps a request above 32 MiB afresh and unmaps it
/// when freed, whatever came before; a smaller one is kept in the heap from
/// the second time on, and idle memory would never go back to the system.
/// Pages that are never touched cost nothing.
const RESERVED_BLOCKS: usize = 33 * 1024;

/// What hashing may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many passwords are hashed at once.
    pub threads: usize,
    /// How many more may wait.
    pub queue: usize,
    /// How long a thread keeps its memory when there is nothing to hash.
    pub keep_memory: Duration,
}

impl Limits {
    /// So many threads and so much of a queue; memory is kept for 30 s.
    #[must_use]
    pub fn new(threads: usize, queue: usize) -> Self {
        let keep_memory = Duration::from_secs(30);
        Self {
            threads,
            queue,
            keep_memory,
        }
    }
}

/// The hashing threads, and the queue in front of them.
pub struct Hasher {
    shared: Arc<Shared>,
}

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HashError {
    /// The queue is full.
    #[error("too many passwords are waiting to be hashed")]
    Busy,
    /// The hasher has stopped, or argon2 refused its input.
    #[error("the password could not be hashed")]
    Failed,
}

/// What the queue looks like right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Jobs that wait for a thread.
    pub waiting: usize,
    /// Jobs that are being computed.
    pub running: usize,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    limits: Limits,
    waited: Box<dyn Fn(Duration) + Send + Sync>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    running: usize,
    closed: bool,
}

struct Job {
    password: SecretString,
    task: Task,
    queued: Instant,
}

enum Task {
    Hash {
        salt: [u8; SALT_BYTES],
        reply: oneshot::Sender<Result<PasswordHash, HashError>>,
    },
    Verify {
        expected: PasswordHash,
        reply: oneshot::Sender<Result<bool, HashError>>,
    },
}

impl Hasher {
    /// Starts the threads. `waited` is told how long each job waited for one.
    pub fn start(
        limits: Limits,
        waited: impl Fn(Duration) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            limits,
            waited: Box::new(waited),
        });
        let hasher = Self {
            shared: Arc::clone(&shared),
        };
        for number in 0..limits.threads {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name(format!("hash-{number}"))
                .spawn(move || work(&shared))?;
        }
        Ok(hasher)
    }

    /// Hashes a new password with this salt, which must be random.
    pub async fn hash(
        &self,
        password: SecretString,
        salt: [u8; SALT_BYTES],
    ) -> Result<PasswordHash, HashError> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(password, Task::Hash { salt, reply })?;
        answer.await.unwrap_or(Err(HashError::Failed))
    }

    /// Whether `password` is the one that `expected` was made from.
    pub async fn verify(
        &self,
        password: SecretString,
        expected: PasswordHash,
    ) -> Result<bool, HashError> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(password, Task::Verify { expected, reply })?;
        answer.await.unwrap_or(Err(HashError::Failed))
    }

    /// What the queue looks like right now.
    #[must_use]
    pub fn load(&self) -> Load {
        let queue = self.shared.lock();
        Load {
            waiting: queue.jobs.len(),
            running: queue.running,
        }
    }

    fn enqueue(&self, password: SecretString, task: Task) -> Result<(), HashError> {
        let mut queue = self.shared.lock();
        if queue.jobs.len() >= self.shared.limits.queue {
            return Err(HashError::Busy);
        }
        queue.jobs.push_back(Job {
            password,
            task,
            queued: Instant::now(),
        });
        drop(queue);
        self.shared.wake.notify_one();
        Ok(())
    }
}

/// The threads finish what is queued and then end; nobody waits for them.
impl Drop for Hasher {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
    }
}

impl Shared {
    /// A thread that panicked left the queue whole: nothing is half-done
    /// under this lock.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thread: takes jobs, keeps its memory between them, gives it back when
/// there have been none for a while.
fn work(shared: &Shared) {
    let mut memory: Vec<Block> = Vec::new();
    while let Some(job) = next_job(shared, &mut memory) {
        if job.is_wanted() {
            (shared.waited)(job.queued.elapsed());
            if memory.is_empty() {
                memory = reserve();
            }
            run(job, &mut memory);
        }
        shared.lock().running -= 1;
    }
}

fn next_job(shared: &Shared, memory: &mut Vec<Block>) -> Option<Job> {
    let mut queue = shared.lock();
    loop {
        if let Some(job) = queue.jobs.pop_front() {
            queue.running += 1;
            return Some(job);
        }
        if queue.closed {
            return None;
        }
        if memory.is_empty() {
            queue = shared
                .wake
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        let (woken, timeout) = shared
            .wake
            .wait_timeout(queue, shared.limits.keep_memory)
            .unwrap_or_else(PoisonError::into_inner);
        queue = woken;
        if timeout.timed_out() && queue.jobs.is_empty() {
            *memory = Vec::new();
        }
    }
}

fn reserve() -> Vec<Block> {
    let blocks = usize::try_from(LIVE.memory_kib).unwrap_or(0);
    let mut memory = Vec::with_capacity(RESERVED_BLOCKS.max(blocks));
    memory.resize(blocks, Block::new());
    memory
}

impl Job {
    /// Nobody waits for the answer any more: the client has gone.
    fn is_wanted(&self) -> bool {
        match &self.task {
            Task::Hash { reply, .. } => !reply.is_closed(),
            Task::Verify { reply, .. } => !reply.is_closed(),
        }
    }
}

/// Computes one job. A receiver that has gone meanwhile is no error.
fn run(job: Job, memory: &mut [Block]) {
    let password = job.password.expose_secret().as_bytes();
    match job.task {
        Task::Hash { salt, reply } => {
            let mut output = vec![0; OUTPUT_BYTES];
            let result = argon2id(LIVE, password, &salt, &mut output, memory);
            let _ = reply.send(result.map(|()| PasswordHash {
                cost: LIVE,
                salt: salt.to_vec(),
                output,
            }));
        }
        Task::Verify { expected, reply } => {
            let mut output = vec![0; expected.output.len()];
            let result = argon2id(expected.cost, password, &expected.salt, &mut output, memory);
            let _ = reply.send(result.map(|()| equal(&output, &expected.output)));
        }
    }
}

fn argon2id(
    cost: Cost,
    password: &[u8],
    salt: &[u8],
    output: &mut [u8],
    memory: &mut [Block],
) -> Result<(), HashError> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(output.len()))
        .map_err(|_| HashError::Failed)?;
    let blocks = memory
        .get_mut(..params.block_count())
        .ok_or(HashError::Failed)?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(password, salt, output, blocks)
        .map_err(|_| HashError::Failed)
}

/// Compares without stopping at the first difference.
fn equal(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left
            .iter()
            .zip(right)
            .fold(0, |differences, (l, r)| differences | (l ^ r))
            == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher(threads: usize, queue: usize) -> Hasher {
        Hasher::start(Limits::new(threads, queue), |_| {}).unwrap()
    }

    #[tokio::test]
    async fn a_password_verifies_against_its_own_hash_only() {
        let hasher = hasher(1, 4);
        let hash = hasher.hash("securepass".into(), [7; 16]).await.unwrap();
        assert_eq!(hash.cost, LIVE);
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
        let hasher = hasher(1, 64);
        let started = Instant::now();
        for _ in 0..50 {
            let job = hasher.hash("securepass".into(), [0; 16]);
            drop(tokio::time::timeout(Duration::from_nanos(1), job).await);
        }
        hasher.hash("securepass".into(), [0; 16]).await.unwrap();
        // Fifty hashes would take the better part of a second at least.
        assert!(
            started.elapsed() < Duration::from_millis(500),
            "{:?}",
            started.elapsed()
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
}
