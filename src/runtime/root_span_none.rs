//! Root futures without spans: without the feature `tracing-spans`, this compiles to nothing.

use std::panic::Location;

/// Returns the future as it is.
#[inline(always)]
pub(super) fn open<F>(future: F, _: &'static Location<'static>) -> F {
    future
}
