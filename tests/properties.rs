//! Properties over sequences of calls. Each target is a plain data type, with an executor that
//! makes the calls and compares each result with a model. The fuzz targets in `fuzz/` share both.
//!
//! The cases are the same in each run. `HEIST_PROPERTY_SEED` selects others,
//! `HEIST_PROPERTY_CASES` their number, and `HEIST_PROPERTY_SECONDS` repeats with one seed after
//! the other for so long. A failing case is shrunk and printed, and its seed is added to
//! `tests/properties/regressions/`, whose cases come first from then on. So do the kept inputs of
//! the fuzzer, `fuzz/corpus/`.

#[path = "properties/addresses.rs"]
mod addresses;
#[path = "properties/bytes.rs"]
mod bytes;
#[path = "properties/driver.rs"]
mod driver;
#[path = "properties/join_set.rs"]
mod join_set;
#[path = "properties/queues.rs"]
mod queues;
#[path = "properties/readiness.rs"]
mod readiness;
#[path = "properties/sockets.rs"]
mod sockets;
#[path = "properties/split.rs"]
mod split;
#[path = "properties/timers.rs"]
mod timers;

use driver::Target;

/// Runs the target of this name.
macro_rules! target {
    ($name:ident, $cases:expr) => {
        Target {
            name: stringify!($name),
            regressions: concat!("tests/properties/regressions/", stringify!($name), ".txt"),
            cases: $cases,
            run: $name::run,
        }
        .check()
    };
}

#[test]
fn addresses_of_any_text_are_those_of_std() {
    target!(addresses, 500);
}

#[test]
fn join_set_calls_agree_with_a_set() {
    target!(join_set, 300);
}

#[test]
fn queues_calls_agree_with_deques() {
    target!(queues, 200);
}

#[test]
fn readiness_calls_agree_with_a_model() {
    target!(readiness, 500);
}

#[test]
fn sockets_calls_agree_with_byte_counts() {
    target!(sockets, 150);
}

#[test]
fn split_halves_in_any_order_end_as_expected() {
    target!(split, 200);
}

#[test]
fn timers_calls_agree_with_a_sorted_map() {
    target!(timers, 300);
}
