//! A joiner's waker that calls back into the task.

use std::future::{Future, ready};
use std::pin::Pin;
use std::task::{Context, RawWaker, RawWakerVTable, Wake, Waker};

use super::tests::Rig;
use super::*;
use crate::loom_tests::support::{Bell, Home, Output, poll_join};
use crate::primitive::atomic::AtomicUsize;
use crate::primitive::atomic::Ordering::Relaxed;
use crate::primitive::{Arc, Mutex};

/// A waker that calls back at each operation on it. It aborts the task, wakes it, and polls its
/// handle if that is not being polled.
struct HostileWaker {
    abort: AbortHandle,
    waker: Waker,
    handle: Arc<Mutex<Option<JoinHandle<Output>>>>,
    calls: AtomicUsize,
    outputs: AtomicUsize,
}

static HOSTILE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: a waker's data is an `Arc<HostileWaker>` that it owns.
        unsafe { Arc::increment_strong_count(data.cast::<HostileWaker>()) };
        hostile(data).call_back();
        RawWaker::new(data, &HOSTILE)
    },
    |data| {
        hostile(data).call_back();
        // SAFETY: as above; this waker is consumed.
        drop(unsafe { Arc::from_raw(data.cast::<HostileWaker>()) });
    },
    |data| hostile(data).call_back(),
    |data| {
        hostile(data).call_back();
        // SAFETY: as above; this waker is dropped.
        drop(unsafe { Arc::from_raw(data.cast::<HostileWaker>()) });
    },
);

fn hostile<'a>(data: *const ()) -> &'a HostileWaker {
    // SAFETY: as above.
    unsafe { &*data.cast::<HostileWaker>() }
}

impl HostileWaker {
    fn waker(self: Arc<Self>) -> Waker {
        // SAFETY: the table fulfils the contract of `RawWaker`.
        unsafe { Waker::from_raw(RawWaker::new(Arc::into_raw(self).cast(), &HOSTILE)) }
    }

    fn call_back(&self) {
        // It does not call itself without end.
        if self.calls.fetch_add(1, Relaxed) > 100 {
            return;
        }
        self.waker.wake_by_ref();
        self.abort.abort();
        let Some(mut handle) = self.handle.try_lock() else { return };
        let Some(mut taken) = handle.take() else { return };
        if poll_join(&mut taken, &Bell::new()).is_ready() {
            self.outputs.fetch_add(1, Relaxed);
        } else {
            *handle = Some(taken);
        }
    }
}

#[test]
fn joiner_waker_may_call_back_at_each_operation() {
    for abort in [false, true] {
        let rig = Rig::new();
        let (handle, waker) = rig.idle();
        let place = Arc::new(Mutex::new(None));
        let new = |handle: &JoinHandle<Output>| HostileWaker {
            abort: if abort { handle.abort_handle() } else { finished_abort_handle() },
            waker: waker.clone(),
            handle: Arc::clone(&place),
            calls: AtomicUsize::new(0),
            outputs: AtomicUsize::new(0),
        };
        let hostile_wakers = [(); 2].map(|()| Arc::new(new(&handle)));
        *place.lock() = Some(handle);
        // Cloned; then replaced, which drops it; then called when the task ends, or takes the
        // output.
        for hostile in &hostile_wakers {
            let waker = Arc::clone(hostile).waker();
            if let Some(handle) = place.lock().as_mut() {
                assert!(Pin::new(handle).poll(&mut Context::from_waker(&waker)).is_pending());
            }
        }
        assert_eq!(rig.home.scheduled(), 1);
        rig.home.run_all();
        assert!(hostile_wakers.iter().all(|hostile| hostile.calls.load(Relaxed) >= 2));
        drop(hostile_wakers);
        drop(place);
        assert_eq!(rig.counted(), if abort { [1, 1, 0] } else { [2, 1, 1] });
        drop(waker);
    }
}

/// Returns the abort handle of another task that has ended.
fn finished_abort_handle() -> AbortHandle {
    let home = Home::new();
    let mut handle = home.spawn(ready(()));
    home.run_all();
    assert!(poll_join(&mut handle, &Bell::new()).is_ready());
    handle.abort_handle()
}

/// The handle is dropped when its own waker is called. The poller holds the last reference, and
/// frees.
#[test]
fn handle_may_be_dropped_while_its_waker_is_called() {
    struct Serve(Mutex<Option<JoinHandle<Output>>>);
    impl Wake for Serve {
        fn wake(self: Arc<Self>) {
            let mut handle = self.0.lock().take().expect("it is called once");
            assert!(poll_join(&mut handle, &Bell::new()).is_ready());
        }
    }
    let rig = Rig::new();
    let mut handle = rig.spawn(|_| true);
    let serve = Arc::new(Serve(Mutex::new(None)));
    assert!(Pin::new(&mut handle).poll(&mut Context::from_waker(&Arc::clone(&serve).into())).is_pending());
    *serve.0.lock() = Some(handle);
    rig.home.run_all();
    assert_eq!((rig.cells(), rig.counted()), (0, [1, 1, 1]));
}
