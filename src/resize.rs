#![doc = include_str!("../docs/resize.md")]

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::context;
use crate::pool::{Crew, Pool, ResizeError, Resized, ThreadSeat, Ticket};
use crate::sync::Arc;
use crate::sync::atomic::Ordering;
use crate::threads;
use crate::wakes::contained;

/// A change of the number of workers that is under way; see [`Runtime::resize`](crate::runtime::Runtime::resize).
///
/// Await it, or [`wait`](Resize::wait) for it, to learn when it is done. Dropping it changes nothing: the workers come and go all the
/// same.
#[derive(Debug)]
pub struct Resize {
    ticket: Arc<Ticket>,
}

impl Resize {
    /// Blocks this thread until the resize is done. For threads outside of async code; inside of it, await the `Resize`.
    ///
    /// # Errors
    ///
    /// As the future: see [`ResizeError`].
    ///
    /// # Panics
    ///
    /// If this thread is polling a future: it might be the one that has to leave.
    #[track_caller]
    pub fn wait(self) -> Result<Resized, ResizeError> {
        assert!(
            !context::is_polling(),
            "Resize::wait was called from inside of async code, where it would block the worker: `.await` the `Resize`, or wait \
             inside of `spawn_blocking` or on a thread of its own"
        );
        self.ticket.wait()
    }
}

impl Future for Resize {
    type Output = Result<Resized, ResizeError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.ticket.poll(cx)
    }
}

impl Drop for Resize {
    fn drop(&mut self) {
        self.ticket.forget();
    }
}

/// Sets the number of workers.
pub(crate) fn resize(pool: &Arc<Pool>, workers: usize) -> Resize {
    let ticket = Arc::new(Ticket::new());
    match refusal(pool, workers) {
        Some(error) => ticket.write(Err(error)),
        None => {
            pool.staff.order(workers, Arc::clone(&ticket)).write();
            pool.carry_out();
        }
    }
    Resize { ticket }
}

/// Why there can't be so many workers.
fn refusal(pool: &Pool, workers: usize) -> Option<ResizeError> {
    let most = pool.staff.most();
    match workers {
        _ if pool.settings.current_thread => Some(ResizeError::CurrentThread),
        0 => Some(ResizeError::Zero),
        _ if workers > most => Some(ResizeError::AboveMaximum { asked: workers, most }),
        _ => ResizeError::in_phase(pool.phase.load()),
    }
}

impl Crew for Arc<Pool> {
    fn expect_one(&self) {
        self.attendance.enter();
    }

    fn expect_one_less(&self) {
        threads::stay_away(self);
    }

    fn start(&self, seat: usize, version: u64) -> io::Result<()> {
        self.furnish(seat + 1);
        let mut name = "heist-worker".to_owned();
        contained("a function that names threads", || name = threads::name(self, ThreadSeat::new(seat, version)));
        threads::start_worker(self, seat, name)
    }

    fn rouse(&self, seats: &[usize]) {
        if seats.is_empty() {
            return;
        }
        // Ordering: Release — the words come before it; a worker that sees the tick looks at its word.
        self.tick.fetch_add(1, Ordering::Release);
        for &seat in seats {
            self.unpark(seat);
        }
    }
}
