//! A marker for what must not leave its thread.

use std::marker::PhantomData;

/// Keeps the type that holds it from being `Send`. It does not keep it from being `Sync`.
///
/// It is our own: a guard of another crate would be `Send` as soon as a feature of that crate makes it so.
#[derive(Debug)]
pub(crate) struct ThreadBound(PhantomData<*const ()>);

// SAFETY: it holds nothing that a shared reference could read or change.
unsafe impl Sync for ThreadBound {}

impl ThreadBound {
    pub(crate) const fn new() -> Self {
        ThreadBound(PhantomData)
    }
}
