//! Names the threads of a runtime.

use crate::primitive::thread;

/// Returns a builder for a thread of this name. A zero byte becomes a question mark: no platform
/// takes one in a thread's name.
pub(crate) fn named_thread(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.replace('\0', "?"))
}
