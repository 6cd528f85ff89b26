//! A word to sleep on, made of a lock and a condition variable: for platforms without a futex, and
//! for the models.

use std::time::Instant;

use super::atomic::{AtomicU32, Ordering};
use super::{Condvar, Mutex};

/// A word on which its owner can wait.
#[derive(Debug)]
pub(crate) struct Futex {
    word: AtomicU32,
    gate: Mutex<()>,
    woken: Condvar,
}

impl Futex {
    pub(crate) fn new(value: u32) -> Self {
        Futex { word: AtomicU32::new(value), gate: Mutex::new(()), woken: Condvar::new() }
    }

    pub(crate) fn atomic(&self) -> &AtomicU32 {
        &self.word
    }

    /// Sleeps while the word is `value`. Returns on [`Futex::wake`], at the deadline, or
    /// spuriously.
    pub(crate) fn wait(&self, value: u32, deadline: Option<Instant>) {
        let mut gate = self.gate.lock();
        // Ordering: Acquire — the waker changed the word before it took the lock in `Futex::wake`.
        if self.word.load(Ordering::Acquire) != value {
            return;
        }
        match deadline {
            None => self.woken.wait(&mut gate),
            Some(deadline) => {
                self.woken.wait_until(&mut gate, deadline);
            }
        }
    }

    /// Wakes the owner if it waits.
    pub(crate) fn wake(&self) {
        // The lock orders this after the owner's check of the word. The owner waits already, or
        // sees the change.
        drop(self.gate.lock());
        self.woken.notify_one();
    }
}
