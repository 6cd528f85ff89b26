//! A table of every way to wait for a duration.

use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::time::Duration;

use futures::FutureExt;
use heist::hyper::HeistTimer;
use heist::time::{Instant, interval, interval_at, sleep, timeout};
use hyper::rt::Timer;

const HOUR: Duration = Duration::from_secs(3600);

/// Returns a future that waits for the duration, including whatever the API needs before the wait.
pub(crate) type Wait = fn(Duration) -> Pin<Box<dyn Future<Output = ()>>>;

pub(crate) const WAITS: [(&str, Wait); 7] = [
    ("sleep", |long| Box::pin(async move { sleep(long).await })),
    ("Sleep::reset", |long| {
        Box::pin(async move {
            let mut armed = pin!(sleep(HOUR));
            assert!(armed.as_mut().now_or_never().is_none());
            armed.as_mut().reset(sleep(long).deadline());
            armed.await;
        })
    }),
    ("timeout", |long| Box::pin(async move { assert!(timeout(long, pending::<()>()).await.is_err()) })),
    ("interval", |long| {
        Box::pin(async move {
            let mut ticks = interval(long);
            ticks.tick().await;
            assert_eq!(ticks.period(), long);
            ticks.tick().await;
        })
    }),
    ("interval_at", |long| {
        Box::pin(async move {
            let start = Instant::now();
            let mut ticks = interval_at(start, long);
            assert_eq!(ticks.tick().await, start);
            ticks.tick().await;
        })
    }),
    ("Interval::reset_after", |long| {
        Box::pin(async move {
            let mut ticks = interval(HOUR);
            ticks.tick().await;
            assert!(ticks.tick().now_or_never().is_none());
            ticks.reset_after(long);
            ticks.tick().await;
        })
    }),
    ("hyper's sleep", |long| Box::pin(async move { HeistTimer.sleep(long).await })),
];
