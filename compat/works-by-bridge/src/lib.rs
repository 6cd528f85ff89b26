//! The test is all.
