//! Calls a timer wheel.
#![no_main]

#[path = "../../tests/properties/timers.rs"]
mod timers;

libfuzzer_sys::fuzz_target!(|case: timers::Case| timers::run(&case));
