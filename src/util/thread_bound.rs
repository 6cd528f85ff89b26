//! A marker for types that must not leave their thread.

use std::marker::PhantomData;

/// Keeps the type that holds it from being `Send`, not from being `Sync`.
///
/// It is a type of this crate: another crate's guard would become `Send` as soon as a feature of
/// that crate makes it so.
#[derive(Debug)]
pub(crate) struct ThreadBound(PhantomData<*const ()>);

// SAFETY: it holds nothing that a shared reference could read or change.
unsafe impl Sync for ThreadBound {}

impl ThreadBound {
    pub(crate) const fn new() -> Self {
        ThreadBound(PhantomData)
    }
}
