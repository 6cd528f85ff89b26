//! Calls the ring, the LIFO slot and the global queue.
#![no_main]

#[path = "../../tests/properties/queues.rs"]
mod queues;

libfuzzer_sys::fuzz_target!(|case: queues::Case| queues::run(&case));
