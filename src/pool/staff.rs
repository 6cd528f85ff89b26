//! The book of who is to work, and the orders that change it.

use std::collections::VecDeque;
use std::io;

use super::seat_word::{SeatWord, Want};
use super::spares::Spare;
use super::ticket::{ResizeError, Resized, Ticket};
use crate::phase::Phase;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex};
use crate::wakes::contained;

/// Which seats are wanted, which are taken, and who waits for a change. See [the page](crate::resize).
#[derive(Debug)]
pub(crate) struct Staff {
    pub(super) words: Box<[SeatWord]>,
    /// How many of the seats may be asked for; the others are for spares.
    most: usize,
    /// How many seats are taken. Written under the lock.
    taken: AtomicUsize,
    /// How many of them by spares. Written under the lock.
    spares: AtomicUsize,
    pub(super) book: Mutex<Book>,
}

#[derive(Debug)]
pub(super) struct Book {
    /// The seats below it are wanted, and those of the spares.
    pub(super) size: usize,
    pub(super) version: u64,
    /// As far as it is known here. Only a running pool is resized.
    pub(super) phase: Phase,
    orders: VecDeque<Order>,
    /// Somebody carries out orders, or seats a spare.
    pub(super) at_it: bool,
    /// All of them in seats from `size` on.
    pub(super) spares: Vec<Spare>,
    waiting: Vec<Waiting>,
    /// Changes that the hook has not been told of.
    news: VecDeque<Resized>,
    /// Somebody tells them.
    telling: bool,
}

/// To have `size` workers.
#[derive(Debug)]
struct Order {
    size: usize,
    ticket: Arc<Ticket>,
}

/// An order that has been carried out, and these seats have not been left yet.
#[derive(Debug)]
struct Waiting {
    ticket: Arc<Ticket>,
    resized: Resized,
    leavers: Vec<usize>,
}

/// How the staff gets at threads; the models have one without any.
pub(crate) trait Crew {
    /// A thread will come, or it is the one that carries out an order: it counts as present. Called under the lock.
    fn expect_one(&self);
    /// An expected thread does not come, or has carried out the order.
    fn expect_one_less(&self);
    /// Starts the thread for `seat`, which comes with `version`.
    fn start(&self, seat: usize, version: u64) -> io::Result<()>;
    /// Lets the workers of these seats know that they are asked.
    fn rouse(&self, seats: &[usize]);
}

/// Tickets to be written, once the lock is released.
#[must_use = "somebody waits for it"]
#[derive(Debug, Default)]
pub(crate) struct Outcomes(Vec<(Arc<Ticket>, Result<Resized, ResizeError>)>);

impl Outcomes {
    pub(crate) fn write(self) {
        for (ticket, outcome) in self.0 {
            ticket.write(outcome);
        }
    }
}

/// What a worker does that wanted to leave.
#[must_use]
#[derive(Debug)]
pub(crate) enum Leave {
    /// It goes, and writes these.
    Gone(Outcomes),
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
enum Begin {
    /// This, and those who are done with it already.
    Order(Order, Plan, Outcomes),
    Nothing,
    /// Somebody is at it.
    Elsewhere,
}

impl Staff {
    /// A book with `most` seats, of which the first `size` are taken already, and some more for `spares`.
    pub(crate) fn new(size: usize, most: usize, spares: usize) -> Self {
        let words: Box<[SeatWord]> = (0..most + spares).map(|_| SeatWord::new()).collect();
        for word in &words[..size] {
            let _ = word.want();
        }
        let book = Book {
            size,
            version: 0,
            phase: Phase::Running,
            orders: VecDeque::new(),
            at_it: false,
            spares: Vec::new(),
            waiting: Vec::new(),
            news: VecDeque::new(),
            telling: false,
        };
        Staff { words, most, taken: AtomicUsize::new(size), spares: AtomicUsize::new(0), book: Mutex::new(book) }
    }

    /// How many seats are taken now. Never zero.
    #[inline]
    pub(crate) fn taken(&self) -> usize {
        // Ordering: Relaxed — a figure.
        self.taken.load(Ordering::Relaxed)
    }

    /// How many of them by spares.
    pub(crate) fn spares(&self) -> usize {
        // Ordering: Relaxed — a figure.
        self.spares.load(Ordering::Relaxed)
    }

    /// How many are wanted.
    pub(crate) fn size(&self) -> usize {
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
    pub(crate) fn word(&self, seat: usize) -> &SeatWord {
        &self.words[seat]
    }

    /// Said by the thread of `seat` when it sits down...
    ///
    /// Under the lock, as [`Staff::meet`]: either the caller sees the seat, or its thread sees why it would have been called.
    pub(crate) fn sit(&self, seat: usize) {
        let _book = self.book.lock();
        self.words[seat].sit();
    }

    /// Said by whoever is about to call all seats, and has written down why: whoever sits down afterwards sees it.
    pub(crate) fn meet(&self) {
        drop(self.book.lock());
    }

    /// ...and when it gets up, before it hands over.
    pub(crate) fn get_up(&self, seat: usize) {
        self.words[seat].get_up();
    }

    /// The thread of `seat` has handed over, and would leave.
    pub(crate) fn leave(&self, seat: usize) -> Leave {
        let mut book = self.book.lock();
        if !self.words[seat].leave() {
            return Leave::Again;
        }
        self.count_off(1);
        book.spares.retain(|spare| spare.seat != seat);
        self.show_spares(&book);
        Leave::Gone(book.settle(seat))
    }

    /// Puts an order into the book; [`Staff::carry_out`] follows.
    pub(crate) fn order(&self, size: usize, ticket: Arc<Ticket>) -> Outcomes {
        let mut book = self.book.lock();
        match ResizeError::in_phase(book.phase) {
            Some(error) => Outcomes(vec![(ticket, Err(error))]),
            None => {
                book.orders.push_back(Order { size, ticket });
                Outcomes::default()
            }
        }
    }

    /// Carries out orders until there are none, or somebody is at it already: then he does. True if it has carried out any, and so closed the line to
    /// others: what they have left to it, and the news, are the caller's.
    pub(crate) fn carry_out(&self, crew: &impl Crew) -> bool {
        let mut carried = false;
        loop {
            let (order, plan, taken_back) = match self.begin(crew) {
                Begin::Order(order, plan, taken_back) => (order, plan, taken_back),
                Begin::Nothing | Begin::Elsewhere => return carried,
            };
            carried = true;
            taken_back.write();
            crew.rouse(&plan.asked);
            let refused = plan.start.iter().enumerate().find_map(|(nth, &seat)| {
                let error = crew.start(seat, plan.version).err()?;
                Some((nth, error))
            });
            let missing = refused.as_ref().map_or(0, |(nth, _)| plan.start.len() - nth);
            let (asked, outcomes) = self.conclude(order, &plan, refused);
            crew.rouse(&asked);
            outcomes.write();
            // Last: if the pool is being closed, this may be where it is cleared. And not before all threads have been filed.
            (0..missing + 1).for_each(|_| crew.expect_one_less());
        }
    }

    /// Takes the next order out and enters what it asks for.
    fn begin(&self, crew: &impl Crew) -> Begin {
        let mut book = self.book.lock();
        if book.at_it {
            return Begin::Elsewhere;
        }
        let Some(order) = book.orders.pop_front() else { return Begin::Nothing };
        book.at_it = true;
        crew.expect_one();
        let from = std::mem::replace(&mut book.size, order.size);
        let asked: Vec<usize> = (order.size..from).collect();
        asked.iter().for_each(|&seat| self.words[seat].ask());
        let mut start = Vec::new();
        let mut outcomes = Outcomes::default();
        for seat in from..order.size {
            match self.words[seat].want() {
                Want::Start => {
                    crew.expect_one();
                    start.push(seat);
                }
                Want::TakenBack => outcomes.0.extend(book.settle(seat).0),
            }
        }
        self.count_on(start.len());
        // A spare in one of these seats is a worker like the others from now on.
        book.spares.retain(|spare| spare.seat >= order.size);
        self.show_spares(&book);
        let version = book.version + 1;
        Begin::Order(order, Plan { from, start, asked, version }, outcomes)
    }

    /// Enters what came of it. Answers whom to rouse.
    fn conclude(&self, order: Order, plan: &Plan, refused: Option<(usize, io::Error)>) -> (Vec<usize>, Outcomes) {
        let mut book = self.book.lock();
        debug_assert!(book.at_it, "the line has been broken");
        book.at_it = false;
        let mut asked = Vec::new();
        if let Some((nth, _)) = refused {
            let missing = &plan.start[nth..];
            missing.iter().for_each(|&seat| self.words[seat].release());
            self.count_off(missing.len());
            // The workers are those of the lowest seats: who had been taken back above the gap is asked again.
            asked.extend((missing[0]..order.size).filter(|seat| !missing.contains(seat)));
            asked.iter().for_each(|&seat| self.words[seat].ask());
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
                book.waiting.push(Waiting { ticket: order.ticket, resized, leavers });
                return (asked, Outcomes::default());
            }
        };
        (asked, Outcomes(vec![(order.ticket, outcome)]))
    }

    /// Tells `hook` of all changes, in order, unless somebody does. No lock is held meanwhile.
    pub(crate) fn tell_news(&self, hook: impl Fn(Resized)) {
        loop {
            let mut book = self.book.lock();
            if book.telling {
                return;
            }
            let Some(resized) = book.news.pop_front() else { return };
            book.telling = true;
            drop(book);
            contained("an after_resize hook", || hook(resized));
            self.book.lock().telling = false;
        }
    }

    /// The pool has come to `phase`, in which there are no more orders. Whoever waits is told why.
    pub(crate) fn stop(&self, phase: Phase) -> Outcomes {
        let mut book = self.book.lock();
        book.phase = book.phase.max(phase);
        let orders = std::mem::take(&mut book.orders).into_iter().map(|order| order.ticket);
        let waiting = std::mem::take(&mut book.waiting).into_iter().map(|waiting| waiting.ticket);
        let error = |ticket| Some((ticket, Err(ResizeError::in_phase(book.phase)?)));
        Outcomes(orders.chain(waiting).filter_map(error).collect())
    }

    pub(super) fn count_on(&self, workers: usize) {
        // Ordering: Relaxed — a figure, written under the lock.
        self.taken.fetch_add(workers, Ordering::Relaxed);
    }

    pub(super) fn count_off(&self, workers: usize) {
        // Ordering: Relaxed — a figure, written under the lock.
        self.taken.fetch_sub(workers, Ordering::Relaxed);
    }

    pub(super) fn show_spares(&self, book: &Book) {
        // Ordering: Relaxed — a figure, written under the lock.
        self.spares.store(book.spares.len(), Ordering::Relaxed);
    }
}

impl Book {
    /// Nobody waits any more for `seat` to be left. Answers those who waited for nothing else.
    fn settle(&mut self, seat: usize) -> Outcomes {
        for waiting in &mut self.waiting {
            waiting.leavers.retain(|&leaver| leaver != seat);
        }
        let (done, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|one| one.leavers.is_empty());
        self.waiting = waiting;
        let done: Vec<Waiting> = done;
        Outcomes(done.into_iter().map(|one| (one.ticket, Ok(one.resized))).collect())
    }
}
