//! Which threads are there.

use std::time::Instant;

use crate::sync::{Condvar, Mutex, thread, wait_for};

/// Which threads are still there, and who closes up behind the last of them.
#[derive(Debug)]
pub(crate) struct Attendance {
    book: Mutex<Book>,
    changed: Condvar,
}

#[derive(Debug)]
struct Book {
    present: usize,
    /// The closer waits no longer: the last to leave closes up.
    abandoned: bool,
    /// To be joined by the closer; those that have ended are let go of before.
    threads: Vec<thread::JoinHandle<()>>,
}

impl Attendance {
    pub(super) fn new() -> Self {
        let book = Book { present: 0, abandoned: false, threads: Vec::new() };
        Attendance { book: Mutex::new(book), changed: Condvar::new() }
    }

    pub(crate) fn enter(&self) {
        self.book.lock().present += 1;
    }

    /// A thread has been started.
    pub(crate) fn file(&self, started: thread::JoinHandle<()>) {
        let mut book = self.book.lock();
        let (ended, threads) = std::mem::take(&mut book.threads).into_iter().partition(thread::is_finished);
        book.threads = threads;
        book.threads.push(started);
        drop(book);
        // Not joined: a thread that has ended may still be in the destructors of its locals, which are user code.
        let ended: Vec<_> = ended;
        drop(ended);
    }

    /// Hands out all threads that may not have ended.
    pub(crate) fn take_threads(&self) -> Vec<thread::JoinHandle<()>> {
        std::mem::take(&mut self.book.lock().threads)
    }

    /// A thread leaves. True if it has to close up.
    #[must_use]
    pub(crate) fn leave(&self) -> bool {
        let mut book = self.book.lock();
        book.present -= 1;
        self.changed.notify_all();
        book.present == 0 && book.abandoned
    }

    /// Waits until nobody is there. False if the deadline came first: then the last to leave closes up.
    #[must_use]
    pub(crate) fn wait_until_empty(&self, deadline: Option<Instant>) -> bool {
        let mut book = self.book.lock();
        let empty = wait_for(&self.changed, &mut book, deadline, |book| book.present == 0);
        book.abandoned |= !empty;
        empty
    }
}
