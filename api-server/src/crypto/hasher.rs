//! Argon2id on a fixed set of threads, behind a queue that can be full.
//!
//! Hashing is the only thing here that is meant to be slow. On threads of its
//! own it cannot starve the others; a bounded number of them bounds the
//! memory; a bounded queue turns a flood into prompt refusals.
//!
//! A hash that was made elsewhere may take more memory than ours. It is
//! computed when all that the threads hold, it included, is within
//! [`Limits::memory_kib`], and its memory is given back at once.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use tokio::sync::oneshot;
use tracing::Span;

use crate::telemetry::spans;

use super::phc::{LIVE, MAX_MEMORY_KIB, PasswordHash, SALT_BYTES};
use memory::Memory;

mod compute;
mod memory;

/// What hashing may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many passwords are hashed at once.
    pub threads: usize,
    /// How many more may wait.
    pub queue: usize,
    /// How long a thread keeps its memory when there is nothing to hash.
    pub keep_memory: Duration,
    /// How much memory all threads together may hold, in KiB; never less than
    /// one live hash each.
    pub memory_kib: u64,
}

impl Limits {
    /// So many threads and so much of a queue; memory is kept for 30 s, and
    /// every thread may take as much as the largest hash.
    #[must_use]
    pub fn new(threads: usize, queue: usize) -> Self {
        Self {
            threads,
            queue,
            keep_memory: Duration::from_secs(30),
            memory_kib: kib(threads, MAX_MEMORY_KIB),
        }
    }

    /// The same within so much memory, in KiB.
    #[must_use]
    pub fn within(self, memory_kib: u64) -> Self {
        let memory_kib = memory_kib
            .min(kib(self.threads, MAX_MEMORY_KIB))
            .max(kib(self.threads, LIVE.memory_kib));
        Self { memory_kib, ..self }
    }
}

fn kib(threads: usize, each: u32) -> u64 {
    u64::try_from(threads)
        .unwrap_or(u64::MAX)
        .saturating_mul(u64::from(each))
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
    /// What the threads hold, in KiB, whether they use it or keep it.
    held_kib: u64,
}

struct Job {
    password: SecretString,
    task: Task,
    queued: Instant,
    span: Span,
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

    /// Whether there is memory enough to verify against this hash at all.
    #[must_use]
    pub fn can_verify(&self, expected: &PasswordHash) -> bool {
        u64::from(expected.memory_kib()) <= self.shared.limits.memory_kib
    }

    /// Whether `password` is the one that `expected` was made from. What
    /// [`Self::can_verify`] denies is refused.
    pub async fn verify(
        &self,
        password: SecretString,
        expected: PasswordHash,
    ) -> Result<bool, HashError> {
        if !self.can_verify(&expected) {
            return Err(HashError::Failed);
        }
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
            span: spans::password_hash(),
        });
        drop(queue);
        // All of them: the one that is woken may lack the memory for this job,
        // and another have it.
        self.shared.wake.notify_all();
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
    let mut memory = Memory::default();
    while let Some(job) = next_job(shared, &mut memory) {
        if job.is_wanted() {
            let waited = job.queued.elapsed();
            (shared.waited)(waited);
            job.span
                .record("queue_wait_ms", waited.as_secs_f64() * 1000.0);
            run(job, &mut memory);
        }
        let mut queue = shared.lock();
        queue.running -= 1;
        if memory.granted_kib > u64::from(LIVE.memory_kib) {
            release(shared, &mut queue, &mut memory);
        }
    }
}

fn next_job(shared: &Shared, memory: &mut Memory) -> Option<Job> {
    let idle_since = Instant::now();
    let mut queue = shared.lock();
    loop {
        if let Some(job) = queue.jobs.front() {
            let needed = job.memory_kib();
            if admit(shared, &mut queue, memory, needed) {
                queue.running += 1;
                // The next in line may fit beside this one.
                shared.wake.notify_all();
                return queue.jobs.pop_front();
            }
            // In turn, so that a large one is not overtaken for ever. What
            // this thread keeps may be what stands in its way.
            release(shared, &mut queue, memory);
        } else if queue.closed {
            return None;
        }
        queue = if memory.granted_kib == 0 {
            let woken = shared.wake.wait(queue);
            woken.unwrap_or_else(PoisonError::into_inner)
        } else {
            let left = shared
                .limits
                .keep_memory
                .saturating_sub(idle_since.elapsed());
            let woken = shared.wake.wait_timeout(queue, left);
            let (mut queue, timeout) = woken.unwrap_or_else(PoisonError::into_inner);
            if timeout.timed_out() && queue.jobs.is_empty() {
                release(shared, &mut queue, memory);
            }
            queue
        };
    }
}

/// Grants a thread the memory for its next job, if that is within the limit
/// beside what the others hold.
fn admit(shared: &Shared, queue: &mut Queue, memory: &mut Memory, needed_kib: u64) -> bool {
    if needed_kib <= memory.granted_kib {
        return true;
    }
    let target = needed_kib.max(u64::from(LIVE.memory_kib));
    let others = queue.held_kib - memory.granted_kib;
    if others + target > shared.limits.memory_kib {
        return false;
    }
    queue.held_kib = others + target;
    memory.grant(target);
    true
}

/// Gives a thread's memory back, and tells those who wait for it.
fn release(shared: &Shared, queue: &mut Queue, memory: &mut Memory) {
    if memory.granted_kib > 0 {
        queue.held_kib -= memory.granted_kib;
        memory.grant(0);
        shared.wake.notify_all();
    }
}

impl Job {
    /// Nobody waits for the answer any more: the client has gone.
    fn is_wanted(&self) -> bool {
        match &self.task {
            Task::Hash { reply, .. } => !reply.is_closed(),
            Task::Verify { reply, .. } => !reply.is_closed(),
        }
    }

    fn memory_kib(&self) -> u64 {
        u64::from(match &self.task {
            Task::Hash { .. } => LIVE.memory_kib,
            Task::Verify { expected, .. } => expected.memory_kib(),
        })
    }
}

/// Computes one job. A receiver that has gone meanwhile is no error.
fn run(job: Job, memory: &mut Memory) {
    let password = job.password.expose_secret().as_bytes();
    match job.task {
        Task::Hash { salt, reply } => {
            let _ = reply.send(compute::hash(password, &salt, memory));
        }
        Task::Verify { expected, reply } => {
            let _ = reply.send(compute::verify(password, &expected, memory));
        }
    }
}

#[cfg(test)]
mod tests;
