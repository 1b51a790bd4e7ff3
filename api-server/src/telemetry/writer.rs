//! Log lines on their way to standard output, by a thread of their own.
//!
//! Writing a line at a time costs a system call per request, and whoever reads
//! the other end slowly would hold up every request. Here lines gather for a
//! moment and go out together; where nobody reads, they are dropped and counted
//! rather than waited for.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tracing_subscriber::fmt::MakeWriter;

/// How long lines gather before they are written.
const GATHER: Duration = Duration::from_millis(2);
/// The most bytes that wait to be written; lines beyond it are dropped.
const CAPACITY: usize = 4 * 1024 * 1024;
/// A larger buffer is not kept for the next time.
const KEEP: usize = 256 * 1024;
/// How long the end of the process waits for the last lines to be taken.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Takes lines. Cheap to clone.
#[derive(Clone)]
pub(super) struct LineWriter(Arc<Shared>);

/// Writes what is left when it is dropped: whoever holds it holds the log open.
#[must_use = "dropping it ends the log"]
pub(super) struct LogGuard {
    shared: Arc<Shared>,
    thread: thread::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    dropped: u64,
    closed: bool,
}

/// Starts the thread that writes to `output`.
pub(super) fn start(output: impl Write + Send + 'static) -> io::Result<(LineWriter, LogGuard)> {
    let shared = Arc::new(Shared::default());
    let thread = thread::Builder::new().name("log".into()).spawn({
        let shared = Arc::clone(&shared);
        move || write_out(&shared, output)
    })?;
    let writer = LineWriter(Arc::clone(&shared));
    Ok((writer, LogGuard { shared, thread }))
}

impl Shared {
    /// A thread that panicked while it logged left whole lines behind.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for LineWriter {
    /// Takes a whole line, which is what the formatter writes at once.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.lock();
        let was_empty = waiting.bytes.is_empty();
        if waiting.bytes.len() + line.len() > CAPACITY {
            waiting.dropped += 1;
        } else {
            waiting.bytes.extend_from_slice(line);
        }
        drop(waiting);
        if was_empty {
            self.0.wake.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LineWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn write_out(shared: &Shared, mut output: impl Write) {
    let mut lines = Vec::new();
    loop {
        let mut waiting = shared.lock();
        while waiting.bytes.is_empty() && waiting.dropped == 0 && !waiting.closed {
            waiting = shared
                .wake
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if !waiting.closed {
            drop(waiting);
            thread::sleep(GATHER);
            waiting = shared.lock();
        }
        mem::swap(&mut lines, &mut waiting.bytes);
        let dropped = mem::take(&mut waiting.dropped);
        let last = waiting.closed && lines.is_empty();
        drop(waiting);
        // Where standard output is closed, there is nobody to tell.
        let _ = output.write_all(&lines);
        if dropped > 0 {
            let _ = writeln!(
                output,
                r#"{{"level":"WARN","message":"log lines were dropped: nobody reads them","count":{dropped}}}"#
            );
        }
        let _ = output.flush();
        if last {
            return;
        }
        lines.clear();
        lines.shrink_to(KEEP);
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_one();
        // Bounded, because whoever reads may have stopped reading.
        let deadline = Instant::now() + LAST_WORDS;
        while !self.thread.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// An output that passes on what it gets, once somebody lets it.
    struct Slow {
        written: mpsc::Sender<Vec<u8>>,
        gate: mpsc::Receiver<()>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.gate.recv();
            let _ = self.written.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_arrives_in_order_also_the_last() {
        let memory = Memory::default();
        let (mut writer, guard) = start(memory.clone()).unwrap();
        let mut expected = String::new();
        for number in 0..1_000 {
            let line = format!("line {number}\n");
            writer.write_all(line.as_bytes()).unwrap();
            expected += &line;
        }
        drop(guard);
        let written = memory.0.lock().unwrap();
        assert_eq!(String::from_utf8_lossy(&written), expected);
    }

    #[test]
    fn a_reader_that_stands_still_holds_nobody_up() {
        let (gate, closed) = mpsc::channel();
        let (written, output) = mpsc::channel();
        let slow = Slow {
            written,
            gate: closed,
        };
        let (mut writer, guard) = start(slow).unwrap();
        let line = vec![b'x'; 1024 * 1024];
        let started = Instant::now();
        for _ in 0..20 {
            writer.write_all(&line).unwrap();
        }
        assert!(started.elapsed() < Duration::from_secs(5));
        drop(gate);
        drop(guard);
        let all: Vec<u8> = output.iter().flatten().collect();
        let text = String::from_utf8_lossy(&all);
        assert!(text.contains("log lines were dropped"), "the loss is told");
        assert!(text.len() < 12 * 1024 * 1024);
    }
}
