//! Stub.
/// Stub.
#[derive(Debug)]
pub(crate) struct TimerWheel;
