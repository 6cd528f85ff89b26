//! Calls a source and its waiters.
#![no_main]

#[path = "../../tests/properties/readiness.rs"]
mod readiness;

libfuzzer_sys::fuzz_target!(|case: readiness::Case| readiness::run(&case));
