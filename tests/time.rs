//! Timers: never early, each exactly once, wherever they are armed, polled and dropped.

#[path = "time/extremes.rs"]
mod extremes;
#[path = "support/kit.rs"]
mod kit;
#[path = "time/panics.rs"]
mod misuse;
#[path = "support/panics.rs"]
mod panics;
#[path = "support/waits.rs"]
mod waits;

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use heist::hyper::HeistTimer;
use heist::runtime::{Handle, RuntimeFlavor};
use heist::time::{
    Instant, Interval, MissedTickBehavior, Sleep, interval, interval_at, sleep, sleep_until, timeout, timeout_at,
};
use hyper::rt::Timer;
use kit::{Count, Flag, current_thread, each, join, workers, yield_now};

fn poll(sleep: &mut Pin<Box<Sleep>>, waker: &Waker) -> Poll<()> {
    sleep.as_mut().poll(&mut Context::from_waker(waker))
}

#[test]
fn sleep_is_never_early_on_any_thread() {
    each(|runtime| {
        for micros in [0, 1, 50, 100, 400, 900, 1_000, 1_001, 2_500, 10_000] {
            let duration = Duration::from_micros(micros);
            let measured = async move || {
                let start = Instant::now();
                sleep(duration).await;
                start.elapsed()
            };
            assert!(runtime.block_on(measured()) >= duration);
            assert!(runtime.block_on(runtime.spawn(async move { measured().await })).unwrap() >= duration);
        }
    });
    // On a thread that has a handle only; the runtime's own threads fire the timer.
    for count in [1, 2, 4] {
        let runtime = workers(count);
        let handle = runtime.handle().clone();
        let slept = thread::spawn(move || {
            let _guard = handle.enter();
            let start = Instant::now();
            futures::executor::block_on(sleep(Duration::from_millis(2)));
            let first = start.elapsed();
            handle.block_on(async { sleep(Duration::from_millis(2)).await });
            (first, start.elapsed())
        });
        let (first, both) = slept.join().unwrap();
        assert!(first >= Duration::from_millis(2) && both >= Duration::from_millis(4));
    }
}

#[test]
fn sleeps_below_a_millisecond_complete_in_sequence() {
    each(|runtime| {
        let sleeps = async || {
            for n in 0..1000 {
                let start = Instant::now();
                sleep(Duration::from_micros(n % 50)).await;
                assert!(start.elapsed() >= Duration::from_micros(n % 50));
            }
        };
        runtime.block_on(sleeps());
        runtime.block_on(runtime.spawn(async move { sleeps().await })).unwrap();
    });
}

#[test]
fn sleeps_by_the_thousand_fire_once_each() {
    each(|runtime| {
        let fired = Count::new();
        runtime.block_on(async {
            let start = Instant::now();
            let tasks: Vec<_> = (0..10_000_u64)
                .map(|n| {
                    let fired = fired.clone();
                    heist::spawn(async move {
                        // Scattered, and many alike.
                        let at = start + Duration::from_micros(n * 7919 % 20_000);
                        sleep_until(at).await;
                        assert!(Instant::now() >= at);
                        fired.add();
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        assert_eq!(fired.get(), 10_000);
    });
}

#[test]
fn sleeps_dropped_wake_no_task() {
    each(|runtime| {
        runtime.block_on(async {
            let flag = Flag::new();
            let waker = Waker::from(Arc::clone(&flag));
            for n in 0..1000 {
                let mut armed = Box::pin(sleep(Duration::from_secs(3600)));
                assert!(poll(&mut armed, &waker).is_pending());
                armed.as_mut().reset(Instant::now() + Duration::from_millis(2) + Duration::from_micros(n));
            }
            sleep(Duration::from_millis(5)).await;
            // On other runtimes one may have fired before it was dropped, on a busy machine.
            let here = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
            assert!(!here || !flag.is_set());
            drop(waker);
            while Arc::strong_count(&flag) > 1 {
                yield_now().await;
            }
        });
    });
}

#[test]
fn sleep_wakes_only_the_latest_waker() {
    each(|runtime| {
        runtime.block_on(async {
            let (first, second) = (Flag::new(), Flag::new());
            let mut armed = Box::pin(sleep(Duration::from_secs(3600)));
            assert!(poll(&mut armed, &Arc::clone(&first).into()).is_pending());
            assert!(poll(&mut armed, &Arc::clone(&second).into()).is_pending());
            armed.as_mut().reset(Instant::now() + Duration::from_millis(1));
            while !second.is_set() {
                yield_now().await;
            }
            assert!(!first.is_set() && armed.is_elapsed());
            assert!(poll(&mut armed, Waker::noop()).is_ready());
            assert!(poll(&mut armed, Waker::noop()).is_ready(), "and for ever after");
        });
    });
}

#[test]
fn sleep_reset_to_any_deadline_works() {
    each(|runtime| {
        runtime.block_on(async {
            let mut armed = Box::pin(sleep(Duration::from_secs(1800)));
            let flag = Flag::new();
            assert!(poll(&mut armed, &Arc::clone(&flag).into()).is_pending());
            // Later.
            armed.as_mut().reset(Instant::now() + Duration::from_secs(3600));
            assert!(!armed.is_elapsed());
            // Earlier than at first: the waiter need not poll it again.
            let at = Instant::now() + Duration::from_millis(2);
            armed.as_mut().reset(at);
            while !flag.is_set() {
                yield_now().await;
            }
            assert!(Instant::now() >= at);
            armed.as_mut().await;
            // After it has fired.
            let flag = Flag::new();
            armed.as_mut().reset(Instant::now() + Duration::from_secs(3600));
            assert!(!armed.is_elapsed());
            assert!(poll(&mut armed, &Arc::clone(&flag).into()).is_pending());
            armed.as_mut().reset(Instant::now() + Duration::from_millis(1));
            while !flag.is_set() {
                yield_now().await;
            }
            // Again and again.
            for _ in 0..20 {
                let at = Instant::now() + Duration::from_micros(200);
                armed.as_mut().reset(at);
                assert_eq!(armed.deadline(), at);
                armed.as_mut().await;
                assert!(Instant::now() >= at);
            }
        });
    });
}

#[test]
fn sleep_with_earlier_deadline_wakes_sleeping_runtime() {
    each(|runtime| {
        for _ in 0..50 {
            // The runtime sleeps to a far deadline when a near one is armed from outside.
            let far = runtime.spawn(async { sleep(Duration::from_secs(3600)).await });
            let handle = runtime.handle().clone();
            let near = thread::spawn(move || handle.block_on(async { sleep(Duration::from_micros(300)).await }));
            let task = runtime.spawn(async { sleep(Duration::from_micros(300)).await });
            runtime.block_on(task).unwrap();
            // A current-thread runtime stands still between two calls.
            runtime.block_on(async {
                while !near.is_finished() {
                    yield_now().await;
                }
            });
            near.join().unwrap();
            far.abort();
            assert!(runtime.block_on(far).unwrap_err().is_cancelled());
        }
    });
}

#[test]
fn timeout_of_always_ready_loop_elapses() {
    each(|runtime| {
        let forever = async || {
            loop {
                yield_now().await;
            }
        };
        let limit = Duration::from_millis(3);
        let start = Instant::now();
        assert!(runtime.block_on(async move { timeout::<_>(limit, async { forever().await }).await }).is_err());
        assert!(start.elapsed() >= limit);
        let task = runtime.spawn(async move { timeout(limit, async { forever().await }).await.is_err() });
        assert!(runtime.block_on(task).unwrap());
        // Beside other tasks that are always ready, too.
        let busy: Vec<_> = (0..10).map(|_| runtime.spawn(async move { forever().await })).collect();
        let task = runtime.spawn(async move { timeout(limit, pending::<()>()).await.is_err() });
        assert!(runtime.block_on(task).unwrap());
        assert!(runtime.block_on(async move { timeout(limit, pending::<()>()).await }).is_err());
        busy.iter().for_each(|task| task.abort());
        for task in busy {
            assert!(runtime.block_on(task).unwrap_err().is_cancelled());
        }
    });
}

#[test]
fn timeout_returns_output_and_drops_late_future() {
    each(|runtime| {
        runtime.block_on(async {
            let drops = Count::new();
            assert_eq!(timeout(Duration::from_secs(3600), async { 5 }).await, Ok(5));
            let (guard, start) = (drops.on_drop(), Instant::now());
            let late = timeout_at(start + Duration::from_millis(1), async move {
                let _guard = guard;
                pending::<()>().await;
            });
            let error = late.await.unwrap_err();
            assert_eq!((drops.get(), error.to_string().as_str()), (1, "deadline has elapsed"));
            assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::TimedOut);
            assert!(start.elapsed() >= Duration::from_millis(1));
            let inner = timeout(Duration::from_secs(3600), sleep(Duration::from_millis(1)));
            assert_eq!(timeout(Duration::from_secs(3600), inner).await, Ok(Ok(())));
        });
    });
}

#[test]
fn interval_ticks_keep_to_schedule() {
    each(|runtime| {
        runtime.block_on(async {
            let period = Duration::from_millis(1);
            let start = Instant::now() + Duration::from_millis(2);
            let mut ticks = interval_at(start, period);
            for n in 0..20 {
                let scheduled = ticks.tick().await;
                // Late or not, a burst catches up, and no tick is lost.
                assert_eq!(scheduled, start + period * n);
                assert!(Instant::now() >= scheduled);
            }
            let mut ticks = interval(period);
            let first = ticks.tick().await;
            assert!(first <= Instant::now());
            assert_eq!((ticks.period(), ticks.missed_tick_behavior()), (period, MissedTickBehavior::Burst));
        });
    });
}

#[test]
fn missed_ticks_follow_their_behavior() {
    let runtime = current_thread();
    runtime.block_on(async {
        let period = Duration::from_secs(3600);
        let missed = Duration::from_secs(3600 * 5 / 2);
        // As if the program had not awaited for two and a half periods.
        let Some(start) = Instant::now().checked_sub(missed) else { return };
        let ticks = |behavior| {
            let mut ticks = interval_at(start, period);
            ticks.set_missed_tick_behavior(behavior);
            ticks
        };
        let ready = async |ticks: &mut heist::time::Interval| timeout(Duration::ZERO, ticks.tick()).await.ok();

        let mut burst = ticks(MissedTickBehavior::Burst);
        for n in 0..3 {
            assert_eq!(ready(&mut burst).await, Some(start + period * n));
        }
        assert_eq!(ready(&mut burst).await, None);

        for behavior in [MissedTickBehavior::Delay, MissedTickBehavior::Skip] {
            let mut ticks = ticks(behavior);
            assert_eq!(ready(&mut ticks).await, Some(start));
            assert_eq!(ready(&mut ticks).await, None, "{behavior:?}");
            ticks.reset_immediately();
            ticks.tick().await;
            ticks.reset();
            assert_eq!(ready(&mut ticks).await, None);
        }
    });
}

#[test]
fn tick_dropped_is_not_lost() {
    each(|runtime| {
        runtime.block_on(async {
            let start = Instant::now();
            let mut ticks = interval_at(start + Duration::from_millis(3), Duration::from_secs(3600));
            while timeout(Duration::from_micros(100), ticks.tick()).await.is_err() {}
            assert!(start.elapsed() >= Duration::from_millis(3));
        });
    });
}

/// Armed on one runtime, polled on another: it still belongs to the first, and wakes the second.
#[test]
fn sleeps_move_between_runtimes() {
    each(|second| {
        for count in [1, 2] {
            let first = workers(count);
            let armed = first.spawn(async move {
                let mut armed = Box::pin(sleep(Duration::from_secs(3600)));
                assert!(poll(&mut armed, Waker::noop()).is_pending());
                // In a tuple, so that no lint asks to await it.
                (armed,)
            });
            let (mut armed,) = join(armed).unwrap();
            let at = Instant::now() + Duration::from_millis(3);
            armed.as_mut().reset(at);
            second.block_on(armed.as_mut());
            assert!(Instant::now() >= at);
            // After it has fired and been reset, it is armed where it is polled next. The first
            // runtime is not needed any more.
            drop(first);
            let again = Instant::now() + Duration::from_millis(1);
            armed.as_mut().reset(again);
            second.block_on(second.spawn(armed)).unwrap();
            assert!(Instant::now() >= again);
        }
    });
}

#[test]
fn sleep_armed_here_is_dropped_elsewhere() {
    let runtime = workers(4);
    runtime.block_on(async {
        for _ in 0..100 {
            let armed: Vec<_> = (0..20)
                .map(|n| {
                    let mut armed = Box::pin(sleep(Duration::from_micros(n * 20)));
                    let _ = poll(&mut armed, Waker::noop());
                    heist::spawn(async move {
                        let _ = poll(&mut armed, Waker::noop());
                        heist::spawn(async move { drop(armed) }).await.unwrap();
                    })
                })
                .collect();
            for task in armed {
                task.await.unwrap();
            }
        }
    });
}

#[test]
fn sleep_past_deadline_needs_no_wake() {
    each(|runtime| {
        runtime.block_on(async {
            for _ in 0..100_000 {
                sleep(Duration::ZERO).await;
            }
            let mut past = Box::pin(sleep_until(Instant::now()));
            assert!(past.is_elapsed());
            assert!(poll(&mut past, Waker::noop()).is_ready());
        });
    });
}

/// The timers of a thread without a worker are armed while a worker is about to sleep, sleeps, or
/// spins for events.
#[test]
fn foreign_sleeps_complete_in_sequence() {
    for count in [1, 2] {
        let runtime = workers(count);
        let _guard = runtime.enter();
        for n in 0..5_000 {
            let duration = Duration::from_micros(n % 80);
            let start = Instant::now();
            futures::executor::block_on(sleep(duration));
            assert!(start.elapsed() >= duration);
        }
    }
}

/// A timer is reset to a deadline that has passed, or passes before the next poll. It returns what
/// a new timer for that instant returns.
#[test]
fn timer_reset_to_due_time_is_ready_at_next_poll() {
    const LONG: Duration = Duration::from_secs(3600);
    let past = || Instant::now().checked_sub(Duration::from_millis(5)).unwrap();
    let armed = || {
        let mut timer = Box::pin(sleep(LONG));
        assert!(poll(&mut timer, Waker::noop()).is_pending());
        timer
    };
    let ticks = || {
        let mut ticks = interval(LONG);
        assert!(ticks.tick().now_or_never().is_some(), "the first tick comes at once");
        assert!(ticks.tick().now_or_never().is_none());
        ticks
    };
    let is_ready = |mut timer: Pin<Box<Sleep>>| timer.is_elapsed() && poll(&mut timer, Waker::noop()).is_ready();
    let tick_is_ready = |mut ticks: Interval| ticks.tick().now_or_never().is_some();
    each(|runtime| {
        let cases = async move || {
            let mut failed = Vec::new();
            let mut case = |name, is_ready: bool| (!is_ready).then(|| failed.push(name));

            case("a new sleep", is_ready(Box::pin(sleep_until(past()))));
            let mut timer = armed();
            timer.as_mut().reset(past());
            case("a sleep, reset to the past", is_ready(timer));
            let mut timer = armed();
            timer.as_mut().reset(Instant::now());
            case("a sleep, reset to now", is_ready(timer));
            let mut timer = armed();
            timer.as_mut().reset(Instant::now() + LONG);
            timer.as_mut().reset(past());
            case("a sleep, reset to later and to the past", is_ready(timer));
            let mut timer = armed();
            let soon = Instant::now() + Duration::from_micros(50);
            timer.as_mut().reset(soon);
            while Instant::now() < soon {}
            case("a sleep, reset to what is past by the time of the poll", is_ready(timer));
            let mut timer = armed();
            timer.as_mut().reset(past());
            let flag = Flag::new();
            case("the same, polled with another waker", poll(&mut timer, &Arc::clone(&flag).into()).is_ready());
            timer.as_mut().reset(past());
            case("the same, reset again", is_ready(timer));

            let mut interval = ticks();
            interval.reset_immediately();
            case("an interval, reset_immediately", tick_is_ready(interval));
            let mut interval = ticks();
            interval.reset_at(past());
            case("an interval, reset_at", tick_is_ready(interval));
            let mut interval = ticks();
            interval.reset_after(Duration::ZERO);
            case("an interval, reset_after", tick_is_ready(interval));
            let mut interval = interval_at(Instant::now(), Duration::from_nanos(1));
            interval.tick().await;
            interval.reset();
            case("an interval, reset with a period that has passed", tick_is_ready(interval));

            let timer = HeistTimer;
            let mut hypers = timer.sleep(LONG);
            assert!(hypers.as_mut().now_or_never().is_none());
            timer.reset(&mut hypers, past().into_std());
            case("hyper's sleep", hypers.now_or_never().is_some());
            failed
        };
        assert_eq!(runtime.block_on(cases()), [""; 0]);
        assert_eq!(runtime.block_on(runtime.spawn(async move { cases().await })).unwrap(), [""; 0]);
    });
}

/// A timer is reset to a deadline that has not passed: it stays armed, and the waiting task is
/// woken without another poll.
#[test]
fn timer_reset_to_later_time_is_pending_until_then() {
    each(|runtime| {
        runtime.block_on(async {
            let flag = Flag::new();
            let mut timer = Box::pin(sleep(Duration::from_secs(1800)));
            assert!(poll(&mut timer, &Arc::clone(&flag).into()).is_pending());
            timer.as_mut().reset(Instant::now() + Duration::from_secs(3600));
            assert!(!timer.is_elapsed());
            assert!(poll(&mut timer, &Arc::clone(&flag).into()).is_pending());
            // The timer is reset to the past and not polled. The task is woken nevertheless.
            timer.as_mut().reset(Instant::now());
            while !flag.is_set() {
                yield_now().await;
            }
            assert!(poll(&mut timer, Waker::noop()).is_ready());
        });
    });
}
