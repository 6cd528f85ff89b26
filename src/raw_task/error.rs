//! The error of a task.

use std::any::Any;
use std::{fmt, io};

use super::{Id, Refusal};
use crate::util::wake_list::panic_message;

/// The error of a task that ended without an output: it was cancelled, or it panicked.
///
/// One pointer wide, so that the storage of a small output does not grow by it.
pub struct JoinError(Box<Failure>);

struct Failure {
    id: Id,
    cause: Cause,
}

enum Cause {
    Cancelled,
    Refused(Refusal),
    Panicked(Box<dyn Any + Send + 'static>),
}

/// Returns the error of a task that was cancelled.
pub(crate) fn cancelled(id: Id) -> JoinError {
    let cause = Refusal::take().map_or(Cause::Cancelled, Cause::Refused);
    JoinError(Box::new(Failure { id, cause }))
}

/// Returns the error of a task that panicked.
pub(super) fn panicked(id: Id, payload: Box<dyn Any + Send + 'static>) -> JoinError {
    JoinError(Box::new(Failure { id, cause: Cause::Panicked(payload) }))
}

impl JoinError {
    /// Returns true if the task was cancelled: aborted, dropped at shutdown, or never accepted.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let task = heist::spawn(std::future::pending::<()>());
    /// task.abort();
    /// assert!(task.await.unwrap_err().is_cancelled());
    /// # });
    /// ```
    pub fn is_cancelled(&self) -> bool {
        !matches!(self.0.cause, Cause::Panicked(_))
    }

    /// Returns why the task was never run, if the runtime or its group did not accept it.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::runtime::Refusal;
    ///
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let group = runtime.group("one").max_tasks(1).build().unwrap();
    /// let first = group.spawn(std::future::pending::<()>());
    /// let second = group.spawn(async {});
    /// let error = runtime.block_on(second).unwrap_err();
    /// assert!(error.is_cancelled());
    /// assert_eq!(error.refusal(), Some(Refusal::Full));
    /// ```
    pub fn refusal(&self) -> Option<Refusal> {
        match self.0.cause {
            Cause::Refused(refusal) => Some(refusal),
            Cause::Cancelled | Cause::Panicked(_) => None,
        }
    }

    /// Returns true if the task panicked.
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let error = heist::spawn(async { panic!("boom") }).await.unwrap_err();
    /// assert!(error.is_panic());
    /// # });
    /// ```
    pub fn is_panic(&self) -> bool {
        !self.is_cancelled()
    }

    /// Returns the payload of the panic, for [`std::panic::resume_unwind`].
    ///
    /// # Panics
    ///
    /// If the task did not panic; see [`JoinError::is_panic`].
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let error = heist::spawn(async { panic!("no more") }).await.unwrap_err();
    /// if error.is_panic() {
    ///     // To continue the panic: `std::panic::resume_unwind(error.into_panic())`.
    ///     assert_eq!(error.into_panic().downcast_ref(), Some(&"no more"));
    /// }
    /// # });
    /// ```
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(error) => {
                panic!("into_panic was called on an error that is not a panic ({error}): check is_panic first")
            }
        }
    }

    /// Returns the payload of the panic.
    ///
    /// # Errors
    ///
    /// The error itself, if the task did not panic.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let error = heist::spawn(async { panic!("no more") }).await.unwrap_err();
    /// match error.try_into_panic() {
    ///     Ok(payload) => assert_eq!(payload.downcast_ref(), Some(&"no more")),
    ///     Err(cancelled) => println!("{cancelled}"),
    /// }
    /// # });
    /// ```
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send + 'static>, JoinError> {
        let Failure { id, cause } = *self.0;
        match cause {
            Cause::Panicked(payload) => Ok(payload),
            Cause::Cancelled | Cause::Refused(_) => Err(JoinError(Box::new(Failure { id, cause }))),
        }
    }

    /// Returns the id of the task that failed.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let task = heist::spawn(async { panic!("no more") });
    /// let id = task.id();
    /// assert_eq!(task.await.unwrap_err().id(), id);
    /// # });
    /// ```
    pub fn id(&self) -> Id {
        self.0.id
    }

    /// Returns the panic's message, if the payload is text.
    fn message(&self) -> Option<&str> {
        match &self.0.cause {
            Cause::Cancelled | Cause::Refused(_) => None,
            Cause::Panicked(payload) => panic_message(&**payload),
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.cause, self.message()) {
            (Cause::Cancelled, _) => write!(f, "task {} was cancelled", self.id()),
            (Cause::Refused(refusal), _) => write!(f, "task {} was cancelled: {refusal}", self.id()),
            (Cause::Panicked(_), Some(message)) => write!(f, "task {} panicked with message {message:?}", self.id()),
            (Cause::Panicked(_), None) => write!(f, "task {} panicked", self.id()),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.cause, self.message()) {
            (Cause::Cancelled, _) => write!(f, "JoinError::Cancelled({:?})", self.id()),
            (Cause::Refused(refusal), _) => write!(f, "JoinError::Refused({:?}, {refusal:?})", self.id()),
            // The payload itself is not shown. The dots stand for it.
            (Cause::Panicked(_), Some(message)) => write!(f, "JoinError::Panic({:?}, {message:?}, ...)", self.id()),
            (Cause::Panicked(_), None) => write!(f, "JoinError::Panic({:?}, ...)", self.id()),
        }
    }
}

// A payload is `Send` but not `Sync`. SAFETY: `&JoinError` reaches the payload only through
// `message`, which downcasts it to `&'static str` or `String`. Both are `Sync`.
unsafe impl Sync for JoinError {}

impl std::panic::UnwindSafe for JoinError {}
impl std::panic::RefUnwindSafe for JoinError {}

impl std::error::Error for JoinError {}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> io::Error {
        match error.refusal() {
            Some(refusal) => io::Error::other(refusal),
            None if error.is_cancelled() => io::Error::other("task was cancelled"),
            None => io::Error::other("task panicked"),
        }
    }
}
