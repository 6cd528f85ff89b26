//! Hides the messages of panics while a failure is repeated.

use std::cell::Cell;
use std::panic;

use crate::primitive::baton::is_quiet;
use crate::primitive::{OnceLock, thread_local};

thread_local! {
    /// The panics of this thread are hidden.
    static HIDDEN: Cell<bool> = const { Cell::new(false) };
}

/// Shows the panics of this thread again when it is dropped.
#[derive(Debug)]
pub(super) struct HiddenPanics(());

/// Hides the messages of panics of this thread, and of the threads of simulations that are quiet.
///
/// The process has one panic hook. The first call puts one before it that filters.
pub(super) fn hide_panics() -> HiddenPanics {
    static FILTER: OnceLock<()> = OnceLock::new();
    FILTER.get_or_init(|| {
        let shown = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !HIDDEN.with(Cell::get) && !is_quiet() {
                shown(info);
            }
        }));
    });
    HIDDEN.with(|hidden| hidden.set(true));
    HiddenPanics(())
}

impl Drop for HiddenPanics {
    fn drop(&mut self) {
        HIDDEN.with(|hidden| hidden.set(false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_panics_are_shown_again_after_the_guard() {
        let hidden = || HIDDEN.with(Cell::get);
        let guard = hide_panics();
        assert!(hidden());
        drop(guard);
        assert!(!hidden());
    }
}
