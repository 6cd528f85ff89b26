//! Workers that leave and come: what was left to them is done by others. See docs/resize.md.
//!
//! Whole workers are too large for the engine. Leaving, claiming and custody are made of the same parts here as in a server: the seat
//! word, the idle word, parkers, a ring, wheels, the book. Nobody sleeps with a time limit: what is lost is a deadlock.

use std::cell::RefCell;
use std::io;
use std::time::Instant;

use super::support::{Haul, Ledger, parcels, start};
use crate::clock::Clock;
use crate::idle::{Idle, Retract};
use crate::park::{Drive, Parker, Unpark};
use crate::phase::Phase;
use crate::pool::{Crew, Heirs, Leave, ResizeError, Resized, SeatWord, Staff, Ticket, Want, Wards, bequeath};
use crate::queue::{Chain, GlobalQueue, LifoSlot, Ring, Rota};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Arc, Condvar, Mutex, UnsafeCell, model, thread};
use crate::timer::{Keeper, State, Timer, TimerWheel};

// ------------------------------------------------------------------------------------------------------ retire × others

/// Two seats, a queue of which only the length matters, and a reactor that consists of its pending events.
///
/// Seat 0 is the one that is left: a submitter wakes the lowest, so it is the leaver that gets the wake-ups.
struct House {
    idle: Idle,
    parkers: [Parker; 2],
    word: SeatWord,
    queued: AtomicUsize,
    chair: Mutex<()>,
    pending: Mutex<usize>,
    come: Condvar,
    /// The piece of work, or the event, has found somebody.
    done: AtomicBool,
}

const LEAVER: usize = 0;
const STAYER: usize = 1;

impl House {
    fn new() -> Arc<House> {
        let house = House {
            idle: Idle::new(2),
            parkers: [Parker::new(), Parker::new()],
            word: SeatWord::new(),
            queued: AtomicUsize::new(0),
            chair: Mutex::new(()),
            pending: Mutex::new(0),
            come: Condvar::new(),
            done: AtomicBool::new(false),
        };
        let _ = house.word.want();
        house.word.sit();
        Arc::new(house)
    }

    fn submit(&self) {
        // Ordering: Relaxed — as `GlobalQueue`.
        self.queued.fetch_add(1, Ordering::Relaxed);
        self.notify();
    }

    fn notify(&self) {
        if let Some(seat) = self.idle.handshake() {
            self.unpark(seat);
        }
    }

    fn unpark(&self, seat: usize) {
        if self.parkers[seat].unpark() == Unpark::Interrupt {
            self.post(0);
        }
    }

    /// What a resize does.
    fn ask(&self) {
        self.word.ask();
        self.unpark(LEAVER);
    }

    /// An event, or an interrupt, that counts for `worth`.
    fn post(&self, worth: usize) {
        *self.pending.lock() += worth + INTERRUPT;
        self.come.notify_one();
    }

    fn sees_work(&self) -> bool {
        // Ordering: Relaxed — as `GlobalQueue::len`.
        self.queued.load(Ordering::Relaxed) > 0
    }

    fn take(&self) -> bool {
        self.sees_work() && self.queued.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1)).is_ok()
    }

    fn finish(&self) {
        self.done.store(true, Ordering::Release);
        self.unpark(STAYER);
    }

    fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// Leaves, with `left` tasks in the ring.
    fn vacate(&self, left: usize) {
        let (owner, _) = Ring::ends();
        parcels(left).into_iter().for_each(|task| assert!(owner.push(task).is_ok()));
        self.word.get_up();
        bequeath(&LifoSlot::new(), &owner, self);
        assert!(self.word.leave(), "nobody wants it back");
    }

    /// The loop of a worker that has nothing, until the work is done, or until it has to leave.
    fn work(&self, seat: usize, mut searching: bool) {
        loop {
            if self.is_done() {
                break;
            }
            if seat == LEAVER && !self.word.is_wanted() {
                if searching {
                    let _ = self.idle.found();
                }
                return self.vacate(0);
            }
            if self.take() {
                self.finish();
                break;
            }
            self.idle.announce(seat, searching);
            searching = self.rise(seat);
        }
        if searching {
            let _ = self.idle.found();
        }
    }

    /// From the announcement on. Whether it is a searcher then.
    fn rise(&self, seat: usize) -> bool {
        let work = self.sees_work();
        if !work {
            self.rest(seat);
        }
        self.idle.retract(seat, work) == Retract::Searching
    }

    /// In the reactor if nobody else is there, else on the parker.
    fn rest(&self, seat: usize) {
        let Some(chair) = self.chair.try_lock() else { return self.parkers[seat].park(None) };
        let mut turn = Turn { house: self, brought: 0 };
        self.parkers[seat].park_in(&mut turn, None);
        let brought = turn.brought;
        drop(chair);
        if brought > 0 {
            self.finish();
        }
    }
}

impl Heirs for House {
    fn take_tasks(&self, tasks: Chain) {
        // Ordering: Relaxed — as `GlobalQueue`.
        self.queued.fetch_add(tasks.len(), Ordering::Relaxed);
    }

    fn take_wheel(&self) {}

    fn notify(&self) {
        House::notify(self);
    }
}

/// What an interrupt counts for: nothing, but it ends the wait.
const INTERRUPT: usize = 1 << 8;

struct Turn<'a> {
    house: &'a House,
    brought: usize,
}

impl Drive for Turn<'_> {
    fn rest(&mut self, _: Option<Instant>) {
        let mut pending = self.house.pending.lock();
        while *pending == 0 {
            self.house.come.wait(&mut pending);
        }
        self.brought += std::mem::take(&mut *pending) % INTERRUPT;
    }
}

/// Both sleep on their parkers; `run` is what happens to them.
fn asleep(run: fn(&House)) {
    model(move || {
        let house = House::new();
        // A third one sits in the reactor, and stays out of it.
        let chair = house.chair.lock();
        house.idle.announce(LEAVER, false);
        house.idle.announce(STAYER, false);
        let workers = [LEAVER, STAYER].map(|seat| {
            let house = Arc::clone(&house);
            start(move || {
                let searching = house.rise(seat);
                house.work(seat, searching);
            })
        });
        run(&house);
        workers.into_iter().for_each(|worker| worker.join().expect("a worker"));
        drop(chair);
    });
}

/// retire × notify: the submitter clears the bit of one who is to leave, before or after he has heard of it.
#[test]
fn a_wake_granted_to_a_leaver_is_passed_on() {
    asleep(|house| {
        house.ask();
        house.submit();
    });
    asleep(|house| {
        house.submit();
        house.ask();
    });
}

/// retire × submit: the submitter sees a searcher, who is to leave.
#[test]
fn a_submit_that_relies_on_a_leaver_is_taken() {
    model(|| {
        let house = House::new();
        assert!(house.idle.try_search(2));
        house.word.ask();
        let workers = [(LEAVER, true), (STAYER, false)].map(|(seat, searching)| {
            let house = Arc::clone(&house);
            start(move || house.work(seat, searching))
        });
        house.submit();
        workers.into_iter().for_each(|worker| worker.join().expect("a worker"));
    });
}

/// retire × rest: what the leaver hands over comes while the other one looks for the last time.
#[test]
fn what_a_leaver_hands_over_wakes_whoever_rests() {
    model(|| {
        let house = House::new();
        house.word.ask();
        let stayer = Arc::clone(&house);
        let stayer = start(move || {
            let searching = stayer.idle.try_search(2);
            stayer.work(STAYER, searching);
        });
        house.vacate(1);
        stayer.join().expect("the stayer");
    });
}

/// retire × the reactor's chair: the leaver sits in it, the other one has gone to its parker for that reason. An event comes.
#[test]
fn the_chair_of_a_leaver_is_taken() {
    model(|| {
        let house = House::new();
        house.idle.announce(LEAVER, false);
        let workers = [LEAVER, STAYER].map(|seat| {
            let house = Arc::clone(&house);
            start(move || {
                if seat == STAYER {
                    house.idle.announce(seat, false);
                }
                let searching = house.rise(seat);
                house.work(seat, searching);
            })
        });
        house.ask();
        house.post(1);
        workers.into_iter().for_each(|worker| worker.join().expect("a worker"));
    });
}

struct Queue(Arc<GlobalQueue>);

impl Heirs for Queue {
    fn take_tasks(&self, tasks: Chain) {
        self.0.push_chain(tasks);
    }
    fn take_wheel(&self) {}
    fn notify(&self) {}
}

/// retire × steal: ring and slot are emptied into the global queue while a thief takes from the ring.
#[test]
fn what_a_leaver_leaves_is_taken_or_stolen_once() {
    model(|| {
        let (owner, thief) = Ring::ends();
        let (slot, global) = (LifoSlot::new(), Arc::new(GlobalQueue::new(1)));
        let mut tasks = parcels(4);
        let ledger = Ledger::of(&tasks);
        assert!(slot.push(tasks.pop().expect("a task")).is_none());
        tasks.into_iter().for_each(|task| assert!(owner.push(task).is_ok()));
        let heirs = Queue(Arc::clone(&global));
        let queue = Arc::clone(&global);
        let robber = start(move || {
            let (into, _) = Ring::ends();
            let mut haul = Haul::new();
            haul.extend(thief.steal(&into, 1));
            haul.extend(std::iter::from_fn(|| into.pop()));
            let mut chain = queue.take(&Rota::new(0), 1);
            haul.extend(std::iter::from_fn(|| chain.pop()));
            haul
        });
        bequeath(&slot, &owner, &heirs);
        assert!(owner.len() == 0 && slot.is_empty());
        let mut haul = robber.join().expect("the robber");
        let mut rest = global.take(&Rota::new(0), 4);
        haul.extend(std::iter::from_fn(|| rest.pop()));
        ledger.balances(haul);
    });
}

// ------------------------------------------------------------------------------------------------------ grow × others

/// grow × the last searcher: two pieces are left to a searcher, who takes one; a worker comes, and takes the other.
#[test]
fn a_worker_that_comes_sees_what_the_last_searcher_left() {
    model(|| {
        let house = House::new();
        assert!(house.idle.try_search(2));
        let obtain = |house: &House, seat: usize, mut searching: bool| {
            while !house.take() {
                house.idle.announce(seat, searching);
                searching = if house.sees_work() {
                    house.idle.retract(seat, true) == Retract::Searching
                } else {
                    house.parkers[seat].park(None);
                    house.idle.retract(seat, false) == Retract::Searching
                };
            }
            if searching && house.idle.found() && house.sees_work() {
                house.notify();
            }
        };
        let searcher = Arc::clone(&house);
        let searcher = start(move || obtain(&searcher, 0, true));
        house.submit();
        let comer = Arc::clone(&house);
        let comer = start(move || {
            let searching = comer.idle.try_search(2);
            obtain(&comer, 1, searching);
        });
        house.submit();
        searcher.join().expect("the searcher");
        comer.join().expect("the new worker");
    });
}

/// grow × retire: the seat is wanted again while its worker leaves. The lease, a plain cell, has one holder at a time, and one in the end.
#[test]
fn a_seat_that_is_wanted_again_has_one_worker() {
    struct Place {
        word: SeatWord,
        lease: UnsafeCell<usize>,
    }
    // SAFETY: the lease is touched by whoever sits in the seat; the engine checks it.
    unsafe impl Sync for Place {}
    // SAFETY: as above.
    unsafe impl Send for Place {}

    impl Place {
        fn sit(&self) {
            self.word.sit();
            // SAFETY: this thread sits in the seat.
            self.lease.with_mut(|sitters| unsafe { *sitters += 1 });
        }

        /// Whether it has left.
        fn leave(&self) -> bool {
            self.word.get_up();
            // SAFETY: this thread has not left the seat.
            self.lease.with_mut(|sitters| unsafe { *sitters -= 1 });
            self.word.leave()
        }
    }

    model(|| {
        let place = Arc::new(Place { word: SeatWord::new(), lease: UnsafeCell::new(0) });
        assert_eq!(place.word.want(), Want::Start);
        place.sit();
        place.word.ask();
        let leaver = Arc::clone(&place);
        let leaver = start(move || {
            let again = !leaver.leave();
            if again {
                leaver.sit();
            }
            again
        });
        let fresh = place.word.want() == Want::Start;
        if fresh {
            place.sit();
        }
        let again = leaver.join().expect("the leaver");
        assert_ne!(fresh, again);
        assert!(place.word.is_wanted() && place.word.is_taken());
        // SAFETY: nobody else is left.
        place.lease.with(|sitters| assert_eq!(unsafe { *sitters }, 1));
    });
}

// ------------------------------------------------------------------------------------------------------------- wards

const SOON: u64 = 1 << 40;
const LATE: u64 = 1 << 50;

/// A token, and a sleep without an end of its own.
struct Token {
    set: Mutex<bool>,
    rang: Condvar,
}

impl Token {
    fn new() -> Arc<Token> {
        Arc::new(Token { set: Mutex::new(false), rang: Condvar::new() })
    }

    fn park(&self) {
        let mut set = self.set.lock();
        while !*set {
            self.rang.wait(&mut set);
        }
        *set = false;
    }

    fn wake(&self) {
        *self.set.lock() = true;
        self.rang.notify_one();
    }
}

/// What `SeatKeeper` does: wakes the seat's worker, and whoever sleeps in the reactor if the wheel is a ward.
struct SeatKeeper {
    wards: Arc<Wards>,
    worker: Arc<Token>,
    reactor: Arc<Token>,
}

impl Keeper for SeatKeeper {
    fn wake(&self) {
        self.worker.wake();
        if self.wards.has(LEAVER) {
            self.reactor.wake();
        }
    }
}

/// A seat's wheel with one timer, and the two who may keep it.
struct Custody {
    wards: Arc<Wards>,
    worker: Arc<Token>,
    reactor: Arc<Token>,
    wheel: Arc<TimerWheel>,
    timer: std::pin::Pin<Box<Timer>>,
}

impl Custody {
    fn new(deadline: u64) -> Custody {
        let (wards, worker, reactor) = (Arc::new(Wards::new()), Token::new(), Token::new());
        let keeper =
            SeatKeeper { wards: Arc::clone(&wards), worker: Arc::clone(&worker), reactor: Arc::clone(&reactor) };
        let wheel = Arc::new(TimerWheel::new(Clock::new(), Arc::new(keeper)));
        let mut timer = Box::pin(Timer::new());
        let at = wheel.clock().instant(deadline).expect("a nameable instant");
        assert_eq!(timer.as_mut().arm(Arc::clone(&wheel), at, std::task::Waker::noop()), State::Armed);
        Custody { wards, worker, reactor, wheel, timer }
    }

    fn reset(&mut self, deadline: u64) {
        let at = self.wheel.clock().instant(deadline).expect("a nameable instant");
        self.timer.as_mut().reset(at);
    }
}

/// Sleeps in the reactor until it would sleep no longer than to `SOON`.
fn keep_from_the_reactor(wards: &Wards, reactor: &Token) {
    while wards.keep().is_none_or(|until| until > SOON + crate::wheel::TICK) {
        reactor.park();
        wards.resume();
    }
}

/// The leaver's wheel becomes a ward while the keeper goes to sleep.
#[test]
fn a_wards_timer_is_not_slept_past() {
    model(|| {
        let custody = Custody::new(SOON);
        let (wards, reactor) = (Arc::clone(&custody.wards), Arc::clone(&custody.reactor));
        let keeper = start(move || keep_from_the_reactor(&wards, &reactor));
        assert!(custody.wards.admit(LEAVER, &custody.wheel));
        custody.reactor.wake();
        keeper.join().expect("the keeper");
    });
}

/// A timer on a vacant seat's wheel is reset while the keeper goes to sleep.
#[test]
fn a_ward_reset_to_an_earlier_time_ends_the_keepers_sleep() {
    model(|| {
        let mut custody = Custody::new(LATE);
        assert!(custody.wards.admit(LEAVER, &custody.wheel));
        let (wards, reactor) = (Arc::clone(&custody.wards), Arc::clone(&custody.reactor));
        let keeper = start(move || keep_from_the_reactor(&wards, &reactor));
        custody.reset(SOON);
        keeper.join().expect("the keeper");
    });
}

/// The seat is taken again while the keeper sleeps with a note in its wheel, and comes to; its worker goes to sleep with a note of its own,
/// and the timer is reset.
#[test]
fn a_keeper_leaves_the_note_of_a_seat_that_is_taken_again() {
    model(|| {
        let mut custody = Custody::new(LATE);
        assert!(custody.wards.admit(LEAVER, &custody.wheel));
        assert!(custody.wards.keep().is_some());
        let wards = Arc::clone(&custody.wards);
        let keeper = start(move || wards.resume());
        let (wards, wheel, token) =
            (Arc::clone(&custody.wards), Arc::clone(&custody.wheel), Arc::clone(&custody.worker));
        let worker = start(move || {
            wards.dismiss(LEAVER);
            while wheel.keep().is_none_or(|until| until > SOON + crate::wheel::TICK) {
                token.park();
                wheel.resume();
            }
        });
        custody.reset(SOON);
        keeper.join().expect("the keeper");
        worker.join().expect("the worker");
    });
}

// ---------------------------------------------------------------------------------------------------------- the book

/// Threads that come at once, and leave as soon as they are asked.
struct Prompt<'a>(&'a Staff);

impl Crew for Prompt<'_> {
    fn expect_one(&self) {}

    fn expect_one_less(&self) {
        unreachable!("nobody is refused");
    }

    fn start(&self, seat: usize, _: u64) -> io::Result<()> {
        self.0.sit(seat);
        Ok(())
    }

    fn rouse(&self, seats: &[usize]) {
        for &seat in seats {
            self.0.get_up(seat);
            match self.0.leave(seat) {
                Leave::Gone(outcomes) => outcomes.write(),
                Leave::Again => self.0.sit(seat),
            }
        }
    }
}

/// Threads that never leave.
struct Slow;

impl Crew for Slow {
    fn expect_one(&self) {}
    fn expect_one_less(&self) {}
    fn start(&self, _: usize, _: u64) -> io::Result<()> {
        Ok(())
    }
    fn rouse(&self, _: &[usize]) {}
}

fn order(staff: &Staff, size: usize) -> Arc<Ticket> {
    let ticket = Arc::new(Ticket::new());
    staff.order(size, Arc::clone(&ticket)).write();
    ticket
}

fn resize(staff: &Staff, size: usize) -> Resized {
    let ticket = order(staff, size);
    staff.carry_out(&Prompt(staff));
    ticket.wait().expect("nobody is refused")
}

/// resize × resize: both are carried out, one after the other, and each is told what it did.
#[test]
fn two_resizes_are_in_line() {
    for (one, other) in [(3, 1), (1, 1)] {
        model(move || {
            let staff = Arc::new(Staff::new(2, 3, 0));
            (0..2).for_each(|seat| staff.sit(seat));
            let second = Arc::clone(&staff);
            let second = start(move || resize(&second, other));
            let mut told = [resize(&staff, one), second.join().expect("the other")];
            told.sort_by_key(|resized| (resized.version, resized.from == resized.to));
            assert_eq!((told[0].from, told[0].version), (2, 1));
            assert_eq!(told[1].from, told[0].to);
            assert_eq!(told[1].version, if told[1].from == told[1].to { 1 } else { 2 });
            assert_eq!(staff.taken(), told[1].to);
            for seat in 0..3 {
                assert_eq!(staff.is_taken(seat), seat < told[1].to);
                assert_eq!(staff.is_wanted(seat), seat < told[1].to);
            }
            let news = RefCell::new(Vec::new());
            staff.tell_news(|resized| news.borrow_mut().push(resized));
            let changes = told.iter().filter(|resized| resized.from != resized.to).copied();
            assert_eq!(news.into_inner(), changes.collect::<Vec<_>>());
        });
    }
}

/// Threads that leave in their own time once they are asked.
struct Leisurely {
    staff: Arc<Staff>,
    leaving: RefCell<Vec<thread::JoinHandle<()>>>,
}

impl Crew for Leisurely {
    fn expect_one(&self) {}

    fn expect_one_less(&self) {
        unreachable!("nobody is refused");
    }

    fn start(&self, seat: usize, _: u64) -> io::Result<()> {
        self.staff.sit(seat);
        Ok(())
    }

    fn rouse(&self, seats: &[usize]) {
        for &seat in seats {
            let staff = Arc::clone(&self.staff);
            self.leaving.borrow_mut().push(start(move || Prompt(&staff).rouse(&[seat])));
        }
    }
}

/// shrink × leave, and shrink × grow × leave: who waits for the leaver is answered, whether it leaves or is wanted again.
#[test]
fn a_resize_is_answered_when_its_leaver_has_left_or_is_wanted_again() {
    for grows in [false, true] {
        model(move || {
            let staff = Arc::new(Staff::new(2, 2, 0));
            (0..2).for_each(|seat| staff.sit(seat));
            let crew = Leisurely { staff: Arc::clone(&staff), leaving: RefCell::default() };
            let down = order(&staff, 1);
            staff.carry_out(&crew);
            if grows {
                let up = order(&staff, 2);
                staff.carry_out(&crew);
                assert_eq!(up.wait().expect("nobody is refused").version, 2);
            }
            assert_eq!(down.wait().expect("nobody is refused").version, 1);
            crew.leaving.into_inner().into_iter().for_each(|leaver| leaver.join().expect("the leaver"));
            assert_eq!(staff.taken(), 1 + usize::from(grows));
        });
    }
}

/// resize × close: whoever waits for a worker that does not leave, or that leaves at this moment, has one answer.
#[test]
fn a_resize_that_waits_is_told_of_the_end() {
    for leaves in [true, false] {
        model(move || {
            let staff = Arc::new(Staff::new(2, 2, 0));
            (0..2).for_each(|seat| staff.sit(seat));
            let caller = Arc::clone(&staff);
            let caller = start(move || {
                let ticket = order(&caller, 1);
                caller.carry_out(&Slow);
                if leaves && !caller.is_wanted(1) {
                    caller.get_up(1);
                    let Leave::Gone(outcomes) = caller.leave(1) else { panic!("nobody wants it back") };
                    outcomes.write();
                }
                ticket.wait()
            });
            staff.stop(Phase::Cancelling).write();
            match caller.join().expect("the caller") {
                Ok(resized) => assert!(leaves && (resized.from, resized.to) == (2, 1)),
                Err(error) => assert!(matches!(error, ResizeError::ShutDown)),
            }
            let late = order(&staff, 2);
            staff.carry_out(&Slow);
            assert!(matches!(late.wait(), Err(ResizeError::ShutDown)));
        });
    }
}
