//! The local runtime: its futures are polled and dropped on the thread that created it, whatever
//! other threads do.

mod fixture;
#[path = "../support/kit.rs"]
mod kit;
mod shutdown;
mod tasks;
