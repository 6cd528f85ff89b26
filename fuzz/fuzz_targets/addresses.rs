//! Resolves any text as an address.
#![no_main]

#[path = "../../tests/properties/addresses.rs"]
mod addresses;

libfuzzer_sys::fuzz_target!(|case: addresses::Case| addresses::run(&case));
