//! Splits, joins and drops streams.
#![no_main]

#[path = "../../tests/properties/bytes.rs"]
mod bytes;
#[path = "../../tests/properties/split.rs"]
mod split;

libfuzzer_sys::fuzz_target!(init: {
    // As the main function of any Rust program does. The fuzzer has another one.
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}, |case: split::Case| split::run(&case));
