//! Values that belong to a task, or to a part of it.

use std::cell::RefCell;
use std::error::Error;
use std::future::Future;
use std::mem::swap;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::{fmt, thread};

/// Declares values that belong to a task, or to a part of it. Each `static` becomes a [`LocalKey`].
///
/// A value exists only inside of a scope, which sets it; see
/// [`LocalKey::scope`](crate::task::LocalKey::scope).
///
/// # Examples
///
/// ```
/// heist::task_local! {
///     /// The name of the user.
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

/// A key to a value that belongs to a task, or to a part of it. [`task_local!`](crate::task_local)
/// declares it.
///
/// The value exists only inside of a [`scope`](LocalKey::scope) or a
/// [`sync_scope`](LocalKey::sync_scope). If scopes are nested, the value of the innermost one is
/// visible. A task that is spawned inside of a scope does not inherit it. Keys work on every
/// executor.
pub struct LocalKey<T: 'static> {
    /// The value, while a scope runs on this thread.
    here: thread::LocalKey<RefCell<Option<T>>>,
}

/// The reason why a scope could not be entered.
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
                "a task-local scope was entered inside of `with` or `try_with` of the same key; copy the value with `get` first"
            ),
            NoEntry::ThreadEnds => {
                panic!("a task-local scope was entered while the thread exits, after its thread-locals were destroyed")
            }
        }
    }
}

impl<T: 'static> LocalKey<T> {
    /// Creates a key. Only the macro calls it.
    #[doc(hidden)]
    pub const fn new(here: thread::LocalKey<RefCell<Option<T>>>) -> Self {
        LocalKey { here }
    }

    /// Returns a future that polls and drops `future` with this value.
    ///
    /// The value is dropped with the returned future, after `future`; see
    /// [`TaskLocalFuture::take_value`].
    ///
    /// # Panics
    ///
    /// Polling the returned future panics inside of [`with`](LocalKey::with) or
    /// [`try_with`](LocalKey::try_with) of the same key.
    ///
    /// # Examples
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

    /// Calls `f` with this value in scope, and returns its result.
    ///
    /// # Panics
    ///
    /// Panics inside of [`with`](LocalKey::with) or [`try_with`](LocalKey::try_with) of the same
    /// key, and if `f` panics.
    ///
    /// # Examples
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
            Ok(_guard) => f(),
            Err(refused) => refused.panic(),
        }
    }

    /// Calls `f` with a reference to the value, and returns its result.
    ///
    /// # Panics
    ///
    /// Panics outside of a scope of this key, and if `f` panics.
    ///
    /// # Examples
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

    /// Calls `f` with a reference to the value, and returns its result.
    ///
    /// # Errors
    ///
    /// Returns an [`AccessError`] outside of a scope of this key. Then `f` is not called.
    ///
    /// # Examples
    ///
    /// ```
    /// heist::task_local! {
    ///     static NAME: String;
    /// }
    ///
    /// assert!(NAME.try_with(String::len).is_err()); // outside of a scope
    /// NAME.sync_scope("heist".to_owned(), || assert_eq!(NAME.try_with(String::len).unwrap(), 5));
    /// ```
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        // The cell is borrowed mutably only while a scope is entered or exited, which calls no user
        // code.
        let found = self.here.try_with(|here| here.borrow().as_ref().map(f));
        found.ok().flatten().ok_or(AccessError { _private: () })
    }

    /// Makes the value visible as long as the guard lives. Meanwhile `value` holds the value of the
    /// outer scope.
    fn enter<'a>(&'static self, value: &'a mut Option<T>) -> Result<ScopeGuard<'a, T>, NoEntry> {
        self.swap_value(value)?;
        Ok(ScopeGuard { key: self, outer: value })
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
    /// Returns a clone of the value.
    ///
    /// # Panics
    ///
    /// Panics outside of a scope of this key.
    ///
    /// # Examples
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

    /// Returns a clone of the value.
    ///
    /// # Errors
    ///
    /// Returns an [`AccessError`] outside of a scope of this key.
    ///
    /// # Examples
    ///
    /// ```
    /// heist::task_local! {
    ///     static NAME: String;
    /// }
    ///
    /// assert!(NAME.try_get().is_err()); // outside of a scope
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

/// Exits a scope when it is dropped, also if the stack unwinds.
struct ScopeGuard<'a, T: 'static> {
    key: &'static LocalKey<T>,
    outer: &'a mut Option<T>,
}

impl<T> Drop for ScopeGuard<'_, T> {
    fn drop(&mut self) {
        // Every borrow of the value has ended: it was lent to calls inside of this one. And the
        // thread-local existed when the scope was entered.
        let exited = self.key.swap_value(self.outer);
        debug_assert!(exited.is_ok(), "a scope was exited while its value was borrowed");
    }
}

/// A future inside of a scope. [`LocalKey::scope`] returns it.
///
/// # Panics
///
/// Polling it after it was ready panics.
///
/// # Cancel safety
///
/// It is as cancel safe as the inner future, which is dropped inside of the scope.
pub struct TaskLocalFuture<T: 'static, F> {
    key: &'static LocalKey<T>,
    /// The inner future, until it is ready. Pinned.
    future: Option<F>,
    /// The value, unless the future is being polled or the value has been taken.
    value: Option<T>,
}

impl<T, F> TaskLocalFuture<T, F> {
    /// Removes and returns the value. From now on the future has no value.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::pin::pin;
    ///
    /// heist::task_local! {
    ///     static WORDS: std::cell::RefCell<Vec<&'static str>>;
    /// }
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let speech = async { WORDS.with(|words| words.borrow_mut().push("hello")) };
    /// let mut speech = pin!(WORDS.scope(Default::default(), speech));
    /// speech.as_mut().await;
    /// assert_eq!(speech.take_value().unwrap().into_inner(), ["hello"]);
    /// # });
    /// ```
    pub fn take_value(self: Pin<&mut Self>) -> Option<T> {
        // SAFETY: only the value is moved out, which is not pinned.
        unsafe { self.get_unchecked_mut() }.value.take()
    }
}

impl<T, F: Future> Future for TaskLocalFuture<T, F> {
    type Output = F::Output;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the future is not moved out of the field.
        let TaskLocalFuture { key, future, value, .. } = unsafe { self.get_unchecked_mut() };
        // SAFETY: the future is a field of a pinned `TaskLocalFuture`, and is pinned with it: it is
        // dropped in place.
        let mut future = unsafe { Pin::new_unchecked(future) };
        let _guard = match key.enter(value) {
            Ok(guard) => guard,
            Err(refused) => refused.panic(),
        };
        let polled =
            future.as_mut().as_pin_mut().expect("a `TaskLocalFuture` was polled again after it was ready").poll(cx);
        if polled.is_ready() {
            future.set(None);
        }
        polled
    }
}

impl<T: 'static, F> Drop for TaskLocalFuture<T, F> {
    fn drop(&mut self) {
        if self.future.is_some() {
            // If the scope cannot be entered, the future is dropped outside of it.
            let _guard = self.key.enter(&mut self.value);
            // The future is dropped in place, because it may be pinned.
            self.future = None;
        }
    }
}

impl<T: fmt::Debug + 'static, F> fmt::Debug for TaskLocalFuture<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskLocalFuture").field("value", &self.value).finish_non_exhaustive()
    }
}

/// The key has no value, because no scope of it is active. [`LocalKey::try_with`] returns it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AccessError {
    _private: (),
}

impl AccessError {
    #[cold]
    #[track_caller]
    fn panic(self) -> ! {
        panic!(
            "{self}: a value exists only inside of `LocalKey::scope` or `sync_scope`, and spawned tasks do not inherit it"
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
