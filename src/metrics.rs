//! What is counted and measured, and how it is stored.

pub(crate) mod buckets;
pub(crate) mod counter;
pub(crate) mod histogram;
