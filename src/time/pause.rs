//! Paused time, for tests.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use super::Duration;
use crate::clock::{Clock, Refusal};
use crate::pool::Pool;
use crate::primitive::{Arc, real_now};
use crate::{context, task};

/// Returns the current time of the runtime that is running on this thread, or of the system if
/// there is none.
pub(super) fn now() -> Instant {
    context::pool().map_or_else(real_now, |pool| pool.clock.timer_now())
}

/// Pauses the time of the current runtime.
///
/// From now on, [`Instant::now`](super::Instant::now) returns the same instant in the whole
/// runtime, its blocking jobs included, and no timer becomes due. Time moves again with
/// [`advance`], with [`resume`], or by itself (see below).
///
/// [`std::time::Instant`] is not affected. Neither are times outside of [`time`](super): the
/// deadlines of drains and shutdowns, and how long an idle thread for blocking jobs stays.
///
/// `#[heist::test(start_paused = true)]` and `Builder::start_paused` build a runtime whose time is
/// paused from the beginning.
///
/// # Auto-advance
///
/// While time is paused and the runtime is idle, time advances to the next timer. The runtime is
/// idle when no task can be polled, no socket is ready, and the root future of `block_on` has not
/// been woken. Then time moves to exactly the deadline of the runtime's first timer, and the tasks
/// whose timers are due are woken. So sleeps take no time, and keep their order.
///
/// The runtime does not wait for other threads and processes, with one exception. While a
/// [`spawn_blocking`](task::spawn_blocking) job is queued or runs, time does not advance. To talk
/// to a socket whose other end is not in the same runtime, wait for it in such a job.
///
/// # Panics
///
/// Panics if time is already paused, outside of a runtime, and in a multi-threaded runtime.
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

/// Resumes paused time, from the instant at which it stands. It does not jump: if it was ahead of
/// the system's time, it stays ahead.
///
/// # Panics
///
/// Panics if time is not paused, outside of a runtime, and in a multi-threaded runtime.
///
/// # Examples
///
/// ```
/// use heist::time::{self, Duration, Instant};
///
/// # let mut builder = heist::runtime::Builder::new_current_thread();
/// # builder.enable_all().start_paused(true).build().unwrap().block_on(async {
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

/// Advances paused time by `duration`, in one step, and then lets other tasks run as
/// [`yield_now`](task::yield_now) does.
///
/// All timers that it has passed are due at the same time. Their tasks may be polled in any order,
/// and `advance` does not wait for these polls. To pass every deadline one after the other, call
/// [`sleep`](super::sleep()), and let time advance by itself.
///
/// # Panics
///
/// The first poll panics, with the location of the `.await`, in these cases:
///
/// - Time is not paused.
/// - It is polled outside of a runtime, or in a multi-threaded runtime.
/// - The new time is later than the runtime's clock can show, 584 years after the runtime was
///   built, or than the system can represent.
///
/// # Cancel safety
///
/// When the first poll returns, time has advanced, whether or not the future is polled again.
///
/// # Examples
///
/// ```
/// use heist::time::{self, Duration, Instant};
///
/// # let mut builder = heist::runtime::Builder::new_current_thread();
/// # builder.enable_all().start_paused(true).build().unwrap().block_on(async {
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

/// Advances the time at its first poll. It is a named type, so that a panic has the location of the
/// `.await`.
struct Advance<Y> {
    by: Option<Duration>,
    yields: Y,
}

impl<Y: Future<Output = ()>> Future for Advance<Y> {
    type Output = ();

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: `yields` is not moved out of the field.
        let this = unsafe { self.get_unchecked_mut() };
        if let Some(by) = this.by.take() {
            control(|clock| clock.advance(by));
        }
        // SAFETY: `yields` is a field of a pinned future, and is pinned with it.
        unsafe { Pin::new_unchecked(&mut this.yields) }.poll(cx)
    }
}

/// Applies `change` to the clock of the current runtime, and notifies its worker.
#[track_caller]
fn control(change: impl FnOnce(&Clock) -> Result<(), Refusal>) {
    let Some(pool) = context::pool() else { panic!("{}", context::messages::no_runtime()) };
    if let Err(refusal) = change(&pool.clock) {
        panic!("{}", explain(&refusal));
    }
    notify_worker(&pool);
}

/// Makes the worker check its timers: before its next poll, or again if it sleeps.
fn notify_worker(pool: &Arc<Pool>) {
    pool.bump_tick();
    pool.unpark(0);
}

fn explain(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::NotPausable => {
            "only the time of a current-thread runtime can be paused; use `Builder::new_current_thread`, `#[heist::test]` or \
             `#[heist::main(flavor = \"current_thread\")]`"
        }
        Refusal::Paused => {
            "time is already paused; call `time::pause` once, and not on a runtime with `start_paused(true)`"
        }
        Refusal::Going => {
            "time is not paused; call `time::pause` first, or build the runtime with `Builder::start_paused(true)`"
        }
        Refusal::TooFar => "time cannot advance so far: the clock of a runtime lasts for 584 years; advance by less",
    }
}
