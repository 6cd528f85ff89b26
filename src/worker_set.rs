//! The set of wanted and occupied seats, and the resize requests that change it.
#![doc = include_str!("../docs/resize.md")]

pub(crate) mod cpu_quota;
#[cfg(all(test, not(heist_loom)))]
pub(crate) mod cpu_quota_tests;
pub(crate) mod effective_workers;
pub(crate) mod resize;
pub(crate) mod seat_state;
pub(crate) mod spares;
pub(crate) mod threads;

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};
use std::{error, fmt, io, mem};

use crate::phase::Phase;
use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::primitive::{Arc, Condvar, Mutex};
use crate::util::wake_list::{drop_contained, wake_catch_panic};
use crate::worker_set::seat_state::{SeatClaim, SeatState};

/// Which seats are wanted and occupied, the queued requests, and the pending completions. See [the
/// page](crate::worker_set).
#[derive(Debug)]
pub(crate) struct WorkerSet {
    pub(super) states: Box<[SeatState]>,
    /// The number of seats that a resize may ask for. The seats above are for spares.
    max_workers: usize,
    /// The number of occupied seats. Written under the lock.
    occupied: AtomicUsize,
    /// The number of seats that spares occupy. Written under the lock.
    spares: AtomicUsize,
    /// The number of base workers that do not have to rest. Written under the lock.
    effective: AtomicUsize,
    /// The number of workers that rest. Written under the lock.
    resting: AtomicUsize,
    pub(super) locked: Mutex<WorkerSetLocked>,
}

#[derive(Debug)]
pub(super) struct WorkerSetLocked {
    /// The seats below it are wanted, and so are those of the spares.
    pub(super) size: usize,
    pub(super) version: u64,
    /// The latest phase that the worker set was told. Requests are refused unless it is Running.
    pub(super) phase: Phase,
    requests: VecDeque<ResizeRequest>,
    /// A thread runs requests, or starts a spare.
    pub(super) running: bool,
    /// All of them are in seats from `size` on.
    pub(super) spares: Vec<Spare>,
    waiting: Vec<PendingResize>,
    /// Changes for which the hook has not been called yet.
    pub(super) unreported: VecDeque<Resized>,
    /// A thread calls the hook.
    pub(super) running_hook: bool,
}

/// A spare worker, in a seat above those that the size asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spare {
    pub(crate) seat: usize,
    /// Its thread is being started.
    pub(crate) starting: bool,
    /// It was asked to retire.
    pub(crate) stopping: bool,
}

/// A queued call of `resize`.
#[derive(Debug)]
struct ResizeRequest {
    size: usize,
    completion: Arc<ResizeCompletion>,
}

/// A request that has run, and waits for the workers of these seats to retire.
#[derive(Debug)]
struct PendingResize {
    completion: Arc<ResizeCompletion>,
    resized: Resized,
    retiring: Vec<usize>,
}

/// Starts and wakes threads for the worker set. The models have hosts without a pool.
pub(crate) trait ThreadHost {
    /// Counts a live thread, for a worker that will start or for the caller that runs a request.
    /// Called under the lock.
    fn inc_live(&self);
    /// Uncounts a live thread: it was not started, or has run the request.
    fn dec_live(&self);
    /// Starts the thread for `seat`, in this version of the worker set.
    fn start(&self, seat: usize, version: u64) -> io::Result<()>;
    /// Wakes the workers of these seats, so that they see that they are to retire.
    fn wake_seats(&self, seats: &[usize]);
}

/// Completions with their outcomes. The caller completes them once the lock is released.
#[must_use = "a thread waits for each completion"]
#[derive(Debug, Default)]
pub(crate) struct Completions(Vec<(Arc<ResizeCompletion>, Result<Resized, ResizeError>)>);

impl Completions {
    pub(crate) fn complete(self) {
        for (completion, outcome) in self.0 {
            completion.complete(outcome);
        }
    }
}

/// What a worker does after its hand-off.
#[must_use]
#[derive(Debug)]
pub(crate) enum RetireResult {
    /// The seat is vacant. The worker completes these and exits.
    Vacated(Completions),
    /// The seat is wanted again. The worker becomes active again.
    WantedAgain,
}

/// The changes that a request asks for.
struct Plan {
    from: usize,
    start: Vec<usize>,
    retire: Vec<usize>,
    /// The seats of the spares that become base workers.
    absorbed: Vec<usize>,
    version: u64,
}

/// The next request to run.
enum NextRequest {
    /// This request, and the completions that it has finished already.
    Run(ResizeRequest, Plan, Completions),
    Nothing,
    /// Another thread runs requests, or starts a spare.
    AlreadyRunning,
}

impl WorkerSet {
    /// A worker set of `max_workers` seats and some more for `spares`. The first `size` seats are
    /// occupied from the beginning.
    pub(crate) fn new(size: usize, max_workers: usize, spares: usize) -> Self {
        let states: Box<[SeatState]> = (0..max_workers + spares).map(|_| SeatState::new()).collect();
        for state in &states[..size] {
            let _ = state.claim_seat();
        }
        let locked = WorkerSetLocked {
            size,
            version: 0,
            phase: Phase::Running,
            requests: VecDeque::new(),
            running: false,
            spares: Vec::new(),
            waiting: Vec::new(),
            unreported: VecDeque::new(),
            running_hook: false,
        };
        WorkerSet {
            states,
            max_workers,
            occupied: AtomicUsize::new(size),
            spares: AtomicUsize::new(0),
            effective: AtomicUsize::new(size),
            resting: AtomicUsize::new(0),
            locked: Mutex::new(locked),
        }
    }

    /// Returns the number of occupied seats. Never zero.
    #[inline]
    pub(crate) fn num_occupied(&self) -> usize {
        // Ordering: Relaxed — a statistic.
        self.occupied.load(Ordering::Relaxed)
    }

    /// Returns the number of seats that spares occupy.
    pub(crate) fn num_spares(&self) -> usize {
        // Ordering: Relaxed — a statistic.
        self.spares.load(Ordering::Relaxed)
    }

    /// Returns the number of occupied seats that are not those of spares. Never zero.
    ///
    /// Holds the lock, because a spare that starts or retires changes both counts.
    pub(crate) fn num_base_workers(&self) -> usize {
        let _locked = self.locked.lock();
        self.num_occupied().saturating_sub(self.num_spares()).max(1)
    }

    /// Returns the number of wanted workers, without spares.
    pub(crate) fn target(&self) -> usize {
        self.locked.lock().size
    }

    /// Returns the highest size that a resize may ask for.
    pub(crate) fn max_workers(&self) -> usize {
        self.max_workers
    }

    /// Returns the highest number of spares.
    pub(crate) fn max_spares(&self) -> usize {
        self.states.len() - self.max_workers
    }

    /// Returns true if the worker of `seat` may stay.
    #[inline]
    pub(crate) fn is_wanted(&self, seat: usize) -> bool {
        self.states[seat].is_wanted()
    }

    /// Returns true if a thread works in `seat`, or is being started for it.
    pub(crate) fn is_occupied(&self, seat: usize) -> bool {
        self.states[seat].is_occupied()
    }

    /// Returns true if a thread works in `seat`.
    pub(crate) fn is_active(&self, seat: usize) -> bool {
        self.states[seat].is_active()
    }

    /// Returns the state of `seat`, for a dump.
    pub(crate) fn seat_state(&self, seat: usize) -> &SeatState {
        &self.states[seat]
    }

    /// Marks `seat` as active. Called by its thread before it works.
    ///
    /// Holds the lock, as does [`WorkerSet::lift_limit`]. Either the thread that calls `lift_limit`
    /// sees the seat, or this thread sees what the other one has published before.
    pub(crate) fn activate_seat(&self, seat: usize) {
        let _locked = self.locked.lock();
        self.states[seat].activate();
    }

    /// Marks `seat` as inactive. Called by its thread before the hand-off.
    pub(crate) fn deactivate_seat(&self, seat: usize) {
        self.states[seat].deactivate();
    }

    /// Tries to vacate `seat`. Called by its thread after the hand-off.
    pub(crate) fn try_retire(&self, seat: usize) -> RetireResult {
        let mut locked = self.locked.lock();
        if !self.states[seat].try_vacate() {
            return RetireResult::WantedAgain;
        }
        self.sub_occupied(1);
        locked.spares.retain(|spare| spare.seat != seat);
        self.publish_spares(&locked);
        RetireResult::Vacated(locked.seat_vacated(seat))
    }

    /// Queues a request. The caller calls [`WorkerSet::run_requests`] next.
    pub(crate) fn enqueue(&self, size: usize, completion: Arc<ResizeCompletion>) -> Completions {
        let mut locked = self.locked.lock();
        match ResizeError::in_phase(locked.phase) {
            Some(error) => Completions(vec![(completion, Err(error))]),
            None => {
                locked.requests.push_back(ResizeRequest { size, completion });
                Completions::default()
            }
        }
    }

    /// Runs requests until none is left. If another thread does so already, that thread runs them
    /// all. Returns true if any has run. Then spares that other threads could not start meanwhile,
    /// and the hooks, are left to the caller.
    pub(crate) fn run_requests(&self, thread_host: &impl ThreadHost) -> bool {
        let mut ran_any = false;
        loop {
            let (request, plan, completed) = match self.begin_request(thread_host) {
                NextRequest::Run(request, plan, completed) => (request, plan, completed),
                NextRequest::Nothing | NextRequest::AlreadyRunning => return ran_any,
            };
            ran_any = true;
            completed.complete();
            thread_host.wake_seats(&plan.retire);
            let refused = plan.start.iter().enumerate().find_map(|(index, &seat)| {
                let error = thread_host.start(seat, plan.version).err()?;
                Some((index, error))
            });
            let missing = refused.as_ref().map_or(0, |(index, _)| plan.start.len() - index);
            let (retire, outcomes) = self.finish_request(request, &plan, refused);
            thread_host.wake_seats(&retire);
            outcomes.complete();
            // Comes last: if the pool closes, this call may clear it. All thread handles have been
            // stored by now.
            (0..missing + 1).for_each(|_| thread_host.dec_live());
        }
    }

    /// Takes the next request from the queue, and changes the seats as it asks.
    fn begin_request(&self, thread_host: &impl ThreadHost) -> NextRequest {
        let mut locked = self.locked.lock();
        if locked.running {
            return NextRequest::AlreadyRunning;
        }
        let Some(request) = locked.requests.pop_front() else { return NextRequest::Nothing };
        locked.running = true;
        thread_host.inc_live();
        let from = std::mem::replace(&mut locked.size, request.size);
        let retire: Vec<usize> = (request.size..from).collect();
        retire.iter().for_each(|&seat| self.states[seat].request_retire());
        let mut start = Vec::new();
        let mut outcomes = Completions::default();
        for seat in from..request.size {
            match self.states[seat].claim_seat() {
                SeatClaim::Start => {
                    thread_host.inc_live();
                    start.push(seat);
                }
                SeatClaim::ClaimedBack => outcomes.0.extend(locked.seat_vacated(seat).0),
            }
        }
        self.add_occupied(start.len());
        // A spare in one of these seats is a base worker from now on.
        let absorbed = locked.spares.iter().map(|spare| spare.seat).filter(|&seat| seat < request.size).collect();
        locked.spares.retain(|spare| spare.seat >= request.size);
        self.publish_spares(&locked);
        self.publish_effective(&locked);
        let version = locked.version + 1;
        NextRequest::Run(request, Plan { from, start, retire, absorbed, version }, outcomes)
    }

    /// Records the outcome of a request. Returns the seats to wake.
    fn finish_request(
        &self,
        request: ResizeRequest,
        plan: &Plan,
        refused: Option<(usize, io::Error)>,
    ) -> (Vec<usize>, Completions) {
        let mut locked = self.locked.lock();
        debug_assert!(locked.running, "another thread ran a request meanwhile");
        locked.running = false;
        let mut retire = Vec::new();
        if let Some((index, _)) = refused {
            let missing = &plan.start[index..];
            missing.iter().for_each(|&seat| self.states[seat].start_failed());
            self.sub_occupied(missing.len());
            locked.size = missing[0];
            // The workers are those of the lowest seats. Above the gap, a spare is a spare again,
            // because a blocked worker may rely on it. Another worker is asked to retire again.
            let spares = plan.absorbed.iter().filter(|&&seat| seat > missing[0]);
            locked.spares.extend(spares.map(|&seat| Spare { seat, starting: false, stopping: false }));
            self.publish_spares(&locked);
            let is_claimed_back = |seat: &usize| !missing.contains(seat) && !plan.absorbed.contains(seat);
            retire.extend((missing[0]..request.size).filter(is_claimed_back));
            retire.iter().for_each(|&seat| self.states[seat].request_retire());
            self.publish_effective(&locked);
        }
        if locked.size != plan.from {
            locked.version += 1;
        }
        let resized = Resized { from: plan.from, to: locked.size, version: locked.version };
        if locked.size != plan.from {
            locked.unreported.push_back(resized);
        }
        let is_retiring =
            |seat: &usize| self.is_occupied(*seat) && locked.spares.iter().all(|spare| spare.seat != *seat);
        let retiring_seats: Vec<usize> = (locked.size..self.states.len()).filter(is_retiring).collect();
        let outcome = match (ResizeError::in_phase(locked.phase), refused) {
            (Some(error), _) => Err(error),
            (None, Some((_, error))) => Err(ResizeError::Refused { asked: request.size, resized, error }),
            (None, None) if retiring_seats.is_empty() => Ok(resized),
            (None, None) => {
                // A `Resize` that was dropped waits for nothing.
                locked.waiting.retain(|waiting| Arc::strong_count(&waiting.completion) > 1);
                locked.waiting.push(PendingResize {
                    completion: request.completion,
                    resized,
                    retiring: retiring_seats,
                });
                return (retire, Completions::default());
            }
        };
        (retire, Completions(vec![(request.completion, outcome)]))
    }

    /// Refuses all requests from `phase` on. The caller completes the pending ones, with an error.
    pub(crate) fn refuse_requests(&self, phase: Phase) -> Completions {
        let mut locked = self.locked.lock();
        locked.phase = locked.phase.max(phase);
        let queued = std::mem::take(&mut locked.requests).into_iter().map(|request| request.completion);
        let waiting = std::mem::take(&mut locked.waiting).into_iter().map(|waiting| waiting.completion);
        let error = |completion| Some((completion, Err(ResizeError::in_phase(locked.phase)?)));
        Completions(queued.chain(waiting).filter_map(error).collect())
    }

    pub(super) fn add_occupied(&self, workers: usize) {
        // Ordering: Relaxed — a statistic, written under the lock.
        self.occupied.fetch_add(workers, Ordering::Relaxed);
    }

    pub(super) fn sub_occupied(&self, workers: usize) {
        // Ordering: Relaxed — a statistic, written under the lock.
        self.occupied.fetch_sub(workers, Ordering::Relaxed);
    }

    pub(super) fn publish_spares(&self, locked: &WorkerSetLocked) {
        // Ordering: Relaxed — a statistic, written under the lock.
        self.spares.store(locked.spares.len(), Ordering::Relaxed);
    }
}

impl WorkerSetLocked {
    /// Returns the completions of the requests that waited only for `seat` to be vacant.
    fn seat_vacated(&mut self, seat: usize) -> Completions {
        for waiting in &mut self.waiting {
            waiting.retiring.retain(|&retiring_seat| retiring_seat != seat);
        }
        let (completed, waiting) =
            std::mem::take(&mut self.waiting).into_iter().partition(|pending| pending.retiring.is_empty());
        self.waiting = waiting;
        let completed: Vec<PendingResize> = completed;
        Completions(completed.into_iter().map(|pending| (pending.completion, Ok(pending.resized))).collect())
    }
}

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
