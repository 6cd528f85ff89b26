//! Paused time: it stands still while any task can run, and waits for blocking jobs. While the
//! runtime is idle, it advances to exactly the next deadline.

#[path = "paused/far.rs"]
mod far;
#[path = "support/kit.rs"]
mod kit;
#[path = "paused/panics.rs"]
mod misuse;
#[path = "support/panics.rs"]
mod panics;
#[path = "support/waits.rs"]
mod waits;

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;

use futures::FutureExt;
use heist::net::UnixStream;
use heist::runtime::{Builder, Handle, Runtime};
use heist::task::spawn_blocking;
use heist::time::{
    Duration, Instant, MissedTickBehavior, advance, interval, interval_at, pause, resume, sleep, sleep_until, timeout,
    timeout_at,
};
use kit::{Count, Door, current_thread, panic_text, workers, yield_now};

const HOUR: Duration = Duration::from_secs(3600);

fn paused() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// Returns a paused runtime, and the number of times that its worker was about to sleep.
fn paused_and_parks() -> (Runtime, Count) {
    let parks = Count::new();
    let counted = parks.clone();
    let mut builder = Builder::new_current_thread();
    builder.enable_all().start_paused(true).on_thread_park(move || _ = counted.add());
    (builder.build().unwrap(), parks)
}

/// Makes the worker of `handle` run a task and sleep again, `times` times. Called from another
/// thread.
fn stir(handle: &Handle, parks: &Count, times: usize) {
    for _ in 0..times {
        let before = parks.get();
        drop(handle.spawn(async {}));
        while parks.get() == before {
            thread::yield_now();
        }
    }
}

#[heist::test(start_paused = true)]
async fn paused_sleep_takes_exactly_its_time() {
    for nanos in [1, 999, 32_768, 1_000_000, 1_000_001, 86_400_000_000_000, 3_155_760_000_000_000_000] {
        let (start, duration) = (Instant::now(), Duration::from_nanos(nanos));
        sleep(duration).await;
        assert_eq!(start.elapsed(), duration);
    }
    let start = Instant::now();
    sleep(Duration::ZERO).await;
    sleep_until(start).await;
    assert_eq!(Instant::now(), start);
}

#[test]
fn paused_time_stands_still_between_block_ons() {
    let runtime = paused();
    let start = runtime.block_on(async { Instant::now() });
    let task = runtime.spawn(async { sleep(HOUR).await });
    assert_eq!(runtime.block_on(async { Instant::now() }), start);
    runtime.block_on(task).unwrap();
    assert_eq!(runtime.block_on(async { start.elapsed() }), HOUR);
}

#[heist::test(start_paused = true)]
async fn paused_sleeps_wake_in_order_of_deadlines() {
    let (start, woken) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
    let tasks: Vec<_> = (0..1000_u64)
        .map(|n| {
            let woken = Arc::clone(&woken);
            heist::spawn(async move {
                let duration = Duration::from_nanos(n * 7919 % 1000 * 1_000_003);
                sleep(duration).await;
                assert_eq!(start.elapsed(), duration);
                woken.lock().unwrap().push(duration);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let woken = woken.lock().unwrap();
    assert!(woken.is_sorted());
    assert_eq!(woken.len(), 1000);
}

#[heist::test(start_paused = true)]
async fn paused_time_does_not_advance_while_a_task_can_run() {
    let start = Instant::now();
    let sleeper = heist::spawn(async move {
        sleep(Duration::from_nanos(1)).await;
        start.elapsed()
    });
    let restless = heist::spawn(async move {
        for _ in 0..10_000 {
            yield_now().await;
            assert_eq!(Instant::now(), start);
        }
    });
    restless.await.unwrap();
    // The root counts as a task.
    for _ in 0..10_000 {
        yield_now().await;
        assert_eq!(Instant::now(), start);
    }
    assert_eq!(sleeper.await.unwrap(), Duration::from_nanos(1));
}

#[heist::test(start_paused = true)]
async fn paused_time_does_not_advance_past_socket_events() {
    let start = Instant::now();
    let (mut near, mut far) = UnixStream::pair().unwrap();
    let echo = heist::spawn(async move {
        let mut byte = [0];
        while far.read(&mut byte).await.unwrap() == 1 {
            far.write_all(&byte).await.unwrap();
        }
    });
    for n in 0..200 {
        let mut byte = [n];
        timeout(HOUR, async {
            near.write_all(&byte).await.unwrap();
            near.read_exact(&mut byte).await.unwrap();
        })
        .await
        .unwrap();
        assert_eq!((byte, start.elapsed()), ([n], Duration::ZERO));
    }
    drop(near);
    echo.await.unwrap();
}

#[heist::test(start_paused = true)]
async fn blocking_job_result_comes_before_auto_advance() {
    let start = Instant::now();
    for n in 0..1000 {
        assert_eq!(timeout(HOUR, spawn_blocking(move || n)).await.unwrap().unwrap(), n);
        assert_eq!(Instant::now(), start);
    }
    // A job that panics, and one that is dropped in the queue, are over as well.
    assert!(timeout(HOUR, spawn_blocking(|| panic!("on purpose"))).await.unwrap().unwrap_err().is_panic());
    assert_eq!(Instant::now(), start);
    sleep(HOUR).await;
    assert_eq!(start.elapsed(), HOUR);
}

#[test]
fn paused_time_does_not_advance_while_a_job_is_left() {
    let (runtime, parks) = paused_and_parks();
    let handle = runtime.handle().clone();
    runtime.block_on(async {
        let start = Instant::now();
        let sleeper = heist::spawn(async move {
            sleep(HOUR).await;
            start.elapsed()
        });
        let first = Door::new();
        let (told, seen) = (first.clone(), parks.clone());
        let short = spawn_blocking(move || told.wait());
        let long = spawn_blocking(move || {
            stir(&handle, &seen, 20);
            assert_eq!(Instant::now(), start, "both are there");
            first.open();
            stir(&handle, &seen, 20);
            Instant::now()
        });
        short.await.unwrap();
        assert_eq!(long.await.unwrap(), start);
        assert_eq!(sleeper.await.unwrap(), HOUR);
    });
}

#[test]
fn blocking_job_end_without_waiter_lets_time_advance() {
    let (runtime, parks) = paused_and_parks();
    let handle = runtime.handle().clone();
    runtime.block_on(async {
        let start = Instant::now();
        drop(spawn_blocking(move || stir(&handle, &parks, 5)));
        sleep(HOUR).await;
        assert_eq!(start.elapsed(), HOUR);
    });
}

#[test]
fn blocking_jobs_cancelled_in_queue_do_not_hold_time() {
    let runtime =
        Builder::new_current_thread().enable_all().start_paused(true).max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let (start, door) = (Instant::now(), Door::new());
        let waits = door.clone();
        let running = spawn_blocking(move || waits.wait());
        let queued = spawn_blocking(|| ());
        queued.abort();
        door.open();
        running.await.unwrap();
        assert!(queued.await.unwrap_err().is_cancelled());
        sleep(HOUR).await;
        assert_eq!(start.elapsed(), HOUR);
    });
}

#[heist::test(start_paused = true)]
async fn advance_moves_time_and_wakes_passed_sleeps() {
    let (start, fired) = (Instant::now(), Count::new());
    let tasks: Vec<_> = (1..=10)
        .map(|n| {
            let fired = fired.clone();
            heist::spawn(async move {
                sleep(Duration::from_secs(n)).await;
                // All at the same time.
                assert_eq!(start.elapsed().as_secs(), if n <= 5 { 5 } else { 20 });
                fired.add();
            })
        })
        .collect();
    for _ in 0..20 {
        yield_now().await;
    }
    advance(Duration::from_secs(5)).await;
    for _ in 0..20 {
        yield_now().await;
    }
    assert_eq!((fired.get(), start.elapsed().as_secs()), (5, 5));
    advance(Duration::from_secs(15)).await;
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!((fired.get(), start.elapsed().as_secs()), (10, 20));
}

#[heist::test(start_paused = true)]
async fn advance_makes_busy_worker_check_timers() {
    // The worker always has tasks, and its polls are short: by itself it would check only after a
    // thousand of them.
    let restless = heist::spawn(async {
        loop {
            yield_now().await;
        }
    });
    for _ in 0..3000 {
        yield_now().await;
    }
    for _ in 0..100 {
        let sleeper = heist::spawn(async { sleep(HOUR).await });
        for _ in 0..3 {
            yield_now().await;
        }
        assert!(!sleeper.is_finished());
        advance(HOUR).await;
        for _ in 0..3 {
            yield_now().await;
        }
        assert!(sleeper.is_finished());
    }
    restless.abort();
}

#[heist::test(start_paused = true)]
async fn advance_from_task_and_by_zero_works() {
    let start = Instant::now();
    heist::spawn(async move {
        advance(Duration::ZERO).await;
        assert_eq!(Instant::now(), start);
        advance(HOUR).await;
        assert_eq!(start.elapsed(), HOUR);
    })
    .await
    .unwrap();
    // Time has advanced although the future was dropped.
    assert!(pin!(advance(HOUR)).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(start.elapsed(), 2 * HOUR);
}

/// Time has advanced, and no worker has checked its timers yet.
#[heist::test(start_paused = true)]
async fn due_timer_is_ready_at_first_poll_after_reset() {
    let mut reset = Box::pin(sleep(2 * HOUR));
    assert_eq!(kit::poll_once(&mut reset), Poll::Pending);
    reset.as_mut().reset(Instant::now() + HOUR);
    let mut ticks = interval(2 * HOUR);
    ticks.tick().await;
    assert!(ticks.tick().now_or_never().is_none());
    ticks.reset_after(HOUR);
    let (new, at) = (sleep(HOUR), Instant::now() + HOUR);
    let (late, late_at) = (timeout(HOUR, pending::<()>()), timeout_at(at, pending::<()>()));
    assert!(advance(HOUR).now_or_never().is_none());
    assert!(new.now_or_never().is_some() && reset.is_elapsed() && reset.now_or_never().is_some());
    assert_eq!(ticks.tick().now_or_never(), Some(at));
    assert!(late.now_or_never().unwrap().is_err() && late_at.now_or_never().unwrap().is_err());
}

#[heist::test(start_paused = true)]
async fn timeout_and_inner_sleep_complete_in_order() {
    let start = Instant::now();
    let second = Duration::from_secs(1);
    assert!(timeout(second, sleep(2 * second)).await.is_err());
    assert_eq!(start.elapsed(), second);
    assert!(timeout(2 * second, sleep(second)).await.is_ok());
    assert_eq!(start.elapsed(), 2 * second);
    // Both are due at the same time: the ready future does not time out.
    assert!(timeout_at(start + 3 * second, sleep(second)).await.is_ok());
    // The dropped timer does not count.
    sleep(10 * second).await;
    assert_eq!(start.elapsed(), 13 * second);
}

#[heist::test(start_paused = true)]
async fn paused_time_does_not_advance_to_far_future_while_busy() {
    let start = Instant::now();
    let never = heist::spawn(async { sleep(Duration::MAX).await });
    sleep(HOUR).await;
    for _ in 0..100 {
        yield_now().await;
    }
    assert!(!never.is_finished());
    assert_eq!(start.elapsed(), HOUR);
    // The deadline has come, and a job is still running.
    spawn_blocking(|| ()).await.unwrap();
    assert_eq!(start.elapsed(), HOUR);
    never.abort();
    assert!(never.await.unwrap_err().is_cancelled());
}

#[heist::test(start_paused = true)]
async fn paused_intervals_tick_and_miss_by_behavior() {
    let (start, second) = (Instant::now(), Duration::from_secs(1));
    let mut ticks = interval(second);
    for n in 0..5 {
        assert_eq!((ticks.tick().await, Instant::now()), (start + second * n, start + second * n));
    }
    // Two and a half periods go by: when the next three ticks come, and for when they were
    // scheduled, in milliseconds.
    let missed = async |behavior: MissedTickBehavior| {
        let start = Instant::now();
        let mut ticks = interval_at(start, second);
        ticks.set_missed_tick_behavior(behavior);
        ticks.tick().await;
        advance(Duration::from_millis(2500)).await;
        let mut seen = Vec::new();
        for _ in 0..3 {
            let scheduled = ticks.tick().await;
            seen.push((start.elapsed().as_millis(), (scheduled - start).as_millis()));
        }
        seen
    };
    assert_eq!(missed(MissedTickBehavior::Burst).await, [(2500, 1000), (2500, 2000), (3000, 3000)]);
    assert_eq!(missed(MissedTickBehavior::Delay).await, [(2500, 1000), (3500, 3500), (4500, 4500)]);
    assert_eq!(missed(MissedTickBehavior::Skip).await, [(2500, 1000), (3000, 3000), (4000, 4000)]);
    // A little late is not missed: the schedule is kept.
    let start = Instant::now();
    let mut ticks = interval(second);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    advance(second + Duration::from_millis(5)).await;
    assert_eq!(ticks.tick().await, start + second);
    assert_eq!(ticks.tick().await, start + 2 * second);
}

/// A short period: more than half of it is missed, though it is less than five milliseconds.
#[heist::test(start_paused = true)]
async fn paused_tick_late_by_half_a_short_period_is_not_missed_and_by_more_is() {
    let period = Duration::from_millis(4);
    for (late, next) in [(2, 8), (3, 11)] {
        let start = Instant::now();
        let mut ticks = interval_at(start, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        advance(period + Duration::from_millis(late)).await;
        assert_eq!(ticks.tick().await, start + period);
        assert_eq!(ticks.tick().await, start + Duration::from_millis(next));
    }
}

#[heist::test]
async fn resumed_time_goes_on_from_where_it_stood() {
    pause();
    let start = Instant::now();
    sleep(HOUR).await;
    resume();
    let resumed = Instant::now();
    assert!(resumed - start >= HOUR);
    sleep(Duration::from_millis(2)).await;
    assert!(resumed.elapsed() >= Duration::from_millis(2));
    // From now on it is ahead of the system's time.
    assert!(Instant::now().into_std() > std::time::Instant::now());
    pause();
    let still = Instant::now();
    assert!(still >= resumed + Duration::from_millis(2));
    sleep(HOUR).await;
    assert_eq!(still.elapsed(), HOUR);
}

#[test]
fn paused_time_is_visible_inside_of_runtime_only() {
    let runtime = paused();
    runtime.block_on(async { sleep(HOUR).await });
    let ahead = |at: Instant| at.into_std() > std::time::Instant::now();
    assert!(!ahead(Instant::now()));
    {
        let _guard = runtime.enter();
        assert!(ahead(Instant::now()));
        // The innermost runtime decides.
        let other = current_thread();
        let _guard = other.enter();
        assert!(!ahead(Instant::now()));
    }
    let handle = runtime.handle().clone();
    assert!(runtime.block_on(async { spawn_blocking(Instant::now).await.unwrap() }) > Instant::now());
    let foreign = thread::spawn(move || {
        let _guard = handle.enter();
        (ahead(Instant::now()), sleep(Duration::ZERO).deadline())
    });
    let (sees, deadline) = foreign.join().unwrap();
    assert!(sees && ahead(deadline));
    assert!(!ahead(thread::spawn(Instant::now).join().unwrap()));
}

#[test]
fn paused_time_advances_to_sleep_of_another_thread() {
    let runtime = paused();
    let handle = runtime.handle().clone();
    let (drives, driven) = mpsc::channel();
    let slept = Door::new();
    let sleeps = slept.clone();
    let foreign = thread::spawn(move || {
        driven.recv().unwrap();
        let _guard = handle.enter();
        handle.block_on(async { sleep(HOUR).await });
        sleeps.open();
    });
    runtime.block_on(async {
        let start = Instant::now();
        drives.send(()).unwrap();
        // No other timer is due here.
        slept.opened().await;
        assert_eq!(start.elapsed(), HOUR);
        sleep(HOUR).await;
        assert_eq!(start.elapsed(), 2 * HOUR);
    });
    foreign.join().unwrap();
}

#[test]
fn pause_from_another_thread_reaches_sleeping_worker() {
    let parks = Count::new();
    let counted = parks.clone();
    let runtime = Builder::new_current_thread().enable_all().on_thread_park(move || _ = counted.add()).build().unwrap();
    let handle = runtime.handle().clone();
    let foreign = thread::spawn(move || {
        while parks.get() == 0 {
            thread::yield_now();
        }
        let _guard = handle.enter();
        pause();
    });
    // This takes a real hour if the worker does not observe the pause.
    runtime.block_on(async { sleep(HOUR).await });
    foreign.join().unwrap();
}

#[test]
fn advance_and_resume_reach_worker_with_held_time() {
    for resumes in [false, true] {
        let (runtime, parks) = paused_and_parks();
        let handle = runtime.handle().clone();
        let door = Door::new();
        let waits = door.clone();
        runtime.block_on(async {
            let job = spawn_blocking(move || {
                stir(&handle, &parks, 3);
                if resumes {
                    resume();
                } else {
                    futures::executor::block_on(advance(Duration::from_millis(2)));
                }
                waits.wait();
            });
            sleep(Duration::from_millis(2)).await;
            door.open();
            job.await.unwrap();
        });
    }
}

#[test]
fn foreign_executor_sleeps_while_runtime_is_driven() {
    let runtime = paused();
    let _guard = runtime.enter();
    let mut sleep = Box::pin(sleep(HOUR));
    assert_eq!(kit::poll_once(&mut sleep), Poll::Pending);
    runtime.block_on(sleep.as_mut());
    assert!(sleep.is_elapsed());
}

#[test]
fn paused_time_misuse_names_remedy() {
    let outside = [panic_text(pause), panic_text(resume), panic_text(|| futures::executor::block_on(advance(HOUR)))];
    assert!(outside.iter().all(|text| text.contains("no heist runtime") && text.contains("block_on")), "{outside:?}");

    let many = workers(1);
    let threads = many.block_on(async { [panic_text(pause), panic_text(resume)] });
    let threads = [threads.as_slice(), &[panic_text(|| many.block_on(advance(HOUR)))]].concat();
    assert!(threads.iter().all(|text| text.contains("new_current_thread")), "{threads:?}");

    let runtime = current_thread();
    let going = [panic_text(|| runtime.block_on(async { resume() })), panic_text(|| runtime.block_on(advance(HOUR)))];
    assert!(going.iter().all(|text| text.contains("`time::pause` first")), "{going:?}");

    let runtime = paused();
    let twice = panic_text(|| runtime.block_on(async { pause() }));
    assert!(twice.contains("already paused"), "{twice}");
    let far = panic_text(|| runtime.block_on(advance(Duration::MAX)));
    assert!(far.contains("584 years"), "{far}");
    // None of them has changed anything.
    runtime.block_on(async {
        let start = Instant::now();
        assert!(timeout(HOUR, pending::<()>()).await.is_err());
        assert_eq!(start.elapsed(), HOUR);
    });

    let built = panic_text(|| Builder::new_multi_thread().start_paused(true).build());
    assert!(built.contains("new_current_thread"), "{built}");
    assert!(Builder::new_multi_thread().worker_threads(1).start_paused(false).build().is_ok());
}
