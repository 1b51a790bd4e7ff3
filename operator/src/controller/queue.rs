//! Which stacks wait for their reconcile. The library's own queue tells nobody.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::metrics;
use crate::reconcile::children::StackKey;

/// The stacks that something happened to and whose reconcile has not begun.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashSet<StackKey>,
    /// Something left the queue since somebody last asked.
    moved: bool,
}

impl Queue {
    /// Something happened to a stack.
    pub(super) fn enter(&self, stack: StackKey) {
        if self.lock().waiting.insert(stack) {
            metrics::add_waiting(1);
        }
    }

    /// Its reconcile begins, or will never begin because the stack is gone.
    pub(super) fn leave(&self, stack: &StackKey) {
        let mut state = self.lock();
        state.moved = true;
        if state.waiting.remove(stack) {
            metrics::add_waiting(-1);
        }
    }

    /// Whether nothing waits, or something left since this was last asked.
    pub(super) fn moves(&self) -> bool {
        let mut state = self.lock();
        std::mem::take(&mut state.moved) || state.waiting.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let waiting = self.lock().waiting.len();
        metrics::add_waiting(-i32::try_from(waiting).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_moves_while_it_is_empty_or_something_leaves_it() {
        let key = |name: &str| StackKey {
            namespace: "space".to_owned(),
            name: name.to_owned(),
        };
        let queue = Queue::default();
        assert!(queue.moves(), "idle");
        queue.enter(key("a"));
        queue.enter(key("a"));
        queue.enter(key("b"));
        assert!(!queue.moves());
        queue.leave(&key("a"));
        assert!(queue.moves());
        assert!(!queue.moves(), "b still waits");
        queue.leave(&key("b"));
        assert!(queue.moves() && queue.moves());
    }
}
