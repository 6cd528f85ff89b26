//! Calls an `AsyncFd` on a socket pair.
#![no_main]

#[path = "../../tests/properties/bytes.rs"]
mod bytes;
#[path = "../../tests/properties/sockets.rs"]
mod sockets;

libfuzzer_sys::fuzz_target!(init: {
    // As the main function of any Rust program does. The fuzzer has another one.
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}, |case: sockets::Case| sockets::run(&case));
