//! Polling a future on the thread that waits for it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Wake, Waker};

use crate::context;
use crate::memory::OpenShelves;
use crate::park::Parker;
use crate::pool::Pool;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicU8, Ordering};
use crate::worker::{Step, Worker};

/// The root future has been woken since it was last polled.
const WOKEN: u8 = 1 << 0;
/// The root's thread sits in the seat of a current-thread runtime: it sleeps there, not on its own parker.
const DRIVING: u8 = 1 << 1;

/// What wakes the root future of a `block_on`.
struct Root {
    word: AtomicU8,
    parker: Arc<Parker>,
    pool: Arc<Pool>,
}

impl Root {
    /// Whether the future has to be polled; takes the wake.
    fn take_wake(&self) -> bool {
        // Ordering: Acquire — pairs with the Release in `wake_by_ref`.
        self.word.fetch_and(!WOKEN, Ordering::AcqRel) & WOKEN != 0
    }

    /// Whether a wake is there to be taken.
    fn has_wake(&self) -> bool {
        // Ordering: Acquire — as in `take_wake`. A wake that comes later unparks the seat.
        self.word.load(Ordering::Acquire) & WOKEN != 0
    }

    fn set_driving(&self, driving: bool) {
        // Read-modify-writes of the word that a waker changes: it sees where we sleep, or we see its wake.
        // Ordering: Release — pairs with the Acquire in `wake_by_ref`.
        if driving {
            self.word.fetch_or(DRIVING, Ordering::AcqRel);
        } else {
            self.word.fetch_and(!DRIVING, Ordering::AcqRel);
        }
    }
}

impl Wake for Root {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Ordering: Release — pairs with the Acquire in `take_wake`, also for a wake that finds an earlier one.
        if self.word.fetch_or(WOKEN, Ordering::AcqRel) & DRIVING != 0 {
            self.pool.unpark(0);
        } else {
            // Nobody sleeps in the reactor on this parker.
            let _ = self.parker.unpark();
        }
    }
}

/// Polls `future` until it is ready; `drive` says that this thread may run the runtime's tasks meanwhile.
#[track_caller]
pub(super) fn block_on<F: Future>(pool: &Arc<Pool>, future: F, drive: bool) -> F::Output {
    assert!(
        !context::is_polling(),
        "block_on was called from inside of async code, where it would block the worker: `.await` the future, or call \
         block_on inside of `spawn_blocking` or on a thread of its own"
    );
    let root = Arc::new(Root { word: AtomicU8::new(WOKEN), parker: Arc::new(Parker::new()), pool: Arc::clone(pool) });
    let waker = Waker::from(Arc::clone(&root));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    let _stay = context::enter(Arc::clone(pool));
    loop {
        if drive {
            if let Some(output) = drive_seat(&root, future.as_mut(), &mut cx) {
                return output;
            }
        }
        if let Some(output) = poll_root(&root, future.as_mut(), &mut cx) {
            return output;
        }
        root.parker.park(None);
    }
}

/// Polls the future if it has been woken.
fn poll_root<F: Future>(root: &Root, future: Pin<&mut F>, cx: &mut Context<'_>) -> Option<F::Output> {
    if !root.take_wake() {
        return None;
    }
    let _polling = context::polling();
    match future.poll(cx) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Runs the current-thread runtime until the future is ready. Answers nothing if another thread sits in its seat; it will call.
fn drive_seat<F: Future>(root: &Root, future: Pin<&mut F>, cx: &mut Context<'_>) -> Option<F::Output> {
    let seat = &root.pool.seats[0];
    // In line first, then try: a driver that leaves in between sees us, or we see the free seat.
    root.pool.drivers.queue(&root.parker);
    let local = seat.take_lease()?;
    root.pool.drivers.leave(&root.parker);
    let driver = Driver { root, local: Some(local) };
    let _shelves = OpenShelves::open();
    root.set_driving(true);
    let worker = Worker::new(&root.pool, seat, driver.local.as_deref().expect("the lease has just been taken"));
    worker.sit(|| drive_to_the_end(root, &worker, future, cx))
}

fn drive_to_the_end<F: Future>(
    root: &Root,
    worker: &Worker<'_>,
    mut future: Pin<&mut F>,
    cx: &mut Context<'_>,
) -> Option<F::Output> {
    let _polling = context::polling();
    loop {
        if root.has_wake() {
            if let Some(output) = poll_root(root, future.as_mut(), cx) {
                worker.stand_up();
                return Some(output);
            }
        }
        match worker.step() {
            Step::WouldRest if !root.has_wake() => worker.rest(),
            Step::WouldRest => worker.stand_up(),
            // The runtime is being shut down, by a handle's owner elsewhere; the root future still has to be waited for.
            Step::Left => return None,
            _ => {}
        }
    }
}

/// Gives the seat back and passes it on, however the drive ends.
struct Driver<'a> {
    root: &'a Root,
    local: Option<Box<crate::local::Local>>,
}

impl Drop for Driver<'_> {
    fn drop(&mut self) {
        self.root.set_driving(false);
        if let Some(local) = self.local.take() {
            self.root.pool.seats[0].return_lease(local);
        }
        self.root.pool.drivers.pass_on();
    }
}
