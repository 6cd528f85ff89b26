//! The futures polled by hand, on a wheel that is turned by hand.

use std::future::{Future, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use super::timer_span::TimerSpan;
use super::*;
use crate::primitive::Arc;
use crate::timer::TimerWheel;
use crate::timer::tests::{Count, HOUR, fire_due, wheel};
use crate::util::wake_list::WakeList;

fn at(wheel: &TimerWheel, nanos: u64) -> Instant {
    crate::timer::tests::at(wheel, nanos).into()
}

// The constructors of the API panic outside of a runtime, these do not.

fn sleep(duration: Duration) -> Sleep {
    sleep_until(Instant::now().later(duration))
}

fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::new(deadline, true, TimerSpan::of_sleep(deadline))
}

fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    let deadline = Instant::now().later(duration);
    Timeout::new(future, Sleep::new(deadline, duration.is_zero(), TimerSpan::of_sleep(deadline)))
}

fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    Timeout::new(future, sleep_until(deadline))
}

fn interval(period: Duration) -> Interval {
    interval_at(Instant::now(), period)
}

fn interval_at(start: Instant, period: Duration) -> Interval {
    Interval::new(start, period)
}

fn poll_sleep(sleep: Pin<&mut Sleep>, wheel: &Arc<TimerWheel>, waker: &Waker) -> Poll<()> {
    sleep.poll_on(&mut Context::from_waker(waker), || Arc::clone(wheel))
}

fn poll_timeout<F: Future>(
    timeout: Pin<&mut Timeout<F>>,
    wheel: &Arc<TimerWheel>,
    waker: &Waker,
) -> Poll<Result<F::Output, error::Elapsed>> {
    timeout.poll_on(&mut Context::from_waker(waker), || Arc::clone(wheel))
}

fn poll_tick(interval: &mut Interval, wheel: &Arc<TimerWheel>, waker: &Waker) -> Poll<Instant> {
    interval.poll_on(&mut Context::from_waker(waker), || Arc::clone(wheel))
}

/// For polls that must not need a timer wheel.
fn no_wheel() -> Arc<TimerWheel> {
    panic!("a wheel was asked for")
}

fn panic_text(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("it panics");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().expect("a text")).to_owned(),
    }
}

fn is_anywhere<T: Send + Sync + std::fmt::Debug + 'static>(_: &T) {}

#[test]
fn futures_of_time_are_send_and_sync() {
    is_anywhere(&sleep(Duration::ZERO));
    is_anywhere(&timeout(Duration::ZERO, ready(())));
    is_anywhere(&interval(Duration::from_secs(1)));
    fn unpin<T: Unpin>(_: &T) {}
    unpin(&interval(Duration::from_secs(1)));
}

#[test]
fn sleep_completes_at_deadline_and_stays_complete() {
    let (wheel, _) = wheel();
    let (count, waker) = Count::new();
    let mut sleep = pin!(sleep_until(at(&wheel, HOUR)));
    assert!(poll_sleep(sleep.as_mut(), &wheel, &waker).is_pending());
    assert!(sleep.as_mut().poll_on(&mut Context::from_waker(&waker), no_wheel).is_pending());
    assert!(!sleep.is_elapsed());
    fire_due(&wheel, 2 * HOUR);
    assert_eq!(count.get(), 1);
    for _ in 0..2 {
        assert!(sleep.is_elapsed());
        assert!(sleep.as_mut().poll_on(&mut Context::from_waker(&waker), no_wheel).is_ready());
    }
    assert_eq!(sleep.deadline(), at(&wheel, HOUR));
}

#[test]
fn sleep_to_past_completes_at_first_poll() {
    let (wheel, _) = wheel();
    let past = at(&wheel, 0);
    for sleep in [sleep(Duration::ZERO), sleep_until(past)] {
        assert!(sleep.is_elapsed());
        assert!(poll_sleep(pin!(sleep), &wheel, Waker::noop()).is_ready());
    }
    assert_eq!(wheel.next_due(), u64::MAX, "nothing was armed");
}

#[test]
fn duration_max_ends_in_far_future() {
    let (wheel, _) = wheel();
    let mut sleep = pin!(sleep(Duration::MAX));
    assert!(poll_sleep(sleep.as_mut(), &wheel, Waker::noop()).is_pending());
    assert!(fire_due(&wheel, 29 * 365 * 24 * HOUR).is_some());
    assert!(poll_sleep(sleep.as_mut(), &wheel, Waker::noop()).is_pending());
    fire_due(&wheel, 30 * 365 * 24 * HOUR + HOUR);
    assert!(poll_sleep(sleep.as_mut(), &wheel, Waker::noop()).is_ready());
    let mut interval = interval(Duration::MAX);
    assert!(poll_tick(&mut interval, &wheel, Waker::noop()).is_ready());
    assert!(poll_tick(&mut interval, &wheel, Waker::noop()).is_pending());
    interval.reset();
    let mut timeout = pin!(timeout(Duration::MAX, pending::<()>()));
    assert!(poll_timeout(timeout.as_mut(), &wheel, Waker::noop()).is_pending());
}

#[test]
fn sleep_reset_wakes_task_without_another_poll() {
    let (wheel, _) = wheel();
    let (count, waker) = Count::new();
    let mut sleep = pin!(sleep_until(at(&wheel, HOUR)));
    assert!(poll_sleep(sleep.as_mut(), &wheel, &waker).is_pending());
    sleep.as_mut().reset(at(&wheel, 3 * HOUR));
    fire_due(&wheel, 2 * HOUR);
    assert_eq!(count.get(), 0);
    fire_due(&wheel, 4 * HOUR);
    assert_eq!(count.get(), 1);
    // After its completion it can be used again, on another wheel.
    let (other, _) = self::wheel();
    sleep.as_mut().reset(at(&other, HOUR));
    assert!(!sleep.is_elapsed());
    assert!(poll_sleep(sleep.as_mut(), &other, &waker).is_pending());
    fire_due(&wheel, 9 * HOUR);
    assert_eq!(count.get(), 1);
    fire_due(&other, 9 * HOUR);
    assert_eq!(count.get(), 2);
}

#[test]
fn sleep_reset_to_past_leaves_wheel_at_next_poll() {
    let (wheel, _) = wheel();
    let (count, waker) = Count::new();
    let mut sleep = pin!(sleep_until(at(&wheel, HOUR)));
    assert!(poll_sleep(sleep.as_mut(), &wheel, &waker).is_pending());
    sleep.as_mut().reset(at(&wheel, 0));
    assert!(sleep.is_elapsed());
    assert!(sleep.as_mut().poll_on(&mut Context::from_waker(&waker), no_wheel).is_ready());
    assert!(wheel.is_empty());
    assert_eq!((count.get(), Arc::strong_count(&count)), (0, 2), "its waker is dropped and not called");
}

/// After a shutdown, a sleep returns what a new sleep for the same instant would return.
#[test]
fn sleep_past_deadline_is_ready_after_shutdown() {
    let (wheel, _) = wheel();
    let mut reset = pin!(sleep_until(at(&wheel, HOUR)));
    assert!(poll_sleep(reset.as_mut(), &wheel, Waker::noop()).is_pending());
    reset.as_mut().reset(at(&wheel, 0));
    // Armed without a read of the clock, as by a `Timeout`.
    let mut armed = pin!(Sleep::new(at(&wheel, 0), false, TimerSpan::of_sleep(at(&wheel, 0))));
    assert!(poll_sleep(armed.as_mut(), &wheel, Waker::noop()).is_pending());
    wheel.close_wheel(&mut WakeList::new());
    for mut closed in [reset, armed] {
        assert!(closed.is_elapsed());
        assert!(poll_sleep(closed.as_mut(), &wheel, Waker::noop()).is_ready());
    }
}

#[test]
fn sleep_polled_after_shutdown_panics() {
    let (wheel, _) = wheel();
    let (count, waker) = Count::new();
    let mut sleep = pin!(sleep_until(at(&wheel, HOUR)));
    assert!(poll_sleep(sleep.as_mut(), &wheel, &waker).is_pending());
    wheel.close_wheel(&mut WakeList::new());
    assert_eq!(count.get(), 1, "the shutdown wakes it");
    for _ in 0..2 {
        let text = panic_text(|| assert!(poll_sleep(sleep.as_mut(), &wheel, &waker).is_ready()));
        assert!(text.contains("shut down") && text.contains("keep the `Runtime` alive"), "{text}");
    }
    let mut unfiled = pin!(sleep_until(at(&wheel, HOUR)));
    assert!(panic_text(|| assert!(poll_sleep(unfiled.as_mut(), &wheel, &waker).is_ready())).contains("shut down"));
    let (other, _) = self::wheel();
    sleep.as_mut().reset(at(&other, HOUR));
    assert!(poll_sleep(sleep.as_mut(), &other, &waker).is_pending());
}

#[test]
fn timeout_of_ready_future_uses_no_timer() {
    let mut cx = Context::from_waker(Waker::noop());
    let mut quick = pin!(timeout(Duration::from_secs(1), ready(7)));
    assert_eq!(quick.as_mut().poll_on(&mut cx, no_wheel), Poll::Ready(Ok(7)));
    // A ready future does not time out.
    let mut late = pin!(timeout(Duration::ZERO, ready(7)));
    assert_eq!(late.as_mut().poll_on(&mut cx, no_wheel), Poll::Ready(Ok(7)));
}

#[test]
fn timeout_of_zero_elapses_at_first_poll() {
    let (wheel, _) = wheel();
    let past = at(&wheel, 0);
    for timeout in [timeout(Duration::ZERO, pending::<()>()), timeout_at(past, pending())] {
        assert!(matches!(poll_timeout(pin!(timeout), &wheel, Waker::noop()), Poll::Ready(Err(_))));
    }
}

#[test]
fn timeout_of_self_waking_future_elapses() {
    let (wheel, _) = wheel();
    let (count, waker) = Count::new();
    let restless = poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    });
    let mut timeout = pin!(timeout(Duration::from_secs(3600), restless));
    for _ in 0..10 {
        assert!(poll_timeout(timeout.as_mut(), &wheel, &waker).is_pending());
    }
    assert!(wheel.next_due() < 2 * HOUR);
    fire_due(&wheel, 2 * HOUR);
    assert!(matches!(poll_timeout(timeout.as_mut(), &wheel, &waker), Poll::Ready(Err(_))));
    assert_eq!(count.get(), 10 + 1 + 1);
}

#[test]
fn timeout_lends_and_returns_its_future() {
    let mut timeout = timeout(Duration::from_secs(1), ready(7));
    assert_eq!(timeout.get_ref().clone().into_inner(), 7);
    *timeout.get_mut() = ready(8);
    assert_eq!(timeout.into_inner().into_inner(), 8);
}

#[test]
fn elapsed_converts_to_io_error() {
    let (wheel, _) = wheel();
    let mut timeout = pin!(timeout(Duration::ZERO, pending::<()>()));
    let Poll::Ready(Err(elapsed)) = poll_timeout(timeout.as_mut(), &wheel, Waker::noop()) else {
        panic!("it is up");
    };
    assert_eq!(elapsed.to_string(), "deadline has elapsed");
    assert_eq!(std::io::Error::from(elapsed).kind(), std::io::ErrorKind::TimedOut);
}

#[test]
fn interval_ticks_keep_schedule() {
    let (wheel, _) = wheel();
    let (count, waker) = Count::new();
    let start = at(&wheel, HOUR);
    let hour = Duration::from_secs(3600);
    let mut interval = interval_at(start, hour);
    for n in 1..4 {
        assert!(poll_tick(&mut interval, &wheel, &waker).is_pending());
        fire_due(&wheel, n * HOUR + HOUR / 2);
        assert_eq!(count.get(), n as usize);
        assert_eq!(poll_tick(&mut interval, &wheel, &waker), Poll::Ready(start + hour * (n as u32 - 1)));
    }
    assert_eq!(interval.period(), hour);
}

#[test]
fn interval_tick_dropped_is_not_lost() {
    let (wheel, _) = wheel();
    let mut interval = interval_at(at(&wheel, HOUR), Duration::from_secs(3600));
    assert!(poll_tick(&mut interval, &wheel, Waker::noop()).is_pending());
    {
        let tick = pin!(interval.tick());
        assert!(tick.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    fire_due(&wheel, 2 * HOUR);
    assert_eq!(poll_tick(&mut interval, &wheel, Waker::noop()), Poll::Ready(at(&wheel, HOUR)));
}

/// An interval whose first tick was due two and a half periods ago, and its first three schedules.
fn missed(behavior: MissedTickBehavior) -> (Vec<Duration>, Instant, Instant) {
    let (wheel, _) = wheel();
    let period = Duration::from_secs(100);
    let start = Instant::now().checked_sub(period * 5 / 2).expect("an instant some minutes ago");
    let mut interval = interval_at(start, period);
    interval.set_missed_tick_behavior(behavior);
    assert_eq!(interval.missed_tick_behavior(), behavior);
    let mut ticks = Vec::new();
    while let Poll::Ready(tick) = poll_tick(&mut interval, &wheel, Waker::noop()) {
        ticks.push(tick - start);
    }
    (ticks, start, at(&wheel, wheel.next_due()))
}

#[test]
fn missed_ticks_with_burst_catch_up() {
    let (ticks, start, next) = missed(MissedTickBehavior::Burst);
    assert_eq!(ticks, [0, 100, 200].map(Duration::from_secs));
    assert_eq!((next - start).as_secs(), 300);
}

#[test]
fn missed_ticks_with_delay_move_schedule() {
    let (ticks, start, next) = missed(MissedTickBehavior::Delay);
    assert_eq!(ticks, [Duration::ZERO]);
    assert!((next - start).as_secs() >= 350);
}

#[test]
fn missed_ticks_with_skip_are_left_out() {
    let (ticks, start, next) = missed(MissedTickBehavior::Skip);
    assert_eq!(ticks, [Duration::ZERO]);
    assert_eq!((next - start).as_secs(), 300);
}

#[test]
fn interval_reset_restarts_schedule() {
    let (wheel, _) = wheel();
    let (count, waker) = Count::new();
    let mut interval = interval_at(at(&wheel, 5 * HOUR), Duration::from_secs(3600));
    assert!(poll_tick(&mut interval, &wheel, &waker).is_pending());
    interval.reset_immediately();
    fire_due(&wheel, HOUR / 2);
    assert_eq!(count.get(), 1, "the waiting task is woken");
    assert!(poll_tick(&mut interval, &wheel, &waker).is_ready());
    interval.reset_at(at(&wheel, 3 * HOUR));
    assert!(poll_tick(&mut interval, &wheel, &waker).is_pending());
    interval.reset();
    fire_due(&wheel, 2 * HOUR);
    assert_eq!(count.get(), 2);
    assert!(poll_tick(&mut interval, &wheel, &waker).is_ready());
    interval.reset_after(Duration::ZERO);
    assert!(poll_tick(&mut interval, &wheel, &waker).is_ready());
}
