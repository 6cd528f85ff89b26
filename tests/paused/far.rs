//! Waits that do not fit on the clock, and instants after its end.

use std::future::pending;

use heist::time::{
    Duration, Instant, MissedTickBehavior, advance, interval_at, pause, resume, sleep, sleep_until, timeout, timeout_at,
};

use crate::kit::panic_text;
use crate::waits::WAITS;
use crate::{HOUR, paused};

/// The time to the deadline of a wait that does not fit on the clock.
const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// The range of a runtime's clock.
const CLOCK: Duration = Duration::from_nanos(u64::MAX - 1);

#[test]
fn duration_beyond_clock_ends_in_far_future() {
    let too_long = [
        Duration::from_nanos(u64::MAX),
        Duration::from_micros(u64::MAX),
        Duration::from_millis(u64::MAX),
        Duration::from_secs(1 << 62),
        Duration::from_secs(u64::MAX),
        Duration::MAX,
    ];
    for (name, wait) in WAITS {
        for long in too_long {
            let runtime = paused();
            runtime.block_on(async {
                let start = Instant::now();
                // Shorter waits fire first.
                let year = heist::spawn(async { sleep(365 * 24 * HOUR).await });
                wait(long).await;
                assert_eq!(start.elapsed(), FAR_FUTURE, "{name} of {long:?}");
                assert!(year.is_finished());
                sleep(HOUR).await;
                assert_eq!(start.elapsed(), FAR_FUTURE + HOUR, "{name} of {long:?}");
            });
        }
    }
}

/// An instant after the clock's end is due at the clock's end, and time stands still from then on.
#[test]
fn instant_beyond_clock_is_due_at_its_end() {
    let runtime = paused();
    runtime.block_on(async {
        let start = Instant::now();
        let last = heist::spawn(async move { sleep_until(start + CLOCK - HOUR).await });
        let beyond = start + 2 * CLOCK;
        sleep_until(beyond).await;
        assert_eq!(start.elapsed(), CLOCK);
        assert!(last.is_finished());
        // Nothing hangs or overflows.
        sleep(HOUR).await;
        sleep(Duration::MAX).await;
        sleep_until(beyond).await;
        assert!(timeout(HOUR, pending::<()>()).await.is_err());
        assert!(timeout_at(beyond, pending::<()>()).await.is_err());
        for behavior in [MissedTickBehavior::Burst, MissedTickBehavior::Delay, MissedTickBehavior::Skip] {
            let mut ticks = interval_at(beyond, HOUR);
            ticks.set_missed_tick_behavior(behavior);
            assert_eq!(ticks.tick().await, beyond);
            ticks.tick().await;
        }
        advance(Duration::ZERO).await;
        assert_eq!(start.elapsed(), CLOCK);
    });
    for by in [Duration::from_nanos(1), HOUR, Duration::MAX] {
        let text = panic_text(|| runtime.block_on(advance(by)));
        assert!(text.contains("584 years") && text.contains("advance by less"), "{text}");
    }
    runtime.block_on(async {
        resume();
        sleep(Duration::from_millis(1)).await;
        pause();
        advance(Duration::ZERO).await;
    });
}
