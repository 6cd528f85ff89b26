//! Values that belong to a task, or to a part of it.

use std::cell::RefCell;
use std::error::Error;
use std::future::Future;
use std::mem::swap;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::{fmt, thread};

/// Declares values that belong to a task, or to a part of it, one [`LocalKey`] for each `static`.
///
/// A value is there inside of a scope only, which gives it; see
/// [`LocalKey::scope`](crate::task::LocalKey::scope).
///
/// ```
/// heist::task_local! {
///     /// Who is served.
///     pub static USER: String;
///     static REQUEST: u64;
/// }
///
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let serve = REQUEST.scope(7, async {
///     assert_eq!(REQUEST.get(), 7);
///     USER.scope(String::from("eve"), async { USER.with(|user| user.len()) }).await
/// });
/// assert_eq!(heist::spawn(serve).await.unwrap(), 3);
/// # });
/// ```
#[macro_export]
macro_rules! task_local {
    () => {};
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty; $($rest:tt)*) => {
        $crate::task_local!($(#[$attr])* $vis static $name: $t);
        $crate::task_local!($($rest)*);
    };
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty) => {
        $(#[$attr])*
        $vis static $name: $crate::task::LocalKey<$t> = {
            ::std::thread_local! {
                static VALUE: ::std::cell::RefCell<::std::option::Option<$t>> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }
            $crate::task::LocalKey::new(VALUE)
        };
    };
}

/// A key to a value that belongs to a task, or to a part of it. Declared by
/// [`task_local!`](crate::task_local).
///
/// There is no value but inside of a [`scope`](LocalKey::scope) or a
/// [`sync_scope`](LocalKey::sync_scope). Scopes may lie inside of each other; the innermost one's
/// value counts. A task that is spawned inside of a scope does not inherit it. It works on every
/// executor.
pub struct LocalKey<T: 'static> {
    /// The value, while a scope is being polled on this thread.
    here: thread::LocalKey<RefCell<Option<T>>>,
}

/// Why no scope could be entered.
enum NoEntry {
    Borrowed,
    ThreadEnds,
}

impl NoEntry {
    #[cold]
    #[track_caller]
    fn panic(self) -> ! {
        match self {
            NoEntry::Borrowed => panic!(
                "a task-local scope was entered inside of `with` or `try_with` of the same key: take the value out first, with `get`"
            ),
            NoEntry::ThreadEnds => {
                panic!("a task-local scope was entered while the thread ends, and its locals are gone")
            }
        }
    }
}

impl<T: 'static> LocalKey<T> {
    /// For the macro.
    #[doc(hidden)]
    pub const fn new(here: thread::LocalKey<RefCell<Option<T>>>) -> Self {
        LocalKey { here }
    }

    /// Gives `future` the value, whenever it is polled, and while it is dropped.
    ///
    /// The value is dropped with the answer, after the future; see [`TaskLocalFuture::take_value`].
    ///
    /// # Panics
    ///
    /// Polling the answer panics inside of [`with`](LocalKey::with) or
    /// [`try_with`](LocalKey::try_with) of the same key.
    ///
    /// ```
    /// heist::task_local! {
    ///     static NUMBER: u32;
    /// }
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// NUMBER
    ///     .scope(1, async {
    ///         assert_eq!(NUMBER.get(), 1);
    ///         NUMBER.scope(2, async { assert_eq!(NUMBER.get(), 2) }).await;
    ///         assert_eq!(NUMBER.get(), 1);
    ///     })
    ///     .await;
    /// # });
    /// ```
    pub fn scope<F: Future>(&'static self, value: T, future: F) -> TaskLocalFuture<T, F> {
        TaskLocalFuture { key: self, future: Some(future), value: Some(value) }
    }

    /// Gives `f` the value.
    ///
    /// # Panics
    ///
    /// Inside of [`with`](LocalKey::with) or [`try_with`](LocalKey::try_with) of the same key, and
    /// if `f` panics.
    ///
    /// ```
    /// heist::task_local! {
    ///     static NUMBER: u32;
    /// }
    ///
    /// assert_eq!(NUMBER.sync_scope(1, || NUMBER.get() + 1), 2);
    /// ```
    #[track_caller]
    pub fn sync_scope<R>(&'static self, value: T, f: impl FnOnce() -> R) -> R {
        let mut value = Some(value);
        match self.enter(&mut value) {
            Ok(_inside) => f(),
            Err(refused) => refused.panic(),
        }
    }

    /// Calls `f` with the value.
    ///
    /// # Panics
    ///
    /// If there is none: outside of a scope of this key.
    ///
    /// ```
    /// heist::task_local! {
    ///     static NAME: String;
    /// }
    ///
    /// NAME.sync_scope("heist".to_owned(), || NAME.with(|name| assert_eq!(name.len(), 5)));
    /// ```
    #[track_caller]
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        match self.try_with(f) {
            Ok(answer) => answer,
            Err(error) => error.panic(),
        }
    }

    /// Calls `f` with the value.
    ///
    /// # Errors
    ///
    /// If there is none: outside of a scope of this key. `f` is dropped.
    ///
    /// ```
    /// heist::task_local! {
    ///     static NAME: String;
    /// }
    ///
    /// assert!(NAME.try_with(String::len).is_err()); // there is none
    /// NAME.sync_scope("heist".to_owned(), || assert_eq!(NAME.try_with(String::len).unwrap(), 5));
    /// ```
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        // Borrowed for good only while a scope is entered or left, which calls nobody.
        let found = self.here.try_with(|here| here.borrow().as_ref().map(f));
        found.ok().flatten().ok_or(AccessError { _private: () })
    }

    /// Puts the value in its place as long as the answer lives; what was there lies where the value
    /// was.
    fn enter<'a>(&'static self, value: &'a mut Option<T>) -> Result<Inside<'a, T>, NoEntry> {
        self.swap_value(value)?;
        Ok(Inside { key: self, outer: value })
    }

    fn swap_value(&'static self, value: &mut Option<T>) -> Result<(), NoEntry> {
        let exchanged = self.here.try_with(|here| match here.try_borrow_mut() {
            Ok(mut here) => {
                swap(&mut *here, value);
                Ok(())
            }
            Err(_) => Err(NoEntry::Borrowed),
        });
        exchanged.unwrap_or(Err(NoEntry::ThreadEnds))
    }
}

impl<T: Clone + 'static> LocalKey<T> {
    /// A clone of the value.
    ///
    /// # Panics
    ///
    /// If there is none: outside of a scope of this key.
    ///
    /// ```
    /// heist::task_local! {
    ///     static NAME: String;
    /// }
    ///
    /// assert_eq!(NAME.sync_scope("heist".to_owned(), || NAME.get()), "heist");
    /// ```
    #[track_caller]
    pub fn get(&'static self) -> T {
        self.with(T::clone)
    }

    /// A clone of the value.
    ///
    /// # Errors
    ///
    /// If there is none: outside of a scope of this key.
    ///
    /// ```
    /// heist::task_local! {
    ///     static NAME: String;
    /// }
    ///
    /// assert!(NAME.try_get().is_err()); // there is none
    /// assert_eq!(NAME.sync_scope("heist".to_owned(), || NAME.try_get()).unwrap(), "heist");
    /// ```
    pub fn try_get(&'static self) -> Result<T, AccessError> {
        self.try_with(T::clone)
    }
}

impl<T> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}

/// A scope that has been entered. Leaves it when it is dropped, also when the frame unwinds.
struct Inside<'a, T: 'static> {
    key: &'static LocalKey<T>,
    outer: &'a mut Option<T>,
}

impl<T> Drop for Inside<'_, T> {
    fn drop(&mut self) {
        // Whoever has borrowed the value since has given it back: it was lent to calls inside of
        // this one. And the thread's local was there when the scope was entered.
        let left = self.key.swap_value(self.outer);
        debug_assert!(left.is_ok(), "a scope was left while its value was borrowed");
    }
}

/// A future inside of a scope; answered by [`LocalKey::scope`].
///
/// # Panics
///
/// Polling it again after it was ready panics.
///
/// # Cancel safety
///
/// As safe as the future inside, which is dropped inside of the scope.
pub struct TaskLocalFuture<T: 'static, F> {
    key: &'static LocalKey<T>,
    /// Until it is ready. Pinned.
    future: Option<F>,
    /// While it is not being polled, and has not been taken.
    value: Option<T>,
}

impl<T, F> TaskLocalFuture<T, F> {
    /// Takes the value out. The future is without it from now on, should it be polled.
    ///
    /// ```
    /// use std::pin::pin;
    ///
    /// heist::task_local! {
    ///     static WORDS: std::cell::RefCell<Vec<&'static str>>;
    /// }
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let says = async { WORDS.with(|words| words.borrow_mut().push("hello")) };
    /// let mut says = pin!(WORDS.scope(Default::default(), says));
    /// says.as_mut().await;
    /// assert_eq!(says.take_value().unwrap().into_inner(), ["hello"]);
    /// # });
    /// ```
    pub fn take_value(self: Pin<&mut Self>) -> Option<T> {
        // SAFETY: the value is not pinned, and nothing else is moved.
        unsafe { self.get_unchecked_mut() }.value.take()
    }
}

impl<T, F: Future> Future for TaskLocalFuture<T, F> {
    type Output = F::Output;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the future is not moved.
        let TaskLocalFuture { key, future, value, .. } = unsafe { self.get_unchecked_mut() };
        // SAFETY: it lies in a pinned answer and is pinned with it, until it is dropped in its
        // place.
        let mut future = unsafe { Pin::new_unchecked(future) };
        let _inside = match key.enter(value) {
            Ok(inside) => inside,
            Err(refused) => refused.panic(),
        };
        let polled =
            future.as_mut().as_pin_mut().expect("a `TaskLocalFuture` was polled after it had been ready").poll(cx);
        if polled.is_ready() {
            future.set(None);
        }
        polled
    }
}

impl<T: 'static, F> Drop for TaskLocalFuture<T, F> {
    fn drop(&mut self) {
        if self.future.is_some() {
            // Inside of the scope, if that can be entered; else without it.
            let _inside = self.key.enter(&mut self.value);
            // Dropped in its place, where it may be pinned.
            self.future = None;
        }
    }
}

impl<T: fmt::Debug + 'static, F> fmt::Debug for TaskLocalFuture<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskLocalFuture").field("value", &self.value).finish_non_exhaustive()
    }
}

/// There is no value: this is not inside of a scope. Answered by [`LocalKey::try_with`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AccessError {
    _private: (),
}

impl AccessError {
    #[cold]
    #[track_caller]
    fn panic(self) -> ! {
        panic!(
            "{self}: it is there inside of `LocalKey::scope` and `sync_scope` only, and spawned tasks do not inherit it"
        )
    }
}

impl fmt::Debug for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessError")
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("task-local value not set")
    }
}

impl Error for AccessError {}
