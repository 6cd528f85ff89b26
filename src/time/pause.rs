//! Time that stands still, for tests.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use super::Duration;
use crate::clock::{Clock, Refusal};
use crate::pool::Pool;
use crate::sync::Arc;
use crate::{context, task};

/// Now, by the clock of the runtime that this thread is inside of; by the system's, if it is in
/// none.
pub(super) fn now() -> Instant {
    context::pool().map_or_else(Instant::now, |pool| pool.clock.timer_now())
}

/// Pauses the time of the runtime that this is called in.
///
/// From now on [`Instant::now`](super::Instant::now) answers the same instant in the whole runtime,
/// its blocking jobs included, and no timer becomes due. That changes by [`advance`], by
/// [`resume`], or by itself (see below). [`std::time::Instant`] is as it was, and so is what is not
/// in [`time`](super): deadlines of drains and shutdowns, and how long an idle blocking thread
/// stays.
///
/// `#[heist::test(start_paused = true)]` and `Builder::start_paused` make a runtime that begins
/// like this.
///
/// # Auto-advance
///
/// While time is paused and the runtime has nothing to do, time leaps to the next timer. That is
/// when no task can be polled, nothing has come from sockets, and the future in `block_on` has not
/// been woken; then time is moved to exactly the deadline of the first timer on the runtime, and
/// what is due is woken. So sleeps take no time, and keep their order.
///
/// What other threads and processes do is not waited for, with one exception: while a
/// [`spawn_blocking`](task::spawn_blocking) job is queued or runs, time does not leap. To talk to a
/// socket whose other end is not in the same runtime, wait for it in such a job.
///
/// # Panics
///
/// If time is paused already; outside of a runtime; and on a runtime with worker threads.
///
/// # Examples
///
/// ```
/// use heist::time::{self, Duration, Instant};
///
/// # heist::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// time::pause();
/// let start = Instant::now();
/// let late = time::timeout(Duration::from_secs(60), std::future::pending::<()>());
/// assert!(late.await.is_err());
/// assert_eq!(start.elapsed(), Duration::from_secs(60));
/// # });
/// ```
#[track_caller]
pub fn pause() {
    control(Clock::pause);
}

/// Lets paused time go on, from where it stands: it does not jump, and stays ahead of the system's
/// if it was.
///
/// # Panics
///
/// If time is not paused; outside of a runtime; and on a runtime with worker threads.
///
/// # Examples
///
/// ```
/// use heist::time::{self, Duration, Instant};
///
/// # heist::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(async {
/// let start = Instant::now();
/// time::advance(Duration::from_secs(3600)).await;
/// time::resume();
/// time::sleep(Duration::from_millis(1)).await;
/// assert!(start.elapsed() >= Duration::from_secs(3600) + Duration::from_millis(1));
/// # });
/// ```
#[track_caller]
pub fn resume() {
    control(Clock::resume);
}

/// Moves paused time by `duration`, in one step, and then lets other tasks run as
/// [`yield_now`](task::yield_now) does.
///
/// All timers that have been passed are due at the same time, and their tasks may be polled in any
/// order; it is not waited for that they are. To pass through every deadline one after the other,
/// call [`sleep`](super::sleep()), and let the time pass by itself.
///
/// # Panics
///
/// When it is polled, with the location of the `.await`, if time is not paused. Also outside of a
/// runtime, and on a runtime with worker threads. Also if the time would be later than the clock
/// can show, 584 years after the runtime was made, or than the system can name.
///
/// # Cancel safety
///
/// Time has been moved when the first poll returns, whether or not the future is polled again.
///
/// # Examples
///
/// ```
/// use heist::time::{self, Duration, Instant};
///
/// # heist::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(async {
/// let start = Instant::now();
/// let sleeper = heist::spawn(time::sleep(Duration::from_secs(5)));
/// heist::task::yield_now().await;
/// time::advance(Duration::from_secs(7)).await;
/// sleeper.await.unwrap();
/// assert_eq!(start.elapsed(), Duration::from_secs(7));
/// # });
/// ```
pub fn advance(duration: Duration) -> impl Future<Output = ()> + Send + Sync {
    Advance { by: Some(duration), yields: task::yield_now() }
}

/// Moves the time at its first poll. It is a type of its own, so that a panic has the location of
/// the `.await`.
struct Advance<Y> {
    by: Option<Duration>,
    yields: Y,
}

impl<Y: Future<Output = ()>> Future for Advance<Y> {
    type Output = ();

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: `yields` stays where it is.
        let this = unsafe { self.get_unchecked_mut() };
        if let Some(by) = this.by.take() {
            control(|clock| clock.advance(by));
        }
        // SAFETY: it lies in a pinned future and is pinned with it.
        unsafe { Pin::new_unchecked(&mut this.yields) }.poll(cx)
    }
}

/// Does it to the clock of the runtime that this thread is inside of, whose worker hears of it.
#[track_caller]
fn control(change: impl FnOnce(&Clock) -> Result<(), Refusal>) {
    let pool = context::pool().expect(context::NO_RUNTIME);
    if let Err(refusal) = change(&pool.clock) {
        panic!("{}", explain(&refusal));
    }
    notify_worker(&pool);
}

/// The worker looks at its timers before its next poll, or anew, if it sleeps.
fn notify_worker(pool: &Arc<Pool>) {
    pool.bump_tick();
    pool.unpark(0);
}

fn explain(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::NotPausable => {
            "only the time of a current-thread runtime can be paused: build it by `Builder::new_current_thread`, or write \
             `#[heist::test]`, or `#[heist::main(flavor = \"current_thread\")]`"
        }
        Refusal::Paused => "time is paused already: call `time::pause` once, and not on a runtime that started paused",
        Refusal::Going => {
            "time is not paused: call `time::pause` first, or build the runtime by `Builder::start_paused(true)`"
        }
        Refusal::TooFar => "time cannot be advanced so far: the clock of a runtime shows 584 years; advance by less",
    }
}
