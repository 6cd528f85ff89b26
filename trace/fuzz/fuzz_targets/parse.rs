//! Parses any bytes, and runs every analysis on those that are a trace.
#![no_main]

#[path = "../../tests/support/analyses.rs"]
mod analyses;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    analyses::run_all(file);
});
