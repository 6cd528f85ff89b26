//! Assertions about the location and the message of a panic.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

std::thread_local! {
    static FILE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Returns the file of the panic of `f` on this thread, and its message. `None` if there is no
/// panic.
pub(crate) fn panic_of<R>(f: impl FnOnce() -> R) -> Option<(String, String)> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let inner = take_hook();
        set_hook(Box::new(move |info| {
            let file = info.location().map(|location| location.file().to_owned());
            FILE.with_borrow_mut(|seen| *seen = file);
            inner(info);
        }));
    });
    let payload = catch_unwind(AssertUnwindSafe(|| drop(f()))).err()?;
    let file = FILE.take().expect("the hook has seen the panic");
    Some((file, crate::kit::text(payload)))
}

/// Asserts that the call panics in `file`, with a message that contains `parts`.
#[track_caller]
pub(crate) fn panics_in<R>(file: &str, name: &str, parts: &[&str], f: impl FnOnce() -> R) {
    let (seen, text) = panic_of(f).unwrap_or_else(|| panic!("{name} does not panic"));
    assert_eq!(seen, file, "{name}: {text}");
    crate::kit::says(&text, parts);
}
