//! The test is in `tests/console.rs`.
