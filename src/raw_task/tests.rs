//! The task cell alone, in each of its states: counts of polls, schedules, drops, and live cells.
#![allow(clippy::waker_clone_wake, reason = "a wake by value is what is tested")]

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::loom_tests::support::{Bell, Counted, Counts, Home, Output, idle_task, poll_join};
use crate::primitive::{Arc, Mutex, Tracked};

/// A home, the counts of one task, and how many cells were alive before.
pub(super) struct Rig {
    pub(super) home: Arc<Home>,
    counts: Arc<Counts>,
    bell: Arc<Bell>,
    alive: isize,
}

impl Rig {
    pub(super) fn new() -> Rig {
        Rig { home: Home::new(), counts: Counts::new(), bell: Bell::new(), alive: Tracked::live_count() }
    }

    /// Spawns a queued task.
    pub(super) fn spawn(&self, poll: impl FnMut(&Waker) -> bool + Send + 'static) -> JoinHandle<Output> {
        self.home.spawn(Counted { counts: Arc::clone(&self.counts), poll })
    }

    /// Spawns a task that has been polled once, is idle, and ends at its second poll.
    pub(super) fn idle(&self) -> (JoinHandle<Output>, Waker) {
        idle_task(&self.home, &self.counts, || true)
    }

    fn poll(&self, handle: &mut JoinHandle<Output>) -> Poll<Result<Output, JoinError>> {
        poll_join(handle, &self.bell)
    }

    /// Returns the counts of polls, drops of the future, drops of the output.
    pub(super) fn counted(&self) -> [usize; 3] {
        [self.counts.polls(), self.counts.futures(), self.counts.outputs()]
    }

    /// Returns the number of cells created since and not freed.
    pub(super) fn cells(&self) -> isize {
        Tracked::live_count() - self.alive
    }

    #[track_caller]
    fn is_cancelled(&self, handle: &mut JoinHandle<Output>) -> bool {
        match self.poll(handle) {
            Poll::Ready(Err(error)) => error.is_cancelled(),
            other => panic!("the task has not failed: {other:?}"),
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.cells(), 0, "cells are left");
            assert!(self.home.is_empty());
            assert!(self.bell.is_alone(), "a joiner's waker is left");
        }
    }
}

#[test]
fn task_ready_at_once_is_polled_once_and_never_linked() {
    let rig = Rig::new();
    let mut handle = rig.spawn(|_| true);
    assert_eq!((rig.cells(), rig.counted()), (1, [0, 0, 0]));
    rig.home.run_all();
    assert_eq!((rig.cells(), rig.counted()), (1, [1, 1, 0]));
    let Poll::Ready(Ok(output)) = rig.poll(&mut handle) else { panic!("no output") };
    assert_eq!((rig.cells(), rig.counted()), (0, [1, 1, 0]));
    drop(output);
    assert_eq!(rig.counted(), [1, 1, 1]);
    assert_eq!(rig.home.scheduled(), 0);
}

/// The task yields in one home, is idle in a second, and ends in a third. The second home links it,
/// and its queue gets it.
#[test]
fn task_is_linked_where_it_first_becomes_idle() {
    let homes = [(); 3].map(|()| Home::new());
    let wakers = Arc::new(Mutex::new(Vec::new()));
    let (left, mut polls) = (Arc::clone(&wakers), 0);
    let future = poll_fn(move |cx| {
        polls += 1;
        match polls {
            1 => cx.waker().wake_by_ref(),
            2 => left.lock().push(cx.waker().clone()),
            _ => return Poll::Ready(polls),
        }
        Poll::Pending
    });
    let (runnable, mut handle) = spawn::<_, Home>(future, Location::caller().into());
    let linked = || homes.iter().map(|home| home.owned_tasks().phases().len()).collect::<Vec<_>>();
    let RunResult::Again(runnable) = runnable.run(&*homes[0]) else { panic!("it was woken") };
    assert_eq!(linked(), [0, 0, 0]);
    assert!(matches!(runnable.run(&*homes[1]), RunResult::Suspended));
    assert_eq!(linked(), [0, 1, 0]);
    wakers.lock().pop().expect("it has left a waker").wake();
    assert_eq!(homes.each_ref().map(|home| home.scheduled()), [0, 1, 0]);
    let runnable = homes[1].next().expect("it has been queued");
    assert!(matches!(runnable.run(&*homes[2]), RunResult::Ended));
    assert_eq!(linked(), [0, 0, 0]);
    assert!(matches!(poll_join(&mut handle, &Bell::new()), Poll::Ready(Ok(3))));
}

#[test]
fn task_woken_while_idle_is_queued_once() {
    let rig = Rig::new();
    let (handle, waker) = rig.idle();
    assert_eq!(rig.home.owned_tasks().phases()[0], "idle");
    let other = waker.clone();
    waker.wake_by_ref();
    waker.wake_by_ref();
    other.wake();
    waker.wake();
    assert_eq!(rig.home.scheduled(), 1);
    assert_eq!(rig.home.owned_tasks().phases()[0], "active");
    rig.home.run_all();
    assert_eq!(rig.counted(), [2, 1, 0]);
    assert!(handle.is_finished());
    drop(handle);
}

#[test]
fn task_woken_while_running_is_returned_once() {
    let rig = Rig::new();
    let mut left = 2;
    let handle = rig.spawn(move |waker| {
        let other = waker.clone();
        waker.wake_by_ref();
        other.wake();
        waker.wake_by_ref();
        left -= 1;
        left == 0
    });
    let runnable = rig.home.next().expect("it was spawned");
    let RunResult::Again(runnable) = runnable.run(&*rig.home) else { panic!("its wake was lost") };
    assert!(rig.home.next().is_none());
    // The last poll wakes the task, too: the end wins.
    assert!(matches!(runnable.run(&*rig.home), RunResult::Ended));
    assert_eq!((rig.counted(), rig.home.scheduled()), ([2, 1, 0], 0));
    drop(handle);
    assert_eq!(rig.counted(), [2, 1, 1]);
}

#[test]
fn task_woken_after_its_end_is_not_queued() {
    let rig = Rig::new();
    let (handle, waker) = rig.idle();
    waker.wake_by_ref();
    rig.home.run_all();
    waker.wake_by_ref();
    drop(handle);
    assert_eq!((rig.cells(), rig.home.scheduled()), (1, 1));
    waker.wake();
    assert_eq!((rig.cells(), rig.counted()), (0, [2, 1, 1]));
}

#[test]
fn wake_by_value_becomes_the_runnable() {
    let rig = Rig::new();
    let (handle, waker) = rig.idle();
    let kept = waker.clone();
    let abort = handle.abort_handle();
    let runnable = || {
        let runnable = rig.home.next().expect("it was woken");
        (runnable.header().state.load().refs(), runnable)
    };
    waker.wake();
    let (refs, queued) = runnable();
    assert_eq!(refs, 2, "the waker's reference is the runnable, not one more");
    assert!(matches!(queued.run(&*rig.home), RunResult::Ended));
    drop((handle, kept));
    assert_eq!(rig.cells(), 1);
    drop(abort);
    assert_eq!(rig.cells(), 0);
}

#[test]
fn task_cancelled_while_queued_is_dropped_unpolled_by_its_runner() {
    let rig = Rig::new();
    let mut handle = rig.spawn(|_| true);
    handle.abort();
    handle.abort();
    assert_eq!((rig.counted(), handle.is_finished()), ([0, 0, 0], false));
    rig.home.run_all();
    assert_eq!((rig.counted(), rig.home.scheduled()), ([0, 1, 0], 0));
    assert!(rig.is_cancelled(&mut handle));
}

#[test]
fn task_cancelled_while_idle_is_queued_once_and_dropped_by_its_runner() {
    let rig = Rig::new();
    let (mut handle, waker) = rig.idle();
    let abort = handle.abort_handle();
    handle.abort();
    abort.abort();
    waker.wake();
    assert_eq!((rig.counted(), rig.home.scheduled()), ([1, 0, 0], 1));
    rig.home.run_all();
    assert_eq!(rig.counted(), [1, 1, 0]);
    assert!(rig.is_cancelled(&mut handle));
    assert!(abort.is_finished());
}

#[test]
fn task_cancelled_while_running_ends_at_its_suspension_or_with_its_output() {
    for ends in [false, true] {
        let rig = Rig::new();
        let place = Arc::new(Mutex::new(None::<AbortHandle>));
        let own = Arc::clone(&place);
        let mut handle = rig.spawn(move |_| {
            own.lock().as_ref().expect("left by the test").abort();
            ends
        });
        *place.lock() = Some(handle.abort_handle());
        rig.home.run_all();
        assert_eq!(rig.counted(), [1, 1, 0]);
        match rig.poll(&mut handle) {
            Poll::Ready(Ok(_)) => assert!(ends),
            Poll::Ready(Err(error)) => assert!(error.is_cancelled() && !ends),
            Poll::Pending => panic!("it has not ended"),
        }
        *place.lock() = None;
    }
}

#[test]
fn owned_tasks_are_cancelled_as_a_whole() {
    let rig = Rig::new();
    let (mut queued, waker) = rig.idle();
    let (mut idle, _other) = rig.idle();
    let unlinked = rig.spawn(|_| true);
    waker.wake();
    assert_eq!(rig.home.owned_tasks().phases().len(), 2);
    let runnables = rig.home.owned_tasks().cancel_all();
    assert_eq!(runnables.len(), 1, "one is queued already");
    assert_eq!(rig.counted(), [2, 0, 0]);
    drop(runnables);
    rig.home.run_all();
    assert_eq!(rig.counted(), [3, 3, 0]);
    assert!(rig.is_cancelled(&mut queued) && rig.is_cancelled(&mut idle));
    assert!(unlinked.is_finished());
    drop((unlinked, _other));
}

#[test]
fn abort_after_the_end_changes_nothing() {
    let rig = Rig::new();
    let mut handle = rig.spawn(|_| true);
    let early = handle.abort_handle();
    rig.home.run_all();
    handle.abort();
    early.clone().abort();
    assert!(matches!(rig.poll(&mut handle), Poll::Ready(Ok(_))));
    handle.abort();
    let late = handle.abort_handle();
    late.abort();
    assert!(handle.is_finished() && early.is_finished() && late.is_finished());
    assert_eq!((late.id(), early.id()), (handle.id(), handle.id()));
    assert_eq!(rig.cells(), 1, "an early abort handle keeps the memory");
    drop(early);
    assert_eq!(rig.cells(), 0);
}

#[test]
fn runnable_dropped_while_its_holder_panics_cancels_the_task() {
    let rig = Rig::new();
    let mut handle = rig.spawn(|_| true);
    let runnable = rig.home.next().expect("it was spawned");
    let holder = catch_unwind(AssertUnwindSafe(|| {
        let _held = runnable;
        std::panic::resume_unwind(Box::new("the holder"));
    }));
    assert!(holder.is_err());
    assert_eq!(rig.counted(), [0, 1, 0]);
    assert!(rig.is_cancelled(&mut handle));
}

#[test]
fn output_is_dropped_by_the_handle_or_by_the_poller() {
    let rig = Rig::new();
    let handle = rig.spawn(|_| true);
    rig.home.run_all();
    assert_eq!(rig.counted(), [1, 1, 0]);
    drop(handle);
    assert_eq!((rig.cells(), rig.counted()), (0, [1, 1, 1]));

    let rig = Rig::new();
    let (handle, waker) = rig.idle();
    drop(handle);
    waker.wake_by_ref();
    rig.home.run_all();
    assert_eq!((rig.cells(), rig.counted()), (1, [2, 1, 1]), "not by the last waker");
    drop(waker);
}

#[test]
fn idle_task_without_wakers_stays_linked() {
    let rig = Rig::new();
    let (handle, waker) = rig.idle();
    drop((handle, waker));
    assert_eq!((rig.cells(), rig.home.owned_tasks().phases().len()), (1, 1));
    drop(rig.home.owned_tasks().cancel_all());
    assert_eq!((rig.cells(), rig.counted()), (0, [1, 1, 0]));
}

#[test]
fn joiner_polling_with_the_same_waker_keeps_it() {
    let rig = Rig::new();
    let mut handle = rig.spawn(|_| true);
    let waker = rig.bell.waker();
    for _ in 0..3 {
        assert!(Pin::new(&mut handle).poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(Arc::strong_count(&rig.bell), 3, "bell, waker, slot");
    }
    let other = Bell::new();
    assert!(poll_join(&mut handle, &other).is_pending());
    drop(waker);
    assert!(rig.bell.is_alone());
    rig.home.run_all();
    assert_eq!((rig.bell.rings(), other.rings()), (0, 1));
    assert!(other.is_alone(), "the waker goes at the task's end");
    assert!(rig.poll(&mut handle).is_ready());
}

#[test]
fn handle_that_was_ready_panics_at_the_next_poll_only() {
    let rig = Rig::new();
    let mut handle = rig.spawn(|_| true);
    rig.home.run_all();
    assert!(rig.poll(&mut handle).is_ready());
    let again = catch_unwind(AssertUnwindSafe(|| rig.poll(&mut handle)));
    let message = *again.unwrap_err().downcast::<String>().expect("a message");
    assert!(message.contains("polled after"), "{message}");
    assert!(handle.is_finished());
}

#[test]
fn tasks_that_await_each_other_do_not_keep_each_other_alive() {
    let rig = Rig::new();
    let places = [(); 2].map(|()| Arc::new(Mutex::new(None::<JoinHandle<()>>)));
    for at in 0..2 {
        let place = Arc::clone(&places[1 - at]);
        let task = poll_fn(move |cx| {
            let mut handle = place.lock();
            Pin::new(handle.as_mut().expect("left by the test")).poll(cx).map(drop)
        });
        *places[at].lock() = Some(rig.home.spawn(task));
    }
    rig.home.run_all();
    drop(rig.home.owned_tasks().cancel_all());
    rig.home.run_all();
    drop(places);
    assert_eq!(rig.cells(), 0);
}

#[test]
fn task_that_awaits_itself_can_be_cancelled() {
    let rig = Rig::new();
    let place = Arc::new(Mutex::new(None::<JoinHandle<()>>));
    let own = Arc::clone(&place);
    let mut handle = None;
    let task = poll_fn(move |cx| {
        let handle = handle.get_or_insert_with(|| own.lock().take().expect("left by the test"));
        Pin::new(handle).poll(cx).map(drop)
    });
    let handle = rig.home.spawn(task);
    let abort = handle.abort_handle();
    *place.lock() = Some(handle);
    rig.home.run_all();
    abort.abort();
    rig.home.run_all();
    assert!(abort.is_finished());
    drop(abort);
    assert_eq!(rig.cells(), 0);
}

// Layout.

#[cfg(all(target_pointer_width = "64", not(feature = "tracing-spans")))]
#[test]
fn tiny_task_is_one_chunk_of_80_bytes() {
    assert_eq!(size_of::<Header>(), 64);
    // glibc keeps 8 bytes of a chunk for itself. One word is left for the future, and for the
    // output or the error.
    type Tiny = super::poll::TaskCell<std::future::Ready<()>>;
    assert!(size_of::<Tiny>() <= 80 - 8);
    assert!(align_of::<Tiny>() <= 16);
}

/// Records its address at each poll, and asserts that it is aligned.
struct Placed<T> {
    seen: Arc<Mutex<Vec<usize>>>,
    polls: usize,
    _body: T,
}

impl<T: Unpin> Future for Placed<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let at = (&raw const *self).addr();
        assert_eq!(at % align_of::<Self>(), 0);
        self.seen.lock().push(at);
        self.polls -= 1;
        cx.waker().wake_by_ref();
        // SAFETY: the bodies of these tests are bytes.
        if self.polls == 0 { Poll::Ready(unsafe { std::mem::zeroed() }) } else { Poll::Pending }
    }
}

/// Runs a task with this body, each poll in another home. Returns the offsets of the future from
/// the header.
fn offsets<T: Unpin + Send + 'static>(body: T) -> Vec<usize> {
    let alive = Tracked::live_count();
    let homes = [(); 3].map(|()| Home::new());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let future = Placed { seen: Arc::clone(&seen), polls: homes.len(), _body: body };
    let (runnable, mut handle) = spawn::<_, Home>(future, Location::caller().into());
    let header = (&raw const *runnable.header()).addr();
    let mut next = Some(runnable);
    for home in &homes {
        next = match next.take().expect("it runs on").run(&**home) {
            RunResult::Again(runnable) => Some(runnable),
            ran => {
                assert!(matches!(ran, RunResult::Ended), "{ran:?}");
                None
            }
        };
        let linked = homes.iter().map(|home| home.owned_tasks().phases().len()).collect::<Vec<_>>();
        assert_eq!(linked, [0, 0, 0], "a task that only yields is linked nowhere");
    }
    assert!(poll_join(&mut handle, &Bell::new()).is_ready());
    assert_eq!(Tracked::live_count(), alive);
    let seen = seen.lock();
    seen.iter().map(|at| at.wrapping_sub(header)).collect()
}

#[test]
fn future_polled_in_several_homes_does_not_move() {
    assert_eq!(offsets([0_u8; 100]), [size_of::<Header>(); 3]);
}

#[test]
fn large_future_is_boxed_by_spawn() {
    let large = offsets([0_u8; 17 * 1024]);
    assert!(large[0] != size_of::<Header>() && large.iter().all(|offset| *offset == large[0]), "{large:?}");
    assert_eq!(offsets([0_u8; 15 * 1024]), [size_of::<Header>(); 3]);
}

#[test]
fn over_aligned_future_is_aligned_in_its_cell() {
    #[repr(align(4096))]
    struct Page(#[allow(dead_code, reason = "only its alignment counts")] [u8; 1]);
    assert_eq!(offsets(Page([0])), [4096; 3]);
}

#[test]
fn future_of_size_zero_is_a_task() {
    struct Empty;
    impl Future for Empty {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }
    assert_eq!(size_of::<Empty>(), 0);
    let rig = Rig::new();
    let mut handle = rig.home.spawn(Empty);
    rig.home.run_all();
    assert!(matches!(poll_join(&mut handle, &rig.bell), Poll::Ready(Ok(()))));
}
