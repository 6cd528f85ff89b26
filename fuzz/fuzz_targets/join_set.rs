//! Calls a `JoinSet`.
#![no_main]

#[path = "../../tests/properties/join_set.rs"]
mod join_set;

libfuzzer_sys::fuzz_target!(|case: join_set::Case| join_set::run(&case));
