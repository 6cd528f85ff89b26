//! Looks, one by one, at workers that do not run.

use std::io;
use std::time::Duration;

use super::Watchdog;
use crate::blocking::{self, BlockingPool};
use crate::pool::{Pool, Seat, Settings};
use crate::sync::Arc;
use crate::sync::statics::{AtomicUsize, Ordering};
use crate::watchdog::stall::StallCause;

/// A pool in whose seats threads are said to work.
pub(super) fn pool(workers: usize) -> Arc<Pool> {
    pool_of(settings(workers), workers)
}

/// With looks that follow each other at once: no second look comes too early.
fn settings(workers: usize) -> Settings {
    let mut settings = Settings::new(workers);
    settings.tick = Duration::from_nanos(1);
    settings
}

fn pool_of(settings: Settings, workers: usize) -> Arc<Pool> {
    let blocking = BlockingPool::new(blocking::Settings::default());
    let pool = Pool::new(settings, blocking).expect("a reactor");
    (0..workers).for_each(|seat| pool.worker_set.activate_seat(seat));
    pool
}

fn watchdog(pool: &Arc<Pool>) -> Watchdog {
    Watchdog::new(Arc::clone(pool), Box::new(|_| {}))
}

/// Seat 0 is stalled from the second look on, the worker of seat 1 sleeps on its parker. It is
/// woken only if the reactor is free.
#[test]
fn a_stalled_worker_has_the_reactor_turned_by_another() {
    let pool = pool(2);
    pool.idle.announce(1, false);
    let mut watchdog = watchdog(&pool);
    watchdog.scan();
    let turn = pool.reactor.try_drive().expect("nobody else turns it");
    watchdog.scan();
    watchdog.scan();
    assert!(pool.idle.is_announced(1));
    drop(turn);
    watchdog.scan();
    assert!(!pool.idle.is_announced(1));
    let _ = (pool.idle.withdraw(1, false), pool.idle.end_search());
}

/// The worker of seat 0 does not get on. It polls, does something else, sleeps while the watchdog
/// does not look, does something else again, and polls the same task: these are five stalls.
#[test]
fn what_comes_after_a_stall_is_another_one() {
    let mut settings = settings(1);
    settings.stall_threshold = Duration::from_nanos(1);
    let pool = pool_of(settings, 1);
    let seat = &pool.seats[0];
    let mut watchdog = watchdog(&pool);
    let task = crate::raw_task::spawn::<_, Seat>(async {}, std::panic::Location::caller().into()).0;
    let mut reported = || {
        (0..5).for_each(|_| watchdog.scan());
        pool.stalls.reported.get()
    };
    assert_eq!(reported(), 1);
    seat.stats.polls.add(1);
    seat.polling.begin_poll(task.header());
    assert_eq!(reported(), 2);
    seat.polling.end_poll();
    assert_eq!(reported(), 3);
    seat.stats.parks.add(1);
    assert_eq!(reported(), 4);
    seat.stats.polls.add(1);
    seat.polling.begin_poll(task.header());
    assert_eq!(reported(), 5);
}

/// After a drain's deadline a worker drops one late task after the other, and polls nothing: it
/// gets on.
#[test]
fn whoever_drops_one_task_after_the_other_is_not_stalled() {
    let pool = pool(1);
    let seat = &pool.seats[0];
    let mut watchdog = watchdog(&pool);
    for _ in 0..5 {
        let task = crate::raw_task::spawn::<_, Seat>(async {}, std::panic::Location::caller().into()).0;
        // As it is seen in the midst of a destructor, each time another one's.
        seat.polling.begin_poll(task.header());
        watchdog.scan();
        assert!(!seat.is_stalled());
        seat.cancel_in_seat(task);
    }
}

/// The thread's clock is read at the first look, however late the second look is.
#[test]
#[cfg(target_os = "linux")]
fn a_stall_is_reported_at_the_second_look_with_its_cause() {
    let mut settings = settings(1);
    settings.stall_threshold = Duration::from_nanos(1);
    let pool = pool_of(settings, 1);
    pool.seats[0].record_tid();
    let mut watchdog = watchdog(&pool);
    for reported in [0, 1, 1, 1] {
        watchdog.scan();
        assert_eq!(pool.stalls.reported.get(), reported);
    }
}

/// A late look is followed by a look that is in time.
#[test]
fn a_second_look_within_half_a_tick_finds_no_stall() {
    let mut settings = Settings::new(1);
    settings.tick = Duration::from_secs(3600);
    settings.stall_threshold = Duration::from_nanos(1);
    let pool = pool_of(settings, 1);
    let mut watchdog = watchdog(&pool);
    (0..5).for_each(|_| watchdog.scan());
    assert_eq!((pool.seats[0].is_stalled(), pool.stalls.reported.get()), (false, 0));
}

#[test]
fn a_rescue_from_a_worker_without_a_processor_is_counted_apart() {
    let pool = pool(1);
    let counts = || (pool.stalls.rescues.get(), pool.stalls.preempted_rescues.get());
    pool.stalls.count_rescue(StallCause::Starved);
    assert_eq!(counts(), (0, 1));
    for (others, cause) in (1..).zip([StallCause::Busy, StallCause::Blocked, StallCause::Unknown]) {
        pool.stalls.count_rescue(cause);
        assert_eq!(counts(), (others, 1));
    }
}

/// Two workers, of which that of seat 0 is stalled from the second look on, and the reactor is
/// turned. No spare ever comes; answers how many have been wanted, since it is asked again only
/// after a hundred looks: whether one has.
fn wanted(looks: usize, mut other: impl FnMut(&Pool, usize)) -> usize {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let mut settings = settings(2);
    settings.max_spares = 1;
    settings.refuse_thread = Some(Arc::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Some(io::ErrorKind::WouldBlock.into())
    }));
    let pool = pool_of(settings, 2);
    let _turn = pool.reactor.try_drive().expect("nobody else turns it");
    let mut watchdog = watchdog(&pool);
    for look in 0..looks {
        other(&pool, look);
        watchdog.scan();
    }
    if pool.idle.is_announced(1) {
        let _ = pool.idle.withdraw(1, false);
    }
    asked.load(Ordering::SeqCst)
}

#[test]
fn no_spare_comes_while_a_worker_sleeps() {
    let sleeps = |pool: &Pool, look| {
        if look == 0 {
            pool.idle.announce(1, false);
        }
    };
    assert_eq!(wanted(100, sleeps), 0);
}

/// One gets on: a spare comes if the other is blocked, as far as one knows, and tasks wait.
#[test]
fn no_spare_comes_while_a_worker_gets_on_and_nothing_waits() {
    let gets_on = |pool: &Pool, _| pool.seats[1].stats.polls.add(1);
    assert_eq!(wanted(100, gets_on), 0);
    let with_work = |pool: &Pool, look| {
        gets_on(pool, look);
        if look == 0 {
            let task = crate::raw_task::spawn::<_, Seat>(async {}, std::panic::Location::caller().into()).0;
            pool.global.push_woken(task);
        }
    };
    assert_eq!((wanted(9, with_work), wanted(100, with_work)), (0, 1));
}

/// Nobody gets on, and nobody sleeps: ten looks at the same poll.
#[test]
fn a_spare_comes_if_nobody_is_left() {
    assert_eq!((wanted(10, |_, _| {}), wanted(11, |_, _| {})), (0, 1));
}
