//! The outcome of a resize, and the cell on which its caller waits for it.

use std::task::{Context, Poll, Waker};
use std::{error, fmt, io, mem};

use crate::phase::Phase;
use crate::sync::{Condvar, Mutex};
use crate::util::wake_list::{drop_contained, wake_catch_panic};

/// A change of the number of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resized {
    /// The number of workers before.
    pub from: usize,
    /// The number of workers now.
    pub to: usize,
    /// The number of changes since the runtime was built, this one included. It grows by one with
    /// each change. A resize to the present number changes nothing, and returns the present
    /// version.
    pub version: u64,
}

/// A worker thread that is about to be started: its seat, and the version of the worker set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerMeta {
    /// The number of the seat, below the number of workers.
    pub index: usize,
    /// The version (see [`Resized::version`]) in which the thread starts. Zero for the first
    /// workers of the runtime.
    pub version: u64,
}

impl WorkerMeta {
    pub(crate) fn new(seat: usize, version: u64) -> Self {
        WorkerMeta { index: seat, version }
    }
}

/// Why a runtime was not resized, or not to the size that was asked for.
#[derive(Debug)]
#[non_exhaustive]
pub enum ResizeError {
    /// Zero workers were asked for. Nothing has changed.
    Zero,
    /// More workers were asked for than
    /// [`Builder::max_worker_threads`](crate::runtime::Builder::max_worker_threads) allows. Nothing
    /// has changed.
    AboveMaximum {
        /// The number that was asked for.
        asked: usize,
        /// The highest number that is allowed.
        most: usize,
    },
    /// A current-thread runtime has no worker threads. Nothing has changed.
    CurrentThread,
    /// The runtime is being drained. The drain may have begun while workers still had to retire.
    Draining,
    /// The runtime is being shut down or has ended. The shutdown may have begun while workers still
    /// had to retire.
    ShutDown,
    /// The operating system refused a thread. The runtime goes on with the threads that it has. A
    /// later resize may succeed.
    Refused {
        /// The number that was asked for.
        asked: usize,
        /// The change that was made.
        resized: Resized,
        /// The error of the operating system.
        error: io::Error,
    },
}

impl ResizeError {
    /// Returns why a pool cannot be resized in this phase, if it cannot.
    pub(crate) fn in_phase(phase: Phase) -> Option<ResizeError> {
        match phase {
            Phase::Running => None,
            Phase::Draining | Phase::Drained | Phase::DeadlinePassed => Some(ResizeError::Draining),
            Phase::ShuttingDown | Phase::Closed => Some(ResizeError::ShutDown),
        }
    }
}

impl fmt::Display for ResizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResizeError::Zero => {
                write!(f, "resize(0): a runtime needs at least one worker; to end it, drain it or drop the `Runtime`")
            }
            ResizeError::AboveMaximum { asked, most } => write!(
                f,
                "resize({asked}): this runtime may have at most {most} workers; raise `Builder::max_worker_threads`"
            ),
            ResizeError::CurrentThread => write!(
                f,
                "a current-thread runtime has no worker threads to resize; build it with `Builder::new_multi_thread`"
            ),
            ResizeError::Draining => {
                write!(f, "the runtime is being drained, and its worker set is final; resize before draining it")
            }
            ResizeError::ShutDown => write!(
                f,
                "the runtime is being shut down or has ended, and has no worker set any more; resize while its `Runtime` lives"
            ),
            ResizeError::Refused { asked, resized, error } => write!(
                f,
                "resize({asked}): the operating system refused a thread ({error}), so the runtime goes on with {} worker(s); \
                 raise the limit on threads (`ulimit -u`, the container's pids limit) or lower `thread_stack_size`, and resize \
                 again",
                resized.to
            ),
        }
    }
}

impl error::Error for ResizeError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            ResizeError::Refused { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// The cell for the outcome of one request. It is completed once.
#[derive(Debug)]
pub(crate) struct ResizeCompletion {
    state: Mutex<CompletionState>,
    completed: Condvar,
}

#[derive(Debug)]
enum CompletionState {
    /// With the waker of the task that awaits the outcome.
    Pending(Option<Waker>),
    Ready(Result<Resized, ResizeError>),
    Taken,
}

impl ResizeCompletion {
    pub(crate) fn new() -> Self {
        ResizeCompletion { state: Mutex::new(CompletionState::Pending(None)), completed: Condvar::new() }
    }

    /// Stores the outcome and wakes the waiting thread or task. Called with no lock held.
    pub(crate) fn complete(&self, outcome: Result<Resized, ResizeError>) {
        let was = mem::replace(&mut *self.state.lock(), CompletionState::Ready(outcome));
        self.completed.notify_all();
        match was {
            CompletionState::Pending(Some(waker)) => wake_catch_panic(waker),
            CompletionState::Pending(None) => {}
            CompletionState::Ready(_) | CompletionState::Taken => unreachable!("a request has one outcome"),
        }
    }

    /// Takes the outcome, or stores a waker.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Result<Resized, ResizeError>> {
        // A waker is user code. It is cloned before the lock is taken, and dropped after its
        // release.
        let waker = cx.waker().clone();
        let mut state = self.state.lock();
        let was = match &mut *state {
            CompletionState::Pending(stored) => stored.replace(waker),
            _ => {
                let outcome = take_outcome(&mut state);
                drop(state);
                drop_contained(Some(waker));
                return Poll::Ready(outcome);
            }
        };
        drop(state);
        drop_contained(was);
        Poll::Pending
    }

    /// Blocks the thread until there is an outcome, and takes it.
    pub(crate) fn wait(&self) -> Result<Resized, ResizeError> {
        let mut state = self.state.lock();
        while let CompletionState::Pending(_) = *state {
            self.completed.wait(&mut state);
        }
        take_outcome(&mut state)
    }

    /// Drops the stored waker. Called when the `Resize` is dropped.
    pub(crate) fn forget(&self) {
        let waker = match &mut *self.state.lock() {
            CompletionState::Pending(stored) => stored.take(),
            _ => None,
        };
        drop_contained(waker);
    }
}

fn take_outcome(state: &mut CompletionState) -> Result<Resized, ResizeError> {
    match mem::replace(state, CompletionState::Taken) {
        CompletionState::Ready(outcome) => outcome,
        CompletionState::Pending(_) => unreachable!("the caller has checked the state"),
        CompletionState::Taken => panic!("a `Resize` was polled after it had been ready"),
    }
}
