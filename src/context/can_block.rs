//! Decides whether this thread may block until a runtime has done something.

use super::thread_role::{self, ThreadRole};
use super::{is_blocking_in, is_driving, is_member_of, is_polling};
use crate::pool;

/// What the caller is about to block for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A future, in `block_on` or `Drain::wait`.
    Future,
    /// A function, in `block_in_place`.
    BlockInPlace,
    /// A resize of this pool, in `Resize::wait`.
    Resize(pool::Id),
    /// A resize of this pool, in its future, which some `block_on` polls.
    ResizeFuture(pool::Id),
    /// The exit of this pool's threads.
    Shutdown(pool::Id),
}

/// Why the thread must not block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The thread polls a future, so the worker would block.
    Polling,
    /// The thread drives a current-thread runtime. No other thread can run its tasks meanwhile.
    Driving,
    /// The thread is a worker of that pool, in `block_in_place`. The worker may have to retire.
    BlockingSection,
    /// Other threads wait for the thread to finish this role.
    Role(ThreadRole),
    /// The shutdown of that pool waits for the thread.
    Member,
}

/// Returns an error if the thread would block a worker, or might wait for itself.
pub(crate) fn can_block(operation: Operation) -> Result<(), Why> {
    match operation {
        Operation::Future => refuse_if(is_polling(), Why::Polling),
        Operation::BlockInPlace => refuse_if(is_driving(), Why::Driving),
        Operation::Resize(pool) => {
            refuse_if(is_polling(), Why::Polling)?;
            can_block(Operation::ResizeFuture(pool))
        }
        Operation::ResizeFuture(pool) => match thread_role::current() {
            // A drain has ended all resizes, so its threads never wait for one.
            Some(ThreadRole::Draining) => Ok(()),
            None | Some(ThreadRole::Stopping) => refuse_if(is_blocking_in(pool), Why::BlockingSection),
            Some(role) => Err(Why::Role(role)),
        },
        Operation::Shutdown(pool) => {
            refuse_if(is_polling(), Why::Polling)?;
            thread_role::current().map_or(Ok(()), |role| Err(Why::Role(role)))?;
            refuse_if(is_blocking_in(pool), Why::BlockingSection)?;
            refuse_if(is_member_of(pool), Why::Member)
        }
    }
}

fn refuse_if(condition: bool, why: Why) -> Result<(), Why> {
    if condition { Err(why) } else { Ok(()) }
}
