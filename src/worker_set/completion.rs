//! What a resize answers, and how its caller waits for that.

use std::task::{Context, Poll, Waker};
use std::{error, fmt, io, mem};

use crate::phase::Phase;
use crate::sync::{Condvar, Mutex};
use crate::util::wake_list::{drop_contained, wake_catch_panic};

/// A change of the number of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resized {
    /// How many workers there were.
    pub from: usize,
    /// How many there are now.
    pub to: usize,
    /// How often the number has changed since the runtime was built, this change included: it grows
    /// by one with each. A resize to the present number changes nothing, and answers the present
    /// version.
    pub version: u64,
}

/// A worker thread that is about to be started: which seat it takes, and in which version of the
/// worker set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerMeta {
    /// The number of the seat, below the number of workers.
    pub index: usize,
    /// The version (see [`Resized::version`]) with which the thread comes; zero for those that the
    /// runtime begins with.
    pub version: u64,
}

impl WorkerMeta {
    pub(crate) fn new(seat: usize, version: u64) -> Self {
        WorkerMeta { index: seat, version }
    }
}

/// Why a runtime was not resized, or not all the way.
#[derive(Debug)]
#[non_exhaustive]
pub enum ResizeError {
    /// No workers were asked for. Nothing has changed.
    Zero,
    /// More workers were asked for than
    /// [`Builder::max_worker_threads`](crate::runtime::Builder::max_worker_threads) allows. Nothing
    /// has changed.
    AboveMaximum {
        /// How many were asked for.
        asked: usize,
        /// How many there may be.
        most: usize,
    },
    /// A current-thread runtime has no worker threads. Nothing has changed.
    CurrentThread,
    /// The runtime is being drained, or a drain began before the workers that had to leave had
    /// left.
    Draining,
    /// The runtime is being shut down or has ended, perhaps before the workers that had to leave
    /// had left.
    ShutDown,
    /// The operating system refused a thread. The runtime goes on with those that it has; a later
    /// resize may succeed.
    Refused {
        /// How many workers were asked for.
        asked: usize,
        /// How far it got.
        resized: Resized,
        /// What the operating system said.
        error: io::Error,
    },
}

impl ResizeError {
    /// Why a pool cannot be resized in this phase of its life.
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

/// On which the outcome of one order is written, once.
#[derive(Debug)]
pub(crate) struct ResizeCompletion {
    completion_state: Mutex<CompletionState>,
    written: Condvar,
}

#[derive(Debug)]
enum CompletionState {
    /// With the waker of whoever awaits it.
    Blank(Option<Waker>),
    Written(Result<Resized, ResizeError>),
    Taken,
}

impl ResizeCompletion {
    pub(crate) fn new() -> Self {
        ResizeCompletion { completion_state: Mutex::new(CompletionState::Blank(None)), written: Condvar::new() }
    }

    /// Writes the outcome and wakes whoever waits for it. Called with no lock held.
    pub(crate) fn complete(&self, outcome: Result<Resized, ResizeError>) {
        let was = mem::replace(&mut *self.completion_state.lock(), CompletionState::Written(outcome));
        self.written.notify_all();
        match was {
            CompletionState::Blank(Some(waker)) => wake_catch_panic(waker),
            CompletionState::Blank(None) => {}
            CompletionState::Written(_) | CompletionState::Taken => unreachable!("an order has one outcome"),
        }
    }

    /// Takes the outcome, or leaves a waker.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Result<Resized, ResizeError>> {
        // A waker is user code: it is cloned before the lock is taken, and dropped after.
        let waker = cx.waker().clone();
        let mut completion_state = self.completion_state.lock();
        let was = match &mut *completion_state {
            CompletionState::Blank(place) => place.replace(waker),
            _ => {
                let outcome = take_outcome(&mut completion_state);
                drop(completion_state);
                drop_contained(Some(waker));
                return Poll::Ready(outcome);
            }
        };
        drop(completion_state);
        drop_contained(was);
        Poll::Pending
    }

    /// Blocks the thread until there is an outcome, and takes it.
    pub(crate) fn wait(&self) -> Result<Resized, ResizeError> {
        let mut completion_state = self.completion_state.lock();
        while let CompletionState::Blank(_) = *completion_state {
            self.written.wait(&mut completion_state);
        }
        take_outcome(&mut completion_state)
    }

    /// Nobody waits any more.
    pub(crate) fn forget(&self) {
        let waker = match &mut *self.completion_state.lock() {
            CompletionState::Blank(place) => place.take(),
            _ => None,
        };
        drop_contained(waker);
    }
}

fn take_outcome(completion_state: &mut CompletionState) -> Result<Resized, ResizeError> {
    match mem::replace(completion_state, CompletionState::Taken) {
        CompletionState::Written(outcome) => outcome,
        CompletionState::Blank(_) => unreachable!("the caller has looked"),
        CompletionState::Taken => panic!("a `Resize` was polled after it had been ready"),
    }
}
