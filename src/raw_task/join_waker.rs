//! The joiner's waker of a task, in one word.

use std::marker::PhantomData;
use std::ptr::{NonNull, null};
use std::task::Waker;

use super::{Header, waker};
use crate::util::wake_list::wake_catch_panic;

/// The bit that marks a pointer to a boxed `Waker`.
const BOXED: usize = 1;
/// The bit that marks a pointer to a boxed [`Callback`].
const CALLBACK: usize = 2;

/// The waker to call at a task's end, or none. Most joiners are tasks of this crate, whose wakers
/// share one vtable. Such a waker is stored as a plain pointer, without an allocation.
///
/// Invariant: the word is one of these, and owns what it points to.
///
/// | word | content |
/// |---|---|
/// | null | no waker |
/// | pointer without a mark | the header of the joiner's task, with one REF of it |
/// | pointer with `BOXED` | a boxed `Waker` of another kind |
/// | pointer with `CALLBACK` | a boxed `Callback<C>` |
pub(super) struct JoinWaker(*const (), PhantomData<(Waker, Box<dyn EndCallback>)>);

const _: () = assert!(
    align_of::<Header>() > CALLBACK && align_of::<Waker>() > CALLBACK && align_of::<CallEnd>() > CALLBACK,
    "there is room for the marks"
);

/// A value that is notified of a task's end, in place of a joiner's waker. Unlike a waker, it is
/// never cloned, so it needs no reference count.
pub(crate) trait EndCallback: Send + 'static {
    /// Called once, at the task's end. It must not panic: it contains the panics of user code.
    fn on_end(self);
}

/// An [`EndCallback`] behind a thin pointer: the function tells its type.
#[repr(C)]
struct Callback<C> {
    consume: CallEnd,
    value: C,
}

/// Frees the box of a [`Callback`], and calls it before that if the second argument is true.
///
/// # Safety
///
/// The pointer comes from `Box::into_raw` of the `Callback<C>` whose field this is. The caller
/// gives the box up.
type CallEnd = unsafe fn(NonNull<()>, bool);

/// See [`CallEnd`].
unsafe fn consume<C: EndCallback>(callback: NonNull<()>, call: bool) {
    // SAFETY: by the contract of `CallEnd`, the pointer comes from such a box, which the caller
    // gives up.
    let callback = unsafe { Box::from_raw(callback.as_ptr().cast::<Callback<C>>()) };
    if call {
        callback.value.on_end();
    }
}

/// What a [`JoinWaker`] points to.
enum Target {
    Task(NonNull<Header>),
    Boxed(NonNull<Waker>),
    Callback(NonNull<()>),
}

impl JoinWaker {
    /// Creates an empty slot.
    #[inline]
    pub(super) const fn empty() -> JoinWaker {
        JoinWaker(null(), PhantomData)
    }

    /// Clones `waker`. A panic of its clone leaves nothing behind.
    #[inline]
    pub(super) fn clone_of(waker: &Waker) -> JoinWaker {
        match waker::task_of(waker) {
            Some(task) => {
                // SAFETY: a waker keeps its cell alive.
                unsafe { task.as_ref() }.add_waker();
                JoinWaker(task.as_ptr().cast_const().cast(), PhantomData)
            }
            None => JoinWaker::boxed(waker),
        }
    }

    #[cold]
    fn boxed(waker: &Waker) -> JoinWaker {
        JoinWaker::marked(Box::into_raw(Box::new(waker.clone())), BOXED)
    }

    /// Stores `value` in place of a waker.
    pub(super) fn callback<C: EndCallback>(value: C) -> JoinWaker {
        JoinWaker::marked(Box::into_raw(Box::new(Callback { consume: consume::<C>, value })), CALLBACK)
    }

    fn marked<T>(pointer: *mut T, mark: usize) -> JoinWaker {
        JoinWaker(pointer.cast_const().cast::<()>().map_addr(|address| address | mark), PhantomData)
    }

    #[inline]
    fn target(&self) -> Option<Target> {
        let marks = self.0.addr() & (BOXED | CALLBACK);
        let pointer = NonNull::new(self.0.map_addr(|address| address & !(BOXED | CALLBACK)).cast_mut())?;
        Some(match marks {
            0 => Target::Task(pointer.cast()),
            BOXED => Target::Boxed(pointer.cast()),
            _ => Target::Callback(pointer),
        })
    }

    /// Returns true if the slot is filled and wakes what `waker` wakes.
    #[inline]
    pub(super) fn will_wake(&self, waker: &Waker) -> bool {
        match self.target() {
            Some(Target::Task(task)) => waker::is_of(waker, task),
            // SAFETY: by the invariant, it points to a boxed waker that `self` owns.
            Some(Target::Boxed(boxed)) => unsafe { boxed.as_ref() }.will_wake(waker),
            Some(Target::Callback(_)) | None => false,
        }
    }

    /// Empties the slot, and returns its content.
    #[inline]
    pub(super) fn take(&mut self) -> JoinWaker {
        std::mem::replace(self, JoinWaker::empty())
    }

    /// Wakes the joiner, if there is one. Panics of a foreign waker are caught. A task's own waker
    /// does not panic, by the contract of [`Schedule`](super::Schedule).
    #[inline]
    pub(super) fn wake(self) {
        self.consume(true);
    }

    /// Drops the content, outside of the code of each future.
    #[inline(never)]
    fn discard(self) {
        self.consume(false);
    }

    #[inline]
    fn consume(mut self, wake: bool) {
        let target = self.target();
        self.0 = null();
        match target {
            None => {}
            // SAFETY: by the invariant, the word owned one REF of the task.
            Some(Target::Task(task)) if wake => unsafe { waker::wake_task(task) },
            // SAFETY: as above.
            Some(Target::Task(task)) => unsafe { waker::drop_task(task) },
            Some(Target::Boxed(boxed)) => {
                // SAFETY: by the invariant, the waker was made from a box that the word owned.
                let waker = *unsafe { Box::from_raw(boxed.as_ptr()) };
                if wake {
                    wake_catch_panic(waker);
                }
            }
            Some(Target::Callback(callback)) => {
                // SAFETY: by the invariant, it points to a `Callback`, whose first field this is.
                let consume = unsafe { *callback.cast::<CallEnd>().as_ptr() };
                // SAFETY: the word owned the box of this callback.
                unsafe { consume(callback, wake) };
            }
        }
    }
}

impl Drop for JoinWaker {
    #[inline]
    fn drop(&mut self) {
        if !self.0.is_null() {
            self.take().discard();
        }
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use std::pin::Pin;
    use std::task::Context;

    use super::*;
    use crate::loom_tests::support::{Bell, Home};
    use crate::primitive::Arc;
    use crate::raw_task::tests::Rig;

    #[test]
    fn join_waker_is_one_word() {
        assert_eq!(size_of::<JoinWaker>(), size_of::<usize>());
        assert!(!JoinWaker::empty().will_wake(Waker::noop()));
        JoinWaker::empty().wake();
    }

    #[test]
    fn join_waker_of_a_task_is_its_pointer() {
        let rig = Rig::new();
        let (handle, waker) = rig.idle();
        let (other, other_waker) = rig.idle();
        let stored = JoinWaker::clone_of(&waker);
        assert_eq!(stored.0, waker.data());
        assert_eq!((stored.will_wake(&waker), stored.will_wake(&other_waker)), (true, false));
        drop(waker);
        stored.wake();
        rig.home.run_all();
        assert!(handle.is_finished(), "the stored waker kept the task, and has woken it");
        drop(JoinWaker::clone_of(&other_waker));
        assert_eq!(rig.home.scheduled(), 1, "a drop wakes nothing");
        other_waker.wake();
        rig.home.run_all();
        drop((handle, other));
        assert_eq!(rig.cells(), 0);
    }

    #[test]
    fn join_waker_of_another_kind_is_owned_once() {
        let (bell, other) = (Bell::new(), Bell::new());
        let (waker, other_waker) = (Waker::from(Arc::clone(&bell)), Waker::from(other));
        let mut slot = JoinWaker::clone_of(&waker);
        assert_eq!((slot.will_wake(&waker), slot.will_wake(&other_waker)), (true, false));
        let taken = slot.take();
        assert!(!slot.will_wake(&waker) && taken.will_wake(&waker));
        drop(waker);
        taken.wake();
        assert_eq!((bell.rings(), bell.is_alone()), (1, true));
        drop(JoinWaker::clone_of(&Arc::clone(&bell).into()));
        assert_eq!((bell.rings(), bell.is_alone()), (1, true), "a drop wakes nothing");
    }

    #[test]
    fn join_waker_registered_again_is_not_allocated_again() {
        let home = Home::new();
        let mut handle = home.spawn(std::future::pending::<()>());
        home.run_all();
        let waker = Waker::from(Bell::new());
        // SAFETY: the task is not polled meanwhile, so no other code accesses the slot.
        let stored = |task: &Header| task.joiner.with(|slot| unsafe { (*slot).0 });
        let words = [(); 3].map(|()| {
            assert!(Pin::new(&mut handle).poll(&mut Context::from_waker(&waker)).is_pending());
            stored(handle.header().expect("it has no output yet"))
        });
        assert!(words.iter().all(|word| !word.is_null() && *word == words[0]));
        handle.abort();
        home.run_all();
    }

    struct Ring(Arc<Bell>);

    impl EndCallback for Ring {
        fn on_end(self) {
            Waker::from(self.0).wake();
        }
    }

    #[test]
    fn end_callback_is_called_once_or_dropped() {
        let bell = Bell::new();
        JoinWaker::callback(Ring(Arc::clone(&bell))).wake();
        assert_eq!((bell.rings(), bell.is_alone()), (1, true));
        let stored = JoinWaker::callback(Ring(Arc::clone(&bell)));
        assert!(!stored.will_wake(Waker::noop()));
        drop(stored);
        assert_eq!((bell.rings(), bell.is_alone()), (1, true));
    }

    #[test]
    fn end_callback_is_called_at_the_end_or_after_it() {
        let (home, bell) = (Home::new(), Bell::new());
        let mut handle = home.spawn(std::future::ready(()));
        handle.call_at_end(Ring(Arc::clone(&bell)));
        assert_eq!(bell.rings(), 0);
        home.run_all();
        assert_eq!((bell.rings(), bell.is_alone()), (1, true));
        handle.call_at_end(Ring(Arc::clone(&bell)));
        assert_eq!((bell.rings(), bell.is_alone()), (2, true));
    }

    #[test]
    fn end_callback_is_dropped_with_the_handle() {
        let (home, bell) = (Home::new(), Bell::new());
        let mut handle = home.spawn(std::future::ready(()));
        handle.call_at_end(Ring(Arc::clone(&bell)));
        drop(handle);
        assert!(bell.is_alone());
        home.run_all();
        assert_eq!(bell.rings(), 0);
    }
}
