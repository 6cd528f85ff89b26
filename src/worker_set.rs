//! The book of who is to work, and the orders that change it.
#![doc = include_str!("../docs/resize.md")]

pub(crate) mod completion;
pub(crate) mod cpu_quota;
#[cfg(all(test, not(heist_loom)))]
pub(crate) mod cpu_quota_tests;
pub(crate) mod resize;
pub(crate) mod retire;
pub(crate) mod seat_state;
pub(crate) mod spares;
pub(crate) mod threads;
use std::collections::VecDeque;
use std::io;

use crate::phase::Phase;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex};
use crate::util::wake_list::catch_user_panic;
use crate::worker_set::completion::{ResizeCompletion, ResizeError, Resized};
use crate::worker_set::seat_state::{SeatClaim, SeatState};

/// Which seats are wanted, which are taken, and who waits for a change. See [the
/// page](crate::worker_set::resize).
#[derive(Debug)]
pub(crate) struct WorkerSet {
    pub(super) words: Box<[SeatState]>,
    /// How many of the seats may be asked for; the others are for spares.
    most: usize,
    /// How many seats are taken. Written under the lock.
    taken: AtomicUsize,
    /// How many of them by spares. Written under the lock.
    spares: AtomicUsize,
    pub(super) locked: Mutex<WorkerSetLocked>,
}

#[derive(Debug)]
pub(super) struct WorkerSetLocked {
    /// The seats below it are wanted, and those of the spares.
    pub(super) size: usize,
    pub(super) version: u64,
    /// As far as it is known here. Only a running pool is resized.
    pub(super) phase: Phase,
    requests: VecDeque<ResizeRequest>,
    /// Somebody carries out orders, or seats a spare.
    pub(super) running: bool,
    /// All of them in seats from `size` on.
    pub(super) spares: Vec<Spare>,
    waiting: Vec<PendingResize>,
    /// Changes that the hook has not been told of.
    unreported: VecDeque<Resized>,
    /// Somebody tells them.
    running_hook: bool,
}

/// A spare's seat, above those that the size of the pool asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spare {
    pub(crate) seat: usize,
    /// Its thread is being started.
    pub(crate) coming: bool,
    /// It has been told to leave.
    pub(crate) dismissed: bool,
}

/// To have `size` workers.
#[derive(Debug)]
struct ResizeRequest {
    size: usize,
    completion: Arc<ResizeCompletion>,
}

/// An order that has been carried out, and these seats have not been left yet.
#[derive(Debug)]
struct PendingResize {
    completion: Arc<ResizeCompletion>,
    resized: Resized,
    retiring: Vec<usize>,
}

/// How the worker set gets at threads; the models have one without any.
pub(crate) trait ThreadHost {
    /// A thread will come, or it is the one that carries out an order: it counts as present. Called
    /// under the lock.
    fn inc_live(&self);
    /// An expected thread does not come, or has carried out the order.
    fn dec_live(&self);
    /// Starts the thread for `seat`, which comes with `version`.
    fn start(&self, seat: usize, version: u64) -> io::Result<()>;
    /// Lets the workers of these seats know that they are asked.
    fn wake_seats(&self, seats: &[usize]);
}

/// Completions to be written, once the lock is released.
#[must_use = "somebody waits for it"]
#[derive(Debug, Default)]
pub(crate) struct Completions(Vec<(Arc<ResizeCompletion>, Result<Resized, ResizeError>)>);

impl Completions {
    pub(crate) fn write(self) {
        for (completion, outcome) in self.0 {
            completion.complete(outcome);
        }
    }
}

/// What a worker does that wanted to leave.
#[must_use]
#[derive(Debug)]
pub(crate) enum RetireResult {
    /// It goes, and writes these.
    Gone(Completions),
    /// Its seat is wanted again: it sits down.
    Again,
}

/// What an order asks for.
struct Plan {
    from: usize,
    start: Vec<usize>,
    retire: Vec<usize>,
    version: u64,
}

/// What there is to be carried out.
enum NextRequest {
    /// This, and those who are done with it already.
    Order(ResizeRequest, Plan, Completions),
    Nothing,
    /// Somebody is at it.
    Elsewhere,
}

impl WorkerSet {
    /// A book with `most` seats, of which the first `size` are taken already, and some more for
    /// `spares`.
    pub(crate) fn new(size: usize, most: usize, spares: usize) -> Self {
        let words: Box<[SeatState]> = (0..most + spares).map(|_| SeatState::new()).collect();
        for word in &words[..size] {
            let _ = word.claim_seat();
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
            words,
            most,
            taken: AtomicUsize::new(size),
            spares: AtomicUsize::new(0),
            locked: Mutex::new(locked),
        }
    }

    /// How many seats are taken now. Never zero.
    #[inline]
    pub(crate) fn active(&self) -> usize {
        // Ordering: Relaxed — a figure.
        self.taken.load(Ordering::Relaxed)
    }

    /// How many of them by spares.
    pub(crate) fn active_spares(&self) -> usize {
        // Ordering: Relaxed — a figure.
        self.spares.load(Ordering::Relaxed)
    }

    /// How many are wanted.
    pub(crate) fn target(&self) -> usize {
        self.locked.lock().size
    }

    /// How many there may be, spares aside.
    pub(crate) fn max_workers(&self) -> usize {
        self.most
    }

    /// How many spares there may be.
    pub(crate) fn max_spares(&self) -> usize {
        self.words.len() - self.most
    }

    /// Whether the worker of `seat` may stay.
    #[inline]
    pub(crate) fn is_wanted(&self, seat: usize) -> bool {
        self.words[seat].is_wanted()
    }

    /// Whether somebody works in `seat`, or is about to.
    pub(crate) fn is_occupied(&self, seat: usize) -> bool {
        self.words[seat].is_occupied()
    }

    /// Whether somebody works in `seat`.
    pub(crate) fn is_active(&self, seat: usize) -> bool {
        self.words[seat].is_active()
    }

    /// The word of `seat`, for a dump.
    pub(crate) fn seat_state(&self, seat: usize) -> &SeatState {
        &self.words[seat]
    }

    /// Said by the thread of `seat` when it sits down...
    ///
    /// Under the lock, as [`WorkerSet::barrier`]: either the caller sees the seat, or its thread sees
    /// why it would have been called.
    pub(crate) fn activate_seat(&self, seat: usize) {
        let _book = self.locked.lock();
        self.words[seat].activate();
    }

    /// Said by whoever is about to call all seats, and has written down why: whoever sits down
    /// afterwards sees it.
    pub(crate) fn barrier(&self) {
        drop(self.locked.lock());
    }

    /// ...and when it gets up, before it hands over.
    pub(crate) fn deactivate_seat(&self, seat: usize) {
        self.words[seat].deactivate();
    }

    /// The thread of `seat` has handed over, and would leave.
    pub(crate) fn try_retire(&self, seat: usize) -> RetireResult {
        let mut locked = self.locked.lock();
        if !self.words[seat].try_vacate() {
            return RetireResult::Again;
        }
        self.sub_active(1);
        locked.spares.retain(|spare| spare.seat != seat);
        self.publish_spares(&locked);
        RetireResult::Gone(locked.seat_vacated(seat))
    }

    /// Puts an order into the book; [`WorkerSet::run_requests`] follows.
    pub(crate) fn enqueue(&self, size: usize, completion: Arc<ResizeCompletion>) -> Completions {
        let mut locked = self.locked.lock();
        match ResizeError::in_phase(locked.phase) {
            Some(error) => Completions(vec![(completion, Err(error))]),
            None => {
                locked.requests.push_back(ResizeRequest { size, completion: completion });
                Completions::default()
            }
        }
    }

    /// Carries out orders until there are none, or somebody is at it already: then he does. True if
    /// it has carried out any, and so closed the line to others: what they have left to it, and the
    /// news, are the caller's.
    pub(crate) fn run_requests(&self, thread_host: &impl ThreadHost) -> bool {
        let mut carried = false;
        loop {
            let (order, plan, taken_back) = match self.begin_request(thread_host) {
                NextRequest::Order(order, plan, taken_back) => (order, plan, taken_back),
                NextRequest::Nothing | NextRequest::Elsewhere => return carried,
            };
            carried = true;
            taken_back.write();
            thread_host.wake_seats(&plan.retire);
            let refused = plan.start.iter().enumerate().find_map(|(nth, &seat)| {
                let error = thread_host.start(seat, plan.version).err()?;
                Some((nth, error))
            });
            let missing = refused.as_ref().map_or(0, |(nth, _)| plan.start.len() - nth);
            let (asked, outcomes) = self.finish_request(order, &plan, refused);
            thread_host.wake_seats(&asked);
            outcomes.write();
            // Last: if the pool is being closed, this may be where it is cleared. And not before
            // all threads have been filed.
            (0..missing + 1).for_each(|_| thread_host.dec_live());
        }
    }

    /// Takes the next order out and enters what it asks for.
    fn begin_request(&self, thread_host: &impl ThreadHost) -> NextRequest {
        let mut locked = self.locked.lock();
        if locked.running {
            return NextRequest::Elsewhere;
        }
        let Some(order) = locked.requests.pop_front() else { return NextRequest::Nothing };
        locked.running = true;
        thread_host.inc_live();
        let from = std::mem::replace(&mut locked.size, order.size);
        let asked: Vec<usize> = (order.size..from).collect();
        asked.iter().for_each(|&seat| self.words[seat].request_retire());
        let mut start = Vec::new();
        let mut outcomes = Completions::default();
        for seat in from..order.size {
            match self.words[seat].claim_seat() {
                SeatClaim::Start => {
                    thread_host.inc_live();
                    start.push(seat);
                }
                SeatClaim::TakenBack => outcomes.0.extend(locked.seat_vacated(seat).0),
            }
        }
        self.add_active(start.len());
        // A spare in one of these seats is a worker like the others from now on.
        locked.spares.retain(|spare| spare.seat >= order.size);
        self.publish_spares(&locked);
        let version = locked.version + 1;
        NextRequest::Order(order, Plan { from, start, retire: asked, version }, outcomes)
    }

    /// Enters what came of it. Answers whom to rouse.
    fn finish_request(
        &self,
        order: ResizeRequest,
        plan: &Plan,
        refused: Option<(usize, io::Error)>,
    ) -> (Vec<usize>, Completions) {
        let mut locked = self.locked.lock();
        debug_assert!(locked.running, "the line has been broken");
        locked.running = false;
        let mut asked = Vec::new();
        if let Some((nth, _)) = refused {
            let missing = &plan.start[nth..];
            missing.iter().for_each(|&seat| self.words[seat].start_failed());
            self.sub_active(missing.len());
            // The workers are those of the lowest seats: who had been taken back above the gap is
            // asked again.
            asked.extend((missing[0]..order.size).filter(|seat| !missing.contains(seat)));
            asked.iter().for_each(|&seat| self.words[seat].request_retire());
            locked.size = missing[0];
        }
        if locked.size != plan.from {
            locked.version += 1;
        }
        let resized = Resized { from: plan.from, to: locked.size, version: locked.version };
        if locked.size != plan.from {
            locked.unreported.push_back(resized);
        }
        let is_leaver = |seat: &usize| self.is_occupied(*seat) && locked.spares.iter().all(|spare| spare.seat != *seat);
        let leavers: Vec<usize> = (locked.size..self.words.len()).filter(is_leaver).collect();
        let outcome = match (ResizeError::in_phase(locked.phase), refused) {
            (Some(error), _) => Err(error),
            (None, Some((_, error))) => Err(ResizeError::Refused { asked: order.size, resized, error }),
            (None, None) if leavers.is_empty() => Ok(resized),
            (None, None) => {
                // Whoever has dropped his `Resize` waits for nobody.
                locked.waiting.retain(|waiting| Arc::strong_count(&waiting.completion) > 1);
                locked.waiting.push(PendingResize { completion: order.completion, resized, retiring: leavers });
                return (asked, Completions::default());
            }
        };
        (asked, Completions(vec![(order.completion, outcome)]))
    }

    /// Tells `hook` of all changes, in order, unless somebody does. No lock is held meanwhile.
    pub(crate) fn run_resize_hooks(&self, hook: impl Fn(Resized)) {
        loop {
            let mut locked = self.locked.lock();
            if locked.running_hook {
                return;
            }
            let Some(resized) = locked.unreported.pop_front() else { return };
            locked.running_hook = true;
            drop(locked);
            catch_user_panic("an after_resize hook", || hook(resized));
            self.locked.lock().running_hook = false;
        }
    }

    /// The pool has come to `phase`, in which there are no more orders. Whoever waits is told why.
    pub(crate) fn refuse_requests(&self, phase: Phase) -> Completions {
        let mut locked = self.locked.lock();
        locked.phase = locked.phase.max(phase);
        let orders = std::mem::take(&mut locked.requests).into_iter().map(|order| order.completion);
        let waiting = std::mem::take(&mut locked.waiting).into_iter().map(|waiting| waiting.completion);
        let error = |completion| Some((completion, Err(ResizeError::in_phase(locked.phase)?)));
        Completions(orders.chain(waiting).filter_map(error).collect())
    }

    pub(super) fn add_active(&self, workers: usize) {
        // Ordering: Relaxed — a figure, written under the lock.
        self.taken.fetch_add(workers, Ordering::Relaxed);
    }

    pub(super) fn sub_active(&self, workers: usize) {
        // Ordering: Relaxed — a figure, written under the lock.
        self.taken.fetch_sub(workers, Ordering::Relaxed);
    }

    pub(super) fn publish_spares(&self, locked: &WorkerSetLocked) {
        // Ordering: Relaxed — a figure, written under the lock.
        self.spares.store(locked.spares.len(), Ordering::Relaxed);
    }
}

impl WorkerSetLocked {
    /// Nobody waits any more for `seat` to be left. Answers those who waited for nothing else.
    fn seat_vacated(&mut self, seat: usize) -> Completions {
        for waiting in &mut self.waiting {
            waiting.retiring.retain(|&leaver| leaver != seat);
        }
        let (done, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|one| one.retiring.is_empty());
        self.waiting = waiting;
        let done: Vec<PendingResize> = done;
        Completions(done.into_iter().map(|one| (one.completion, Ok(one.resized))).collect())
    }
}
