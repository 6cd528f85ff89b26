//! The book of who is to work, and the orders that change it.

use std::collections::VecDeque;
use std::io;

use super::resize_completion::{ResizeCompletion, ResizeError, Resized};
use super::seat_state::{SeatClaim, SeatState};
use super::spares::Spare;
use crate::phase::Phase;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex};
use crate::wake_list::catch_user_panic;

/// Which seats are wanted, which are taken, and who waits for a change. See [the page](crate::resize).
#[derive(Debug)]
pub(crate) struct WorkerSet {
    pub(super) words: Box<[SeatState]>,
    /// How many of the seats may be asked for; the others are for spares.
    most: usize,
    /// How many seats are taken. Written under the lock.
    taken: AtomicUsize,
    /// How many of them by spares. Written under the lock.
    spares: AtomicUsize,
    pub(super) book: Mutex<WorkerSetLocked>,
}

#[derive(Debug)]
pub(super) struct WorkerSetLocked {
    /// The seats below it are wanted, and those of the spares.
    pub(super) size: usize,
    pub(super) version: u64,
    /// As far as it is known here. Only a running pool is resized.
    pub(super) phase: Phase,
    orders: VecDeque<ResizeRequest>,
    /// Somebody carries out orders, or seats a spare.
    pub(super) running: bool,
    /// All of them in seats from `size` on.
    pub(super) spares: Vec<Spare>,
    waiting: Vec<PendingResize>,
    /// Changes that the hook has not been told of.
    news: VecDeque<Resized>,
    /// Somebody tells them.
    telling: bool,
}

/// To have `size` workers.
#[derive(Debug)]
struct ResizeRequest {
    size: usize,
    ticket: Arc<ResizeCompletion>,
}

/// An order that has been carried out, and these seats have not been left yet.
#[derive(Debug)]
struct PendingResize {
    ticket: Arc<ResizeCompletion>,
    resized: Resized,
    leavers: Vec<usize>,
}

/// How the staff gets at threads; the models have one without any.
pub(crate) trait ThreadHost {
    /// A thread will come, or it is the one that carries out an order: it counts as present. Called under the lock.
    fn inc_live(&self);
    /// An expected thread does not come, or has carried out the order.
    fn dec_live(&self);
    /// Starts the thread for `seat`, which comes with `version`.
    fn start(&self, seat: usize, version: u64) -> io::Result<()>;
    /// Lets the workers of these seats know that they are asked.
    fn wake_seats(&self, seats: &[usize]);
}

/// Tickets to be written, once the lock is released.
#[must_use = "somebody waits for it"]
#[derive(Debug, Default)]
pub(crate) struct Completions(Vec<(Arc<ResizeCompletion>, Result<Resized, ResizeError>)>);

impl Completions {
    pub(crate) fn write(self) {
        for (ticket, outcome) in self.0 {
            ticket.complete(outcome);
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
    asked: Vec<usize>,
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
    /// A book with `most` seats, of which the first `size` are taken already, and some more for `spares`.
    pub(crate) fn new(size: usize, most: usize, spares: usize) -> Self {
        let words: Box<[SeatState]> = (0..most + spares).map(|_| SeatState::new()).collect();
        for word in &words[..size] {
            let _ = word.claim_seat();
        }
        let book = WorkerSetLocked {
            size,
            version: 0,
            phase: Phase::Running,
            orders: VecDeque::new(),
            running: false,
            spares: Vec::new(),
            waiting: Vec::new(),
            news: VecDeque::new(),
            telling: false,
        };
        WorkerSet { words, most, taken: AtomicUsize::new(size), spares: AtomicUsize::new(0), book: Mutex::new(book) }
    }

    /// How many seats are taken now. Never zero.
    #[inline]
    pub(crate) fn active(&self) -> usize {
        // Ordering: Relaxed — a figure.
        self.taken.load(Ordering::Relaxed)
    }

    /// How many of them by spares.
    pub(crate) fn spares(&self) -> usize {
        // Ordering: Relaxed — a figure.
        self.spares.load(Ordering::Relaxed)
    }

    /// How many are wanted.
    pub(crate) fn target(&self) -> usize {
        self.book.lock().size
    }

    /// How many there may be, spares aside.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// How many spares there may be.
    pub(crate) fn most_spares(&self) -> usize {
        self.words.len() - self.most
    }

    /// Whether the worker of `seat` may stay.
    #[inline]
    pub(crate) fn is_wanted(&self, seat: usize) -> bool {
        self.words[seat].is_wanted()
    }

    /// Whether somebody works in `seat`, or is about to.
    pub(crate) fn is_taken(&self, seat: usize) -> bool {
        self.words[seat].is_taken()
    }

    /// Whether somebody works in `seat`.
    pub(crate) fn is_seated(&self, seat: usize) -> bool {
        self.words[seat].is_seated()
    }

    /// The word of `seat`, for a dump.
    pub(crate) fn word(&self, seat: usize) -> &SeatState {
        &self.words[seat]
    }

    /// Said by the thread of `seat` when it sits down...
    ///
    /// Under the lock, as [`Staff::meet`]: either the caller sees the seat, or its thread sees why it would have been called.
    pub(crate) fn sit(&self, seat: usize) {
        let _book = self.book.lock();
        self.words[seat].activate();
    }

    /// Said by whoever is about to call all seats, and has written down why: whoever sits down afterwards sees it.
    pub(crate) fn barrier(&self) {
        drop(self.book.lock());
    }

    /// ...and when it gets up, before it hands over.
    pub(crate) fn get_up(&self, seat: usize) {
        self.words[seat].deactivate();
    }

    /// The thread of `seat` has handed over, and would leave.
    pub(crate) fn leave(&self, seat: usize) -> RetireResult {
        let mut book = self.book.lock();
        if !self.words[seat].try_vacate() {
            return RetireResult::Again;
        }
        self.count_off(1);
        book.spares.retain(|spare| spare.seat != seat);
        self.show_spares(&book);
        RetireResult::Gone(book.settle(seat))
    }

    /// Puts an order into the book; [`Staff::carry_out`] follows.
    pub(crate) fn enqueue(&self, size: usize, ticket: Arc<ResizeCompletion>) -> Completions {
        let mut book = self.book.lock();
        match ResizeError::in_phase(book.phase) {
            Some(error) => Completions(vec![(ticket, Err(error))]),
            None => {
                book.orders.push_back(ResizeRequest { size, ticket });
                Completions::default()
            }
        }
    }

    /// Carries out orders until there are none, or somebody is at it already: then he does. True if it has carried out any, and so closed the line to
    /// others: what they have left to it, and the news, are the caller's.
    pub(crate) fn run_requests(&self, crew: &impl ThreadHost) -> bool {
        let mut carried = false;
        loop {
            let (order, plan, taken_back) = match self.begin(crew) {
                NextRequest::Order(order, plan, taken_back) => (order, plan, taken_back),
                NextRequest::Nothing | NextRequest::Elsewhere => return carried,
            };
            carried = true;
            taken_back.write();
            crew.wake_seats(&plan.asked);
            let refused = plan.start.iter().enumerate().find_map(|(nth, &seat)| {
                let error = crew.start(seat, plan.version).err()?;
                Some((nth, error))
            });
            let missing = refused.as_ref().map_or(0, |(nth, _)| plan.start.len() - nth);
            let (asked, outcomes) = self.finish_request(order, &plan, refused);
            crew.wake_seats(&asked);
            outcomes.write();
            // Last: if the pool is being closed, this may be where it is cleared. And not before all threads have been filed.
            (0..missing + 1).for_each(|_| crew.dec_live());
        }
    }

    /// Takes the next order out and enters what it asks for.
    fn begin(&self, crew: &impl ThreadHost) -> NextRequest {
        let mut book = self.book.lock();
        if book.running {
            return NextRequest::Elsewhere;
        }
        let Some(order) = book.orders.pop_front() else { return NextRequest::Nothing };
        book.running = true;
        crew.inc_live();
        let from = std::mem::replace(&mut book.size, order.size);
        let asked: Vec<usize> = (order.size..from).collect();
        asked.iter().for_each(|&seat| self.words[seat].request_retire());
        let mut start = Vec::new();
        let mut outcomes = Completions::default();
        for seat in from..order.size {
            match self.words[seat].claim_seat() {
                SeatClaim::Start => {
                    crew.inc_live();
                    start.push(seat);
                }
                SeatClaim::TakenBack => outcomes.0.extend(book.settle(seat).0),
            }
        }
        self.count_on(start.len());
        // A spare in one of these seats is a worker like the others from now on.
        book.spares.retain(|spare| spare.seat >= order.size);
        self.show_spares(&book);
        let version = book.version + 1;
        NextRequest::Order(order, Plan { from, start, asked, version }, outcomes)
    }

    /// Enters what came of it. Answers whom to rouse.
    fn finish_request(
        &self,
        order: ResizeRequest,
        plan: &Plan,
        refused: Option<(usize, io::Error)>,
    ) -> (Vec<usize>, Completions) {
        let mut book = self.book.lock();
        debug_assert!(book.running, "the line has been broken");
        book.running = false;
        let mut asked = Vec::new();
        if let Some((nth, _)) = refused {
            let missing = &plan.start[nth..];
            missing.iter().for_each(|&seat| self.words[seat].release());
            self.count_off(missing.len());
            // The workers are those of the lowest seats: who had been taken back above the gap is asked again.
            asked.extend((missing[0]..order.size).filter(|seat| !missing.contains(seat)));
            asked.iter().for_each(|&seat| self.words[seat].request_retire());
            book.size = missing[0];
        }
        if book.size != plan.from {
            book.version += 1;
        }
        let resized = Resized { from: plan.from, to: book.size, version: book.version };
        if book.size != plan.from {
            book.news.push_back(resized);
        }
        let is_leaver = |seat: &usize| self.is_taken(*seat) && book.spares.iter().all(|spare| spare.seat != *seat);
        let leavers: Vec<usize> = (book.size..self.words.len()).filter(is_leaver).collect();
        let outcome = match (ResizeError::in_phase(book.phase), refused) {
            (Some(error), _) => Err(error),
            (None, Some((_, error))) => Err(ResizeError::Refused { asked: order.size, resized, error }),
            (None, None) if leavers.is_empty() => Ok(resized),
            (None, None) => {
                // Whoever has dropped his `Resize` waits for nobody.
                book.waiting.retain(|waiting| Arc::strong_count(&waiting.ticket) > 1);
                book.waiting.push(PendingResize { ticket: order.ticket, resized, leavers });
                return (asked, Completions::default());
            }
        };
        (asked, Completions(vec![(order.ticket, outcome)]))
    }

    /// Tells `hook` of all changes, in order, unless somebody does. No lock is held meanwhile.
    pub(crate) fn run_resize_hooks(&self, hook: impl Fn(Resized)) {
        loop {
            let mut book = self.book.lock();
            if book.telling {
                return;
            }
            let Some(resized) = book.news.pop_front() else { return };
            book.telling = true;
            drop(book);
            catch_user_panic("an after_resize hook", || hook(resized));
            self.book.lock().telling = false;
        }
    }

    /// The pool has come to `phase`, in which there are no more orders. Whoever waits is told why.
    pub(crate) fn stop(&self, phase: Phase) -> Completions {
        let mut book = self.book.lock();
        book.phase = book.phase.max(phase);
        let orders = std::mem::take(&mut book.orders).into_iter().map(|order| order.ticket);
        let waiting = std::mem::take(&mut book.waiting).into_iter().map(|waiting| waiting.ticket);
        let error = |ticket| Some((ticket, Err(ResizeError::in_phase(book.phase)?)));
        Completions(orders.chain(waiting).filter_map(error).collect())
    }

    pub(super) fn count_on(&self, workers: usize) {
        // Ordering: Relaxed — a figure, written under the lock.
        self.taken.fetch_add(workers, Ordering::Relaxed);
    }

    pub(super) fn count_off(&self, workers: usize) {
        // Ordering: Relaxed — a figure, written under the lock.
        self.taken.fetch_sub(workers, Ordering::Relaxed);
    }

    pub(super) fn show_spares(&self, book: &WorkerSetLocked) {
        // Ordering: Relaxed — a figure, written under the lock.
        self.spares.store(book.spares.len(), Ordering::Relaxed);
    }
}

impl WorkerSetLocked {
    /// Nobody waits any more for `seat` to be left. Answers those who waited for nothing else.
    fn settle(&mut self, seat: usize) -> Completions {
        for waiting in &mut self.waiting {
            waiting.leavers.retain(|&leaver| leaver != seat);
        }
        let (done, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|one| one.leavers.is_empty());
        self.waiting = waiting;
        let done: Vec<PendingResize> = done;
        Completions(done.into_iter().map(|one| (one.ticket, Ok(one.resized))).collect())
    }
}
