//! Durations and instants at the ends of their ranges: nothing overflows, and each panic names its
//! cause and the remedy.

use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use heist::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout_at};

use crate::kit::{each, panic_text, says, yield_now};
use crate::waits::WAITS;

/// The range of a runtime's clock.
const CLOCK: Duration = Duration::from_nanos(u64::MAX - 1);

fn durations() -> [Duration; 10] {
    [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_secs(3600),
        CLOCK,
        Duration::from_nanos(u64::MAX),
        Duration::from_millis(u64::MAX),
        Duration::from_secs(i64::MAX as u64),
        Duration::MAX / 2,
        Duration::from_secs(u64::MAX),
        Duration::MAX,
    ]
}

/// Returns the last instant that steps from `at` reach.
fn outermost(mut at: Instant, step: impl Fn(&Instant, Duration) -> Option<Instant>) -> Instant {
    for nanos in (0..94).rev().map(|bit| 1_u128 << bit) {
        let wide = Duration::new((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32);
        at = step(&at, wide).unwrap_or(at);
    }
    at
}

fn instants() -> Vec<Instant> {
    let (now, second) = (Instant::now(), Duration::from_secs(1));
    let first = outermost(now, Instant::checked_sub);
    let last = outermost(now, Instant::checked_add);
    assert_eq!((first.checked_sub(second), last.checked_add(second)), (None, None));
    let near = [now - second, now, now + 3600 * second, now + CLOCK, now + CLOCK + second];
    [&[first, first + second], near.as_slice(), &[last - second, last]].concat()
}

#[test]
fn timers_accept_every_duration() {
    each(|runtime| {
        for (name, wait) in WAITS {
            for long in durations() {
                if long.is_zero() && name.starts_with("interval") {
                    continue;
                }
                let ended = runtime.block_on(async { wait(long).now_or_never().is_some() });
                // A nanosecond may have passed or not.
                assert!(ended == long.is_zero() || long.as_nanos() == 1, "{name} of {long:?} ended: {ended}");
            }
        }
    });
}

#[test]
fn timers_accept_every_instant() {
    use MissedTickBehavior::{Burst, Delay, Skip};
    each(|runtime| {
        runtime.block_on(async {
            for at in instants() {
                let is_past = at <= Instant::now();
                assert_eq!(sleep_until(at).deadline(), at);
                assert_eq!(sleep_until(at).is_elapsed(), is_past, "{at:?}");
                assert_eq!(sleep_until(at).now_or_never().is_some(), is_past, "{at:?}");
                assert_eq!(timeout_at(at, pending::<()>()).now_or_never().is_some(), is_past, "{at:?}");
                let mut armed = pin!(sleep_until(Instant::now() + Duration::from_secs(3600)));
                assert!(armed.as_mut().now_or_never().is_none());
                armed.as_mut().reset(at);
                assert_eq!((armed.deadline(), armed.now_or_never().is_some()), (at, is_past));
                for (period, behavior) in durations()
                    .into_iter()
                    .skip(1)
                    .flat_map(|period| [Burst, Delay, Skip].map(|as_told| (period, as_told)))
                {
                    // With a full budget.
                    yield_now().await;
                    let mut ticks = interval_at(at, period);
                    ticks.set_missed_tick_behavior(behavior);
                    assert_eq!(
                        ticks.tick().now_or_never(),
                        is_past.then_some(at),
                        "{at:?} every {period:?}, {behavior:?}"
                    );
                    let _ = ticks.tick().now_or_never();
                    ticks.reset();
                    let _ = ticks.tick().now_or_never();
                    ticks.reset_at(at);
                    assert_eq!(
                        ticks.tick().now_or_never(),
                        is_past.then_some(at),
                        "{at:?} every {period:?}, {behavior:?}"
                    );
                }
            }
        });
    });
}

#[test]
fn instant_arithmetic_is_that_of_std_or_saturates() {
    for at in instants() {
        let std = at.into_std();
        for by in durations() {
            for (operator, checked, expected, remedy) in [
                (at_plus as fn(Instant, Duration) -> Instant, at.checked_add(by), std.checked_add(by), "checked_add"),
                (at_plus_assign, at.checked_add(by), std.checked_add(by), "checked_add"),
                (at_minus, at.checked_sub(by), std.checked_sub(by), "checked_sub"),
                (at_minus_assign, at.checked_sub(by), std.checked_sub(by), "checked_sub"),
            ] {
                assert_eq!(checked, expected.map(Instant::from_std));
                match checked {
                    Some(moved) => assert_eq!(operator(at, by), moved),
                    None => says(&panic_text(|| operator(at, by)), &["cannot represent", remedy]),
                }
            }
        }
        for other in instants() {
            let since = std.saturating_duration_since(other.into_std());
            assert_eq!(
                (at - other, at.duration_since(other), at.saturating_duration_since(other)),
                (since, since, since)
            );
            assert_eq!(at.checked_duration_since(other), std.checked_duration_since(other.into_std()));
        }
        assert_eq!(at.elapsed().is_zero(), at > Instant::now());
    }
}

fn at_plus(at: Instant, by: Duration) -> Instant {
    at + by
}

fn at_plus_assign(mut at: Instant, by: Duration) -> Instant {
    at += by;
    at
}

fn at_minus(at: Instant, by: Duration) -> Instant {
    at - by
}

fn at_minus_assign(mut at: Instant, by: Duration) -> Instant {
    at -= by;
    at
}
