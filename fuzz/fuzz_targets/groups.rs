//! Uses task groups and resizes, in a simulation.
#![no_main]

#[path = "../../tests/properties/groups.rs"]
mod groups;

libfuzzer_sys::fuzz_target!(|case: groups::Case| groups::run(&case));
