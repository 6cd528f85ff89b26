//! Scans, one by one, of workers that do not run.

use std::io;
use std::time::Duration;

use super::Watchdog;
use crate::blocking::{self, BlockingPool};
use crate::pool::{Pool, Seat, Settings};
use crate::primitive::Arc;
use crate::primitive::statics::{AtomicUsize, Ordering};
use crate::watchdog::stall::StallCause;

/// A pool whose seats are active, without threads.
pub(super) fn pool(workers: usize) -> Arc<Pool> {
    pool_of(settings(workers), workers)
}

/// Settings with a tick so short that no second scan comes too early.
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

/// The worker of seat 0 is stalled from the second scan on. The worker of seat 1 sleeps on its
/// parker, and is woken only if the reactor is free.
#[test]
fn stalled_worker_with_free_reactor_makes_a_sleeper_wake() {
    let pool = pool(2);
    pool.idle.announce(1, false);
    let mut watchdog = watchdog(&pool);
    watchdog.scan();
    let driver_guard = pool.reactor.try_drive().expect("the reactor is free");
    watchdog.scan();
    watchdog.scan();
    assert!(pool.idle.is_announced(1));
    drop(driver_guard);
    watchdog.scan();
    assert!(!pool.idle.is_announced(1));
    let _ = (pool.idle.withdraw(1, false), pool.idle.end_search());
}

/// The worker of seat 0 was claimed, and is stuck in a waker before its search. The worker of seat
/// 1 sleeps. Submitters wake no sleeper, because they rely on the search.
#[test]
fn task_behind_a_stuck_searcher_makes_a_sleeper_wake() {
    let pool = pool(2);
    assert!(pool.idle.try_search(2));
    pool.idle.announce(1, false);
    let _driver_guard = pool.reactor.try_drive().expect("the reactor is free");
    let mut watchdog = watchdog(&pool);
    (0..3).for_each(|_| watchdog.scan());
    assert!(pool.idle.is_announced(1), "there is no task yet");
    pool.global.push_woken(crate::raw_task::spawn::<_, Seat>(async {}, std::panic::Location::caller().into()).0);
    assert!(!pool.notify());
    watchdog.scan();
    assert!(!pool.idle.is_announced(1));
    assert_eq!(pool.stalls.rescues.get() + pool.stalls.preempted_rescues.get(), 1);
    let _ = (pool.idle.withdraw(1, false), pool.idle.end_search(), pool.idle.end_search());
}

/// The same with tasks in the ring of a worker that makes progress.
#[test]
fn ring_behind_a_stuck_searcher_makes_a_sleeper_wake() {
    let pool = pool(3);
    assert!(pool.idle.try_search(3));
    pool.idle.announce(1, false);
    let _driver_guard = pool.reactor.try_drive().expect("the reactor is free");
    let mut watchdog = watchdog(&pool);
    let mut scan = || {
        pool.seats[2].stats.polls.add(1);
        watchdog.scan();
    };
    (0..3).for_each(|_| scan());
    assert!(pool.idle.is_announced(1), "there is no task yet");
    let local = pool.seats[2].take_local().expect("no worker has taken it");
    for _ in 0..2 {
        let task = crate::raw_task::spawn::<_, Seat>(async {}, std::panic::Location::caller().into()).0;
        assert!(local.ring.push(task).is_ok());
    }
    scan();
    assert!(!pool.idle.is_announced(1));
    std::iter::from_fn(|| local.ring.pop()).for_each(|task| pool.seats[2].cancel_in_seat(task));
    pool.seats[2].return_local(local);
    let _ = (pool.idle.withdraw(1, false), pool.idle.end_search(), pool.idle.end_search());
}

/// The worker of seat 0 makes no progress. It polls, does something else, sleeps between two scans,
/// does something else again, and polls the same task. These are five stalls.
#[test]
fn stall_after_another_one_is_reported_again() {
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

/// After a drain's deadline a worker drops one overdue task after the other, and polls none: it
/// makes progress.
#[test]
fn worker_dropping_task_after_task_is_not_stalled() {
    let pool = pool(1);
    let seat = &pool.seats[0];
    let mut watchdog = watchdog(&pool);
    for _ in 0..5 {
        let task = crate::raw_task::spawn::<_, Seat>(async {}, std::panic::Location::caller().into()).0;
        // A scan sees the worker within a destructor, each time that of another task.
        seat.polling.begin_poll(task.header());
        watchdog.scan();
        assert!(!seat.is_stalled());
        seat.cancel_in_seat(task);
    }
}

/// The thread's processor time is read at the first scan, however late the second one is.
#[test]
#[cfg(target_os = "linux")]
fn stall_is_reported_at_the_second_scan_with_its_cause() {
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

/// A late scan is followed by one that is on time.
#[test]
fn scan_within_half_a_tick_finds_no_stall() {
    let mut settings = Settings::new(1);
    settings.tick = Duration::from_secs(3600);
    settings.stall_threshold = Duration::from_nanos(1);
    let pool = pool_of(settings, 1);
    let mut watchdog = watchdog(&pool);
    (0..5).for_each(|_| watchdog.scan());
    assert_eq!((pool.seats[0].is_stalled(), pool.stalls.reported.get()), (false, 0));
}

#[test]
fn rescue_from_starved_worker_is_counted_separately() {
    let pool = pool(1);
    let counts = || (pool.stalls.rescues.get(), pool.stalls.preempted_rescues.get());
    pool.stalls.count_rescue(StallCause::Starved);
    assert_eq!(counts(), (0, 1));
    for (others, cause) in (1..).zip([StallCause::Busy, StallCause::Blocked, StallCause::Unknown]) {
        pool.stalls.count_rescue(cause);
        assert_eq!(counts(), (others, 1));
    }
}

/// Makes scans of two workers, and returns how many spares were requested. The worker of seat 0 is
/// stalled from the second scan on, and the reactor is polled. Each spare is refused, and requested
/// again after a hundred scans, so the result is zero or one.
fn spares_requested(scans: usize, mut act_on_other: impl FnMut(&Pool, usize)) -> usize {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    let mut settings = settings(2);
    settings.max_spares = 1;
    settings.refuse_thread = Some(Arc::new(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Some(io::ErrorKind::WouldBlock.into())
    }));
    let pool = pool_of(settings, 2);
    let _driver_guard = pool.reactor.try_drive().expect("the reactor is free");
    let mut watchdog = watchdog(&pool);
    for scan in 0..scans {
        act_on_other(&pool, scan);
        watchdog.scan();
    }
    if pool.idle.is_announced(1) {
        let _ = pool.idle.withdraw(1, false);
    }
    requests.load(Ordering::SeqCst)
}

#[test]
fn spare_is_not_started_while_a_worker_sleeps() {
    let sleeps = |pool: &Pool, scan| {
        if scan == 0 {
            pool.idle.announce(1, false);
        }
    };
    assert_eq!(spares_requested(100, sleeps), 0);
}

/// One worker makes progress. A spare starts if the other is blocked, as far as is known, and tasks
/// wait.
#[test]
fn spare_is_not_started_while_a_worker_progresses_and_no_task_waits() {
    let progresses = |pool: &Pool, _| pool.seats[1].stats.polls.add(1);
    assert_eq!(spares_requested(100, progresses), 0);
    let with_work = |pool: &Pool, scan| {
        progresses(pool, scan);
        if scan == 0 {
            let task = crate::raw_task::spawn::<_, Seat>(async {}, std::panic::Location::caller().into()).0;
            pool.global.push_woken(task);
        }
    };
    assert_eq!((spares_requested(9, with_work), spares_requested(100, with_work)), (0, 1));
}

/// No worker makes progress or sleeps, at ten scans of the same poll.
#[test]
fn spare_is_started_if_no_worker_progresses() {
    assert_eq!((spares_requested(10, |_, _| {}), spares_requested(11, |_, _| {})), (0, 1));
}

/// The worker of seat 0 sleeps. Only after enough scans may it put the watchdog to sleep, and no
/// more once a scan has found a worker awake.
#[test]
#[cfg(all(target_os = "linux", not(any(feature = "sim", heist_loom, heist_count))))]
fn watchdog_sleep_is_granted_after_idle_scans_only() {
    let pool = pool(1);
    pool.idle.announce(0, false);
    let mut watchdog = watchdog(&pool);
    let put_to_sleep = || {
        let watchdog_sleep = pool.watchdog_sleep.as_ref().expect("a watchdog");
        watchdog_sleep.sleep_if_granted(&pool.idle, || super::may_sleep(&pool));
        pool.idle.claim_watchdog_wake()
    };
    for _ in 1..super::LIGHT_SCANS {
        watchdog.scan();
        assert!(!put_to_sleep());
    }
    watchdog.scan();
    assert!(put_to_sleep());
    let _ = pool.idle.withdraw(0, false);
    assert!(!put_to_sleep(), "a worker is awake");
    // The worker has used one sleep in a time that is long enough.
    watchdog.granted_at = 0;
    watchdog.scan();
    pool.idle.announce(0, false);
    assert!(!put_to_sleep(), "a scan has found a worker awake");
    let _ = pool.idle.withdraw(0, false);
}

/// Workers that put the watchdog to sleep again and again cost more than its scans.
#[test]
#[cfg(all(target_os = "linux", not(any(feature = "sim", heist_loom, heist_count))))]
fn watchdog_sleep_used_often_is_not_granted_again() {
    let pool = pool(1);
    pool.idle.announce(0, false);
    let mut watchdog = watchdog(&pool);
    (0..super::LIGHT_SCANS).for_each(|_| watchdog.scan());
    let watchdog_sleep = pool.watchdog_sleep.as_ref().expect("a watchdog");
    let mut used = 0;
    while used <= super::GRANTED_SLEEPS {
        watchdog_sleep.sleep_if_granted(&pool.idle, || true);
        if !pool.idle.claim_watchdog_wake() {
            break;
        }
        used += 1;
    }
    assert_eq!(used, super::GRANTED_SLEEPS);
    watchdog.granted_at = pool.clock.now();
    watchdog.scan();
    assert_eq!((watchdog.granted, watchdog.idle_scans_for_grant), (0, 2 * super::LIGHT_SCANS));
    let _ = pool.idle.withdraw(0, false);
}
