//! The model of the task that a worker shows to reports while it polls. See docs/drain.md.

use std::panic::Location;
use std::task::Waker;

use super::support::{Counted, Counts, Home, start};
use crate::pool::current_task::CurrentTask;
use crate::primitive::{Arc, model};
use crate::raw_task::{Runnable, SpawnMeta, spawn};

fn task(meta: SpawnMeta) -> Runnable {
    let future = Counted { counts: Counts::new(), poll: |_: &Waker| true };
    let (runnable, handle) = spawn::<_, Home>(future, meta);
    drop(handle);
    runnable
}

/// poll, poll × read: a reader sees a task with its own place and its own name, or none.
#[test]
fn current_task_is_read_with_its_own_location() {
    for named in [false, true] {
        model(move || {
            let (here, there): (&'static Location<'static>, &'static Location<'static>) = (place(), other_place());
            let second = if named { SpawnMeta::named(there, "second") } else { there.into() };
            let tasks = [task(here.into()), task(second)];
            let ids = tasks.each_ref().map(|task| task.header().id());
            let current = Arc::new(CurrentTask::new());
            let worker = start({
                let current = Arc::clone(&current);
                move || {
                    for task in &tasks {
                        current.begin_poll(task.header());
                        current.end_poll();
                    }
                    tasks
                }
            });
            if let Some(seen) = current.get() {
                let at = ids.iter().position(|id| *id == seen.id).expect("it is one of the two");
                assert_eq!(seen.location, [here, there][at], "the place of another task");
                assert!(seen.name.is_none() || (at == 1 && named), "the name of another task");
            }
            let home = Home::new();
            for task in worker.join().expect("the worker") {
                let _ = task.run(&*home);
            }
            assert!(current.get().is_none());
        });
    }
}

#[track_caller]
fn place() -> &'static Location<'static> {
    Location::caller()
}

fn other_place() -> &'static Location<'static> {
    place()
}
