//! Whether a drain's deadline thread is wanted, is being started, or has been started.

use std::time::{Duration, Instant};

use crate::primitive::thread;

/// The state of the deadline thread. The lock of the drain state protects it.
#[derive(Debug)]
pub(crate) enum DeadlineThread {
    /// No thread has been started.
    Wanted {
        /// When the system has refused it last.
        refused_at: Option<Instant>,
    },
    /// A thread is starting it.
    Starting,
    /// It runs, or has ended; the closer joins it.
    Started(thread::JoinHandle<()>),
    /// The closer has taken the handle.
    Taken,
}

/// Next step of a thread that relies on the deadline of a drain. Returned by
/// [`DeadlineThread::claim`].
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeadlineClaim {
    /// Start the deadline thread, and store the result.
    Start,
    /// Do what is due: the system has just refused the thread, or another thread starts it.
    DoDueWork,
    /// Nothing: no drain is pending, or there is a thread.
    Nothing,
}

impl DeadlineThread {
    pub(crate) fn new() -> Self {
        DeadlineThread::Wanted { refused_at: None }
    }

    /// Returns the state after a start at `now`. `None` means that the system has refused it.
    pub(crate) fn of(started: Option<thread::JoinHandle<()>>, now: Instant) -> Self {
        started.map_or(DeadlineThread::Wanted { refused_at: Some(now) }, DeadlineThread::Started)
    }

    /// Claims the start of a thread that is wanted. No claim succeeds until `retry_interval` after
    /// a refusal.
    pub(crate) fn claim(&mut self, now: Instant, retry_interval: Duration) -> DeadlineClaim {
        let refused_at = match *self {
            DeadlineThread::Wanted { refused_at } => refused_at,
            // The system may take long, and the deadline does not wait for it.
            DeadlineThread::Starting => return DeadlineClaim::DoDueWork,
            DeadlineThread::Started(_) | DeadlineThread::Taken => return DeadlineClaim::Nothing,
        };
        if refused_at.is_some_and(|at| now.saturating_duration_since(at) < retry_interval) {
            return DeadlineClaim::DoDueWork;
        }
        *self = DeadlineThread::Starting;
        DeadlineClaim::Start
    }

    /// Returns whether no thread is known to run.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, DeadlineThread::Wanted { .. } | DeadlineThread::Starting)
    }

    pub(crate) fn is_being_started(&self) -> bool {
        matches!(self, DeadlineThread::Starting)
    }

    /// Returns the handle of a thread that has been started, once. No claim succeeds afterwards.
    pub(crate) fn take(&mut self) -> Option<thread::JoinHandle<()>> {
        match std::mem::replace(self, DeadlineThread::Taken) {
            DeadlineThread::Started(thread) => Some(thread),
            _ => None,
        }
    }
}
