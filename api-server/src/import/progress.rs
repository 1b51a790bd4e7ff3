//! How far the import is: a bar on a terminal, a line now and then elsewhere.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(10);

/// Tells how far the import is, on standard error.
pub struct Progress {
    shown: Shown,
}

enum Shown {
    Nothing,
    Bar(ProgressBar),
    Lines(Lines),
}

struct Lines {
    what: &'static str,
    done: u64,
    of: Option<u64>,
    next: Instant,
}

impl Progress {
    /// A bar where standard error is a terminal, and lines elsewhere.
    #[must_use]
    pub fn on_stderr() -> Self {
        let shown = if io::stderr().is_terminal() {
            Shown::Bar(ProgressBar::new_spinner())
        } else {
            Shown::Lines(Lines {
                what: "read",
                done: 0,
                of: None,
                next: Instant::now() + EVERY,
            })
        };
        Self { shown }
    }

    /// Nothing at all.
    #[must_use]
    pub fn hidden() -> Self {
        Self {
            shown: Shown::Nothing,
        }
    }

    /// Rows are read from now on: nobody knows how many.
    pub(super) fn reading(&mut self) {
        self.phase("read", None);
    }

    /// So many rows are written from now on.
    pub(super) fn writing(&mut self, rows: u64) {
        self.phase("imported", Some(rows));
    }

    /// So many more are done.
    pub(super) fn advance(&mut self, rows: usize) {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => bar.inc(rows),
            Shown::Lines(lines) => {
                lines.done += rows;
                if Instant::now() >= lines.next {
                    lines.tell();
                }
            }
        }
    }

    /// All is done.
    pub(super) fn finish(&mut self) {
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => bar.finish_and_clear(),
            Shown::Lines(lines) => lines.tell(),
        }
    }

    fn phase(&mut self, what: &'static str, of: Option<u64>) {
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => {
                bar.finish_and_clear();
                *bar = new_bar(what, of);
            }
            Shown::Lines(lines) => {
                if lines.done > 0 {
                    lines.tell();
                }
                (lines.what, lines.done, lines.of) = (what, 0, of);
            }
        }
    }
}

impl Lines {
    /// Writes a line. Where nobody reads them any more, the import goes on.
    fn tell(&mut self) {
        let (what, done) = (self.what, self.done);
        let of = self.of.map(|of| format!(" of {of}")).unwrap_or_default();
        let _ = writeln!(io::stderr(), "{what} {done}{of} rows");
        self.next = Instant::now() + EVERY;
    }
}

fn new_bar(what: &'static str, of: Option<u64>) -> ProgressBar {
    let (bar, template) = match of {
        Some(of) => (
            ProgressBar::new(of),
            "{msg} {human_pos} of {human_len} [{wide_bar}] {per_sec}, {eta} left",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{msg} {human_pos} {spinner} {per_sec}",
        ),
    };
    // The template is a constant; were it wrong, the default would do.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.with_message(what)
}
