//! What I/O resources are waited for.
//!
//! [`Interest`] says what a task wants to do, [`Ready`] what a resource is ready for. The socket types in [`crate::net`] take
//! and give them.

pub use crate::reactor::{Interest, Ready};
