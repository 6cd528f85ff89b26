//! The timer by hand: a wheel, chosen times, counted wakes.

use std::pin::{Pin, pin};
use std::task::Wake;
use std::time::{Duration, Instant};

use super::*;
use crate::sync::statics::AtomicUsize;
use crate::timer::wheel::TICK;

/// Counts: wakes if used as a waker, calls if used as a keeper.
#[derive(Default)]
pub(crate) struct Count(AtomicUsize);

impl Count {
    pub(crate) fn new() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        (count, waker)
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl SleeperWaker for Count {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

pub(crate) const HOUR: u64 = 3600 * 1_000_000_000;

/// A wheel whose keeper counts its calls, and whose clock stands near zero for as long as a test
/// lasts.
pub(crate) fn wheel() -> (Arc<TimerWheel>, Arc<Count>) {
    let sleeper_waker = Arc::new(Count::default());
    (Arc::new(TimerWheel::new(Clock::new(), sleeper_waker.clone())), sleeper_waker)
}

pub(crate) fn at(wheel: &TimerWheel, nanos: u64) -> Instant {
    wheel.clock().real_deadline(Some(nanos)).expect("a nameable instant")
}

/// Turns, wakes, and returns the next deadline.
pub(crate) fn turn(wheel: &TimerWheel, now: u64) -> Option<u64> {
    let mut wakes = WakeList::new();
    wheel.turn(now, &mut wakes)
}

fn arm(timer: Pin<&mut Timer>, wheel: &Arc<TimerWheel>, nanos: u64, waker: &Waker) -> State {
    timer.arm(Arc::clone(wheel), at(wheel, nanos), waker)
}

#[test]
fn an_armed_timer_fires_once_and_not_before_its_time() {
    let (wheel, _) = wheel();
    let (count, waker) = Count::new();
    let mut timer = pin!(Timer::new());
    assert_eq!(wheel.next_due(), u64::MAX);
    assert_eq!(arm(timer.as_mut(), &wheel, HOUR, &waker), State::Armed);
    let due = wheel.next_due();
    assert!((HOUR..HOUR + TICK).contains(&due));
    assert_eq!(turn(&wheel, HOUR - 1), Some(due));
    assert_eq!((timer.state(), count.get()), (State::Armed, 0));
    assert_eq!(turn(&wheel, due), None);
    assert_eq!((timer.state(), count.get()), (State::Fired, 1));
    assert_eq!(turn(&wheel, 2 * HOUR), None);
    assert_eq!((count.get(), wheel.next_due()), (1, u64::MAX));
}

#[test]
fn a_cancelled_timer_leaves_nothing_behind() {
    let (wheel, _) = wheel();
    let (count, waker) = Count::new();
    let mut timer = Box::pin(Timer::new());
    let _ = arm(timer.as_mut(), &wheel, HOUR, &waker);
    assert_eq!(Arc::strong_count(&count), 3);
    timer.as_mut().cancel();
    assert_eq!((timer.state(), Arc::strong_count(&count)), (State::Idle, 2));
    let _ = arm(timer.as_mut(), &wheel, HOUR, &waker);
    drop(timer);
    assert_eq!(Arc::strong_count(&count), 2);
    assert_eq!(Arc::strong_count(&wheel), 1);
    assert_eq!(turn(&wheel, 2 * HOUR), None);
    assert_eq!(count.get(), 0);
}

#[test]
fn the_keeper_is_woken_only_out_of_a_sleep_that_is_too_long_and_once() {
    let (wheel, sleeper_waker) = wheel();
    let (_, waker) = Count::new();
    let mut timers: Vec<_> = (0..6).map(|_| Box::pin(Timer::new())).collect();
    let mut arm = |timer: usize, nanos| assert_eq!(arm(timers[timer].as_mut(), &wheel, nanos, &waker), State::Armed);
    arm(0, 5 * HOUR);
    assert_eq!(sleeper_waker.get(), 0, "it is awake");
    assert!(wheel.begin_sleep().expect("one is armed") >= 5 * HOUR);
    arm(1, 6 * HOUR);
    arm(2, 5 * HOUR);
    assert_eq!(sleeper_waker.get(), 0, "it wakes in time");
    arm(3, 4 * HOUR);
    assert_eq!(sleeper_waker.get(), 1);
    arm(4, 3 * HOUR);
    assert_eq!(sleeper_waker.get(), 1, "it is on its way");
    wheel.end_sleep();
    arm(5, HOUR);
    assert_eq!(sleeper_waker.get(), 1);
    assert!((HOUR..HOUR + TICK).contains(&wheel.begin_sleep().expect("one is armed")));
}

/// Counts the calls to keeper and guardian.
#[derive(Default)]
struct Both([Arc<Count>; 2]);

impl SleeperWaker for Both {
    fn wake(&self) {
        SleeperWaker::wake(&*self.0[0]);
    }

    fn wake_backup(&self) {
        SleeperWaker::wake(&*self.0[1]);
    }
}

#[test]
fn keeper_and_guardian_are_woken_each_out_of_its_own_sleep() {
    let (sleeper_waker, guardian) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let wheel = Arc::new(TimerWheel::new(Clock::new(), Arc::new(Both([sleeper_waker.clone(), guardian.clone()]))));
    let (_, waker) = Count::new();
    let mut timers: Vec<_> = (0..4).map(|_| Box::pin(Timer::new())).collect();
    let mut arm = |timer: usize, nanos| assert_eq!(arm(timers[timer].as_mut(), &wheel, nanos, &waker), State::Armed);
    let calls = || (sleeper_waker.get(), guardian.get());
    arm(0, 5 * HOUR);
    let _ = wheel.begin_backup_sleep();
    arm(1, 4 * HOUR);
    assert_eq!(calls(), (0, 1));
    let _ = (wheel.begin_sleep(), wheel.begin_backup_sleep());
    wheel.end_backup_sleep();
    arm(2, 3 * HOUR);
    assert_eq!(calls(), (1, 1));
    let _ = (wheel.begin_sleep(), wheel.begin_backup_sleep());
    wheel.end_sleep();
    arm(3, 2 * HOUR);
    assert_eq!(calls(), (1, 2));
}

#[test]
fn a_keeper_without_timers_is_woken_by_the_first() {
    let (wheel, sleeper_waker) = wheel();
    let (_, waker) = Count::new();
    assert_eq!(wheel.begin_sleep(), None);
    let mut timer = pin!(Timer::new());
    let _ = arm(timer.as_mut(), &wheel, HOUR, &waker);
    assert_eq!(sleeper_waker.get(), 1);
}

#[test]
fn a_reset_moves_an_armed_timer_with_its_waker() {
    let (wheel, sleeper_waker) = wheel();
    let (count, waker) = Count::new();
    let mut timer = pin!(Timer::new());
    let _ = arm(timer.as_mut(), &wheel, 5 * HOUR, &waker);
    let _ = wheel.begin_sleep();
    let earlier = at(&wheel, HOUR);
    timer.as_mut().reset(earlier);
    assert_eq!(sleeper_waker.get(), 1, "a reset to an earlier time is an earlier timer");
    turn(&wheel, 2 * HOUR);
    assert_eq!((timer.state(), count.get()), (State::Fired, 1));
    // One that has fired only becomes idle; nobody waits for it.
    timer.as_mut().reset(at(&wheel, 3 * HOUR));
    assert_eq!((timer.state(), wheel.next_due()), (State::Idle, u64::MAX));
    // Later, and then into the past.
    let _ = arm(timer.as_mut(), &wheel, 3 * HOUR, &waker);
    timer.as_mut().reset(at(&wheel, 9 * HOUR));
    turn(&wheel, 4 * HOUR);
    assert_eq!(count.get(), 1);
    timer.as_mut().reset(at(&wheel, HOUR));
    turn(&wheel, 4 * HOUR);
    assert_eq!((timer.state(), count.get()), (State::Fired, 2));
}

#[test]
fn the_last_waker_is_woken() {
    let (wheel, _) = wheel();
    let (first, first_waker) = Count::new();
    let (second, second_waker) = Count::new();
    let mut timer = pin!(Timer::new());
    let _ = arm(timer.as_mut(), &wheel, HOUR, &first_waker);
    assert_eq!(timer.as_mut().update_waker(&first_waker), State::Armed);
    assert_eq!(Arc::strong_count(&first), 3, "the same waker is not cloned");
    assert_eq!(timer.as_mut().update_waker(&second_waker), State::Armed);
    assert_eq!(Arc::strong_count(&first), 2, "the old waker is dropped at once");
    turn(&wheel, 2 * HOUR);
    assert_eq!((first.get(), second.get()), (0, 1));
    assert_eq!(timer.as_mut().update_waker(&first_waker), State::Fired);
    assert_eq!(Arc::strong_count(&first), 2);
}

#[test]
fn a_closed_wheel_ends_what_is_armed_and_refuses_the_rest() {
    let (wheel, _) = wheel();
    let (count, waker) = Count::new();
    let mut timers: Vec<_> = (0..3 * BATCH).map(|_| Box::pin(Timer::new())).collect();
    for (n, timer) in timers.iter_mut().enumerate() {
        let _ = arm(timer.as_mut(), &wheel, n as u64 * HOUR / 2, &waker);
    }
    let mut wakes = WakeList::new();
    wheel.close_wheel(&mut wakes);
    assert_eq!((count.get(), wakes.len()), (0, 3 * BATCH));
    wakes.wake_all();
    assert!(timers.iter().all(|timer| timer.state() == State::Closed));
    assert_eq!((count.get(), wheel.next_due(), wheel.begin_sleep()), (3 * BATCH, u64::MAX, None));
    let mut late = pin!(Timer::new());
    assert_eq!(arm(late.as_mut(), &wheel, HOUR, &waker), State::Closed);
    assert_eq!(Arc::strong_count(&count), 2);
    // It may be used elsewhere.
    let (other, _) = self::wheel();
    late.as_mut().reset(at(&other, HOUR));
    assert_eq!(arm(late.as_mut(), &other, HOUR, &waker), State::Armed);
    timers.clear();
}

#[test]
fn ten_thousand_timers_of_one_slot_fire_in_batches() {
    let (wheel, _) = wheel();
    let (count, waker) = Count::new();
    let mut timers: Vec<_> = (0..10_000).map(|_| Box::pin(Timer::new())).collect();
    for timer in &mut timers {
        let _ = arm(timer.as_mut(), &wheel, HOUR, &waker);
    }
    let mut wakes = WakeList::new();
    let mut holds = 1;
    while !wheel.held.lock().fire(2 * HOUR, &mut wakes) {
        assert!(wakes.len() <= holds * BATCH);
        holds += 1;
    }
    assert!(holds >= 10_000 / BATCH);
    wakes.wake_all();
    assert_eq!(count.get(), 10_000);
}

/// A waker that, on clone, wake and drop, arms and cancels a timer on the very wheel that holds it.
struct Evil {
    wheel: Arc<TimerWheel>,
    calls: AtomicUsize,
}

impl Evil {
    fn act(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let mut timer = Box::pin(Timer::new());
        let _ = arm(timer.as_mut(), &self.wheel, HOUR, Waker::noop());
        timer.as_mut().reset(at(&self.wheel, 2 * HOUR));
        turn(&self.wheel, 0);
    }

    fn waker(self: Arc<Self>) -> Waker {
        use std::task::{RawWaker, RawWakerVTable};
        unsafe fn clone(data: *const ()) -> RawWaker {
            // SAFETY: a waker's data is an evil's box.
            let evil = unsafe { &*data.cast::<Arc<Evil>>() };
            evil.act();
            RawWaker::new(Box::into_raw(Box::new(Arc::clone(evil))).cast(), &VTABLE)
        }
        unsafe fn wake(data: *const ()) {
            // SAFETY: as above; a wake by value is also the drop.
            unsafe { wake_by_ref(data) };
            // SAFETY: as above.
            unsafe { drop_waker(data) };
        }
        unsafe fn wake_by_ref(data: *const ()) {
            // SAFETY: a waker's data is an evil's box.
            unsafe { &*data.cast::<Arc<Evil>>() }.act();
        }
        unsafe fn drop_waker(data: *const ()) {
            // SAFETY: a waker's data is an evil's box, and is dropped once.
            unsafe { Box::from_raw(data.cast_mut().cast::<Arc<Evil>>()) }.act();
        }
        static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);
        // SAFETY: the four functions keep the contract: each owns one box, and evils can go
        // anywhere.
        unsafe { Waker::from_raw(RawWaker::new(Box::into_raw(Box::new(self)).cast(), &VTABLE)) }
    }
}

#[test]
fn an_evil_waker_finds_no_lock_held() {
    let (wheel, _) = wheel();
    let evil = || Arc::new(Evil { wheel: Arc::clone(&wheel), calls: AtomicUsize::new(0) });
    let (one, two) = (evil(), evil());
    let (first, second) = (Arc::clone(&one).waker(), Arc::clone(&two).waker());
    let mut timer = Box::pin(Timer::new());
    let _ = arm(timer.as_mut(), &wheel, HOUR, &first);
    let _ = timer.as_mut().update_waker(&second);
    timer.as_mut().cancel();
    let _ = arm(timer.as_mut(), &wheel, HOUR, &first);
    turn(&wheel, 2 * HOUR);
    timer.as_mut().reset(at(&wheel, 3 * HOUR));
    let _ = arm(timer.as_mut(), &wheel, 3 * HOUR, &second);
    wheel.close_wheel(&mut WakeList::new());
    let _ = arm(
        {
            timer.as_mut().reset(at(&wheel, 0));
            timer.as_mut()
        },
        &wheel,
        HOUR,
        &first,
    );
    drop(timer);
    // First: three clones, two dropped, one woken and dropped. Second: two clones, one dropped, one
    // woken and dropped.
    let calls = |evil: &Evil| evil.calls.load(Ordering::SeqCst);
    assert_eq!((calls(&one), calls(&two)), (7, 5));
    drop((first, second));
}

#[test]
fn a_timer_may_outlive_everybody_else_who_knows_the_wheel() {
    let (wheel, _) = wheel();
    let (count, waker) = Count::new();
    let mut timer = Box::pin(Timer::new());
    let _ = arm(timer.as_mut(), &wheel, HOUR, &waker);
    drop(wheel);
    timer.as_mut().reset(Instant::now() + Duration::from_secs(1));
    drop(timer);
    assert_eq!((count.get(), Arc::strong_count(&count)), (0, 2));
}
