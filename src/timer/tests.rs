//! Tests of timers on a wheel, with chosen times and counted wake-ups.

use std::pin::{Pin, pin};
use std::task::Wake;
use std::time::{Duration, Instant};

use super::*;
use crate::primitive::statics::AtomicUsize;
use crate::timer::wheel::TICK;

/// Counts its wake-ups, as a waker or as a sleeper waker.
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

/// Returns a wheel and its sleeper waker, which counts. The wheel's clock stays near zero while a
/// test runs.
pub(crate) fn wheel() -> (Arc<TimerWheel>, Arc<Count>) {
    let sleeper_waker = Arc::new(Count::default());
    (Arc::new(TimerWheel::new(Clock::new(), sleeper_waker.clone())), sleeper_waker)
}

pub(crate) fn at(wheel: &TimerWheel, nanos: u64) -> Instant {
    wheel.clock().real_deadline(Some(nanos)).expect("an instant that the system can name")
}

/// Fires what is due at `now`, wakes, and returns the next deadline.
pub(crate) fn fire_due(wheel: &TimerWheel, now: u64) -> Option<u64> {
    let mut wakes = WakeList::new();
    wheel.fire_due(now, &mut wakes)
}

fn arm(timer: Pin<&mut Timer>, wheel: &Arc<TimerWheel>, nanos: u64, waker: &Waker) -> State {
    timer.arm(Arc::clone(wheel), at(wheel, nanos), waker)
}

#[test]
fn armed_timer_fires_once_and_not_early() {
    let (wheel, _) = wheel();
    let (count, waker) = Count::new();
    let mut timer = pin!(Timer::new());
    assert_eq!(wheel.next_due(), u64::MAX);
    assert_eq!(arm(timer.as_mut(), &wheel, HOUR, &waker), State::Armed);
    let due = wheel.next_due();
    assert!((HOUR..HOUR + TICK).contains(&due));
    assert_eq!(fire_due(&wheel, HOUR - 1), Some(due));
    assert_eq!((timer.state(), count.get()), (State::Armed, 0));
    assert_eq!(fire_due(&wheel, due), None);
    assert_eq!((timer.state(), count.get()), (State::Fired, 1));
    assert_eq!(fire_due(&wheel, 2 * HOUR), None);
    assert_eq!((count.get(), wheel.next_due()), (1, u64::MAX));
}

#[test]
fn cancelled_timer_leaves_no_waker_and_no_entry() {
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
    assert_eq!(fire_due(&wheel, 2 * HOUR), None);
    assert_eq!(count.get(), 0);
}

#[test]
fn wheel_owner_is_woken_once_and_only_if_it_sleeps_too_long() {
    let (wheel, sleeper_waker) = wheel();
    let (_, waker) = Count::new();
    let mut timers: Vec<_> = (0..6).map(|_| Box::pin(Timer::new())).collect();
    let mut arm = |timer: usize, nanos| assert_eq!(arm(timers[timer].as_mut(), &wheel, nanos, &waker), State::Armed);
    arm(0, 5 * HOUR);
    assert_eq!(sleeper_waker.get(), 0, "the owner is awake");
    assert!(wheel.begin_sleep().expect("a timer is armed") >= 5 * HOUR);
    arm(1, 6 * HOUR);
    arm(2, 5 * HOUR);
    assert_eq!(sleeper_waker.get(), 0, "the owner wakes in time");
    arm(3, 4 * HOUR);
    assert_eq!(sleeper_waker.get(), 1);
    arm(4, 3 * HOUR);
    assert_eq!(sleeper_waker.get(), 1, "the owner is woken already");
    wheel.end_sleep();
    arm(5, HOUR);
    assert_eq!(sleeper_waker.get(), 1);
    assert!((HOUR..HOUR + TICK).contains(&wheel.begin_sleep().expect("a timer is armed")));
}

/// Counts the wake-ups of the owner and of the backup sleeper.
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
fn wheel_owner_and_backup_are_each_woken_from_their_own_sleep() {
    let (sleeper_waker, backup_waker) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let wheel = Arc::new(TimerWheel::new(Clock::new(), Arc::new(Both([sleeper_waker.clone(), backup_waker.clone()]))));
    let (_, waker) = Count::new();
    let mut timers: Vec<_> = (0..4).map(|_| Box::pin(Timer::new())).collect();
    let mut arm = |timer: usize, nanos| assert_eq!(arm(timers[timer].as_mut(), &wheel, nanos, &waker), State::Armed);
    let calls = || (sleeper_waker.get(), backup_waker.get());
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

/// The worker of a seat is found stuck at one tick after the other.
#[test]
fn orphan_wheel_added_twice_is_listed_once() {
    let orphan_wheels = orphan_wheels::OrphanWheels::new();
    let (wheel, _) = wheel();
    assert!(!orphan_wheels.add(0, &wheel), "an empty wheel is not added");
    let (_, waker) = Count::new();
    let mut timer = pin!(Timer::new());
    let _ = arm(timer.as_mut(), &wheel, HOUR, &waker);
    assert!(orphan_wheels.add(0, &wheel) && !orphan_wheels.add(0, &wheel));
    orphan_wheels.remove(0);
    assert_eq!(orphan_wheels.next_due(), u64::MAX);
}

#[test]
fn wheel_owner_without_timers_is_woken_by_the_first() {
    let (wheel, sleeper_waker) = wheel();
    let (_, waker) = Count::new();
    assert_eq!(wheel.begin_sleep(), None);
    let mut timer = pin!(Timer::new());
    let _ = arm(timer.as_mut(), &wheel, HOUR, &waker);
    assert_eq!(sleeper_waker.get(), 1);
}

#[test]
fn reset_moves_an_armed_timer_with_its_waker() {
    let (wheel, sleeper_waker) = wheel();
    let (count, waker) = Count::new();
    let mut timer = pin!(Timer::new());
    let _ = arm(timer.as_mut(), &wheel, 5 * HOUR, &waker);
    let _ = wheel.begin_sleep();
    let earlier = at(&wheel, HOUR);
    timer.as_mut().reset(earlier);
    assert_eq!(sleeper_waker.get(), 1, "a reset to an earlier time is an earlier timer");
    fire_due(&wheel, 2 * HOUR);
    assert_eq!((timer.state(), count.get()), (State::Fired, 1));
    // A fired timer only becomes idle: no task waits for it.
    timer.as_mut().reset(at(&wheel, 3 * HOUR));
    assert_eq!((timer.state(), wheel.next_due()), (State::Idle, u64::MAX));
    // A reset to a later time, and then one into the past.
    let _ = arm(timer.as_mut(), &wheel, 3 * HOUR, &waker);
    timer.as_mut().reset(at(&wheel, 9 * HOUR));
    fire_due(&wheel, 4 * HOUR);
    assert_eq!(count.get(), 1);
    timer.as_mut().reset(at(&wheel, HOUR));
    fire_due(&wheel, 4 * HOUR);
    assert_eq!((timer.state(), count.get()), (State::Fired, 2));
}

#[test]
fn updated_waker_is_woken_and_the_old_one_dropped() {
    let (wheel, _) = wheel();
    let (first, first_waker) = Count::new();
    let (second, second_waker) = Count::new();
    let mut timer = pin!(Timer::new());
    let _ = arm(timer.as_mut(), &wheel, HOUR, &first_waker);
    assert_eq!(timer.as_mut().update_waker(&first_waker), State::Armed);
    assert_eq!(Arc::strong_count(&first), 3, "the same waker is not cloned");
    assert_eq!(timer.as_mut().update_waker(&second_waker), State::Armed);
    assert_eq!(Arc::strong_count(&first), 2, "the old waker is dropped at once");
    fire_due(&wheel, 2 * HOUR);
    assert_eq!((first.get(), second.get()), (0, 1));
    assert_eq!(timer.as_mut().update_waker(&first_waker), State::Fired);
    assert_eq!(Arc::strong_count(&first), 2);
}

#[test]
fn closed_wheel_ends_armed_timers_and_refuses_new_ones() {
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
    // The refused timer may be used on another wheel.
    let (other, _) = self::wheel();
    late.as_mut().reset(at(&other, HOUR));
    assert_eq!(arm(late.as_mut(), &other, HOUR, &waker), State::Armed);
    timers.clear();
}

#[test]
fn timers_of_one_slot_fire_in_batches() {
    let (wheel, _) = wheel();
    let (count, waker) = Count::new();
    let mut timers: Vec<_> = (0..10_000).map(|_| Box::pin(Timer::new())).collect();
    for timer in &mut timers {
        let _ = arm(timer.as_mut(), &wheel, HOUR, &waker);
    }
    let mut wakes = WakeList::new();
    let mut locks = 1;
    while !wheel.state.lock().fire_batch(2 * HOUR, &mut wakes) {
        assert!(wakes.len() <= locks * BATCH);
        locks += 1;
    }
    assert!(locks >= 10_000 / BATCH);
    wakes.wake_all();
    assert_eq!(count.get(), 10_000);
}

/// A waker that, on clone, wake and drop, arms and cancels a timer on the wheel that stores it.
struct ReentrantWaker {
    wheel: Arc<TimerWheel>,
    calls: AtomicUsize,
}

impl ReentrantWaker {
    fn use_wheel(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let mut timer = Box::pin(Timer::new());
        let _ = arm(timer.as_mut(), &self.wheel, HOUR, Waker::noop());
        timer.as_mut().reset(at(&self.wheel, 2 * HOUR));
        fire_due(&self.wheel, 0);
    }

    fn waker(self: Arc<Self>) -> Waker {
        use std::task::{RawWaker, RawWakerVTable};
        unsafe fn clone(data: *const ()) -> RawWaker {
            // SAFETY: the data of such a waker is a box.
            let this = unsafe { &*data.cast::<Arc<ReentrantWaker>>() };
            this.use_wheel();
            RawWaker::new(Box::into_raw(Box::new(Arc::clone(this))).cast(), &VTABLE)
        }
        unsafe fn wake(data: *const ()) {
            // SAFETY: as above. A wake by value drops the waker, too.
            unsafe { wake_by_ref(data) };
            // SAFETY: as above.
            unsafe { drop_waker(data) };
        }
        unsafe fn wake_by_ref(data: *const ()) {
            // SAFETY: the data of such a waker is a box.
            unsafe { &*data.cast::<Arc<ReentrantWaker>>() }.use_wheel();
        }
        unsafe fn drop_waker(data: *const ()) {
            // SAFETY: the data of such a waker is a box, and a waker is dropped once.
            unsafe { Box::from_raw(data.cast_mut().cast::<Arc<ReentrantWaker>>()) }.use_wheel();
        }
        static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);
        // SAFETY: the four functions keep the contract: each waker owns one box, and its content is
        // `Send` and `Sync`.
        unsafe { Waker::from_raw(RawWaker::new(Box::into_raw(Box::new(self)).cast(), &VTABLE)) }
    }
}

#[test]
fn waker_that_uses_the_wheel_finds_no_lock_held() {
    let (wheel, _) = wheel();
    let reentrant = || Arc::new(ReentrantWaker { wheel: Arc::clone(&wheel), calls: AtomicUsize::new(0) });
    let (one, two) = (reentrant(), reentrant());
    let (first, second) = (Arc::clone(&one).waker(), Arc::clone(&two).waker());
    let mut timer = Box::pin(Timer::new());
    let _ = arm(timer.as_mut(), &wheel, HOUR, &first);
    let _ = timer.as_mut().update_waker(&second);
    timer.as_mut().cancel();
    let _ = arm(timer.as_mut(), &wheel, HOUR, &first);
    fire_due(&wheel, 2 * HOUR);
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
    let calls = |waker: &ReentrantWaker| waker.calls.load(Ordering::SeqCst);
    assert_eq!((calls(&one), calls(&two)), (7, 5));
    drop((first, second));
}

#[test]
fn timer_keeps_its_wheel_alive() {
    let (wheel, _) = wheel();
    let (count, waker) = Count::new();
    let mut timer = Box::pin(Timer::new());
    let _ = arm(timer.as_mut(), &wheel, HOUR, &waker);
    drop(wheel);
    timer.as_mut().reset(Instant::now() + Duration::from_secs(1));
    drop(timer);
    assert_eq!((count.get(), Arc::strong_count(&count)), (0, 2));
}
