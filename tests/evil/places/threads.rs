//! Destructors of thread-locals.

use std::cell::RefCell;

use heist::runtime::Handle;

use super::super::stage::{Flavor, Stage};
use super::Place;

/// A panic there aborts the process in std.
const ABORTS: &str = "a panic in the destructor of a thread-local aborts the process, in std";

std::thread_local! {
    static AT_EXIT: RefCell<Option<Box<dyn std::any::Any>>> = const { RefCell::new(None) };
}

/// Lets the user code act when this thread exits. A use of the runtime comes before it, so that the
/// runtime's thread-locals are destroyed first, or not.
fn act_at_exit(stage: &Stage, value: impl Send + 'static) {
    AT_EXIT.with_borrow_mut(|kept| *kept = Some(Box::new(value)));
    stage.armed();
}

pub(crate) const PLACES: &[Place] = &[
    Place::new("destructor of a thread-local of a worker", |stage| {
        Box::pin(async move {
            let value = stage.evil_drop();
            stage.spawn(async move {
                AT_EXIT.with_borrow_mut(|kept| *kept = Some(Box::new(value)));
            });
            heist::task::yield_now().await;
        })
    })
    .only(Flavor::Workers)
    .at_end()
    .without_panic(ABORTS),
    Place::new("destructor of a thread-local of a driver", |stage| {
        Box::pin(async move { act_at_exit(&stage, stage.evil_drop()) })
    })
    .at_end()
    .without_panic(ABORTS),
    Place::new("destructor of a thread-local of a blocking thread", |stage| {
        Box::pin(async move {
            let (value, token, acts) = (stage.evil_drop(), stage.token(), stage.clone());
            let job = heist::task::spawn_blocking(move || {
                act_at_exit(&acts, value);
                token
            });
            stage.handles.lock().unwrap().push(job);
        })
    })
    .configured(|builder, _| _ = builder.thread_keep_alive(std::time::Duration::ZERO))
    .without_panic(ABORTS),
    Place::new("destructor of a thread-local of a foreign thread", |stage| {
        Box::pin(async move {
            let (value, acts, handle) = (stage.evil_drop(), stage.clone(), Handle::current());
            let thread = std::thread::spawn(move || {
                act_at_exit(&acts, value);
                // The runtime's thread-locals are made after the value's: they are destroyed first.
                drop(handle.enter());
            });
            stage.keep_value(thread);
        })
    })
    .without_panic(ABORTS),
];
