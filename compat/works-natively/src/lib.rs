//! The tests are all.
