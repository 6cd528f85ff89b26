//! Stub.
/// Stub.
#[derive(Debug)]
pub(crate) struct Reactor;
