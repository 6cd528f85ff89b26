//! Wakers that tasks, jobs, drains, resizes and groups store.

use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use heist::runtime::Handle;
use heist::task::JoinSet;

use super::super::stage::{Flavor, Stage, contain};
use super::{Place, Trigger};
use crate::kit::Door;
use crate::wakers::Call;

const LONG: Duration = Duration::from_secs(3600);

/// Polls with the waker that acts at the `call`. Returns whether the future is ready.
pub(super) fn poll_evil<F: Future + ?Sized>(stage: &Stage, future: Pin<&mut F>, call: Call) -> bool {
    stage.with_evil_waker(call, |waker| poll_with(future, waker))
}

/// Polls with a waker that does nothing.
pub(super) fn poll_noop<F: Future + ?Sized>(future: Pin<&mut F>) {
    poll_with(future, Waker::noop());
}

/// Polls with a waker. Returns whether the future is ready.
///
/// A panic of that waker, or of the one that it replaces, is the user's.
pub(super) fn poll_with<F: Future + ?Sized>(future: Pin<&mut F>, waker: &Waker) -> bool {
    let mut ready = false;
    contain(|| ready = future.poll(&mut Context::from_waker(waker)).is_ready());
    ready
}

/// Polls a future with the waker, and keeps the future. Then the event happens.
fn wake_by<F: Future + Send + 'static>(
    stage: Arc<Stage>,
    future: F,
    event: impl Future<Output = ()> + Send + 'static,
) -> Trigger {
    let mut future = Box::pin(future);
    poll_evil(&stage, future.as_mut(), Call::Wake);
    Box::pin(async move {
        event.await;
        stage.keep_value(future);
    })
}

/// Polls a future with the waker, and again with another one.
fn replaced<F: Future + Send + 'static>(stage: Arc<Stage>, future: F) -> Trigger {
    let mut future = Box::pin(future);
    Box::pin(async move {
        poll_evil(&stage, future.as_mut(), Call::Drop);
        poll_noop(future.as_mut());
        stage.keep_value(future);
    })
}

/// Polls a future with the waker, and drops the future.
fn dropped<F: Future + Send + 'static>(stage: Arc<Stage>, future: F) -> Trigger {
    let mut future = Box::pin(future);
    Box::pin(async move {
        poll_evil(&stage, future.as_mut(), Call::Drop);
        contain(|| drop(future));
    })
}

/// Polls a future with a waker that acts when it is cloned.
fn cloned<F: Future + Send + 'static>(stage: Arc<Stage>, future: F) -> Trigger {
    let mut future = Box::pin(future);
    Box::pin(async move {
        poll_evil(&stage, future.as_mut(), Call::Clone);
        stage.keep_value(future);
    })
}

/// Returns a handle of a task that ends when the door opens.
fn task_behind(door: &Door) -> heist::task::JoinHandle<()> {
    heist::spawn(door.opened())
}

/// Returns a handle of a job that ends when the door opens, at the latest with the case.
fn job_behind(door: &Door) -> heist::task::JoinHandle<()> {
    let door = door.clone();
    heist::task::spawn_blocking(move || door.wait())
}

/// A set with a member that never ends, as a future of its next end.
fn set() -> impl Future<Output = ()> + Send {
    let mut set = JoinSet::new();
    set.spawn(pending::<()>());
    async move {
        let _ = set.join_next().await;
    }
}

/// Waits for a place in a full group. Returns what frees the place, too.
async fn full_group(name: &str) -> (heist::runtime::Admit, heist::runtime::Admission) {
    let group = Handle::current().group(name).max_tasks(1).build().unwrap();
    let admission = group.admit().await.unwrap();
    (group.admit(), admission)
}

/// Resizes to one worker while each worker is in a poll, so that the resize has to wait.
async fn late_resize() -> (heist::runtime::Resize, Door) {
    let (begun, door) = (Door::new(), Door::new());
    let (begins, waits, handle) = (begun.clone(), door.clone(), Handle::current());
    let spawner = std::thread::spawn(move || {
        drop(handle.spawn(async move {
            begins.open();
            waits.wait();
        }));
    });
    spawner.join().unwrap();
    begun.wait();
    (Handle::current().resize(1), door)
}

pub(crate) const PLACES: &[Place] = &[
    Place::new("clone of a joiner's waker", |stage| cloned_later(stage, || heist::spawn(pending::<()>()))),
    Place::new("wake of a joiner's waker", |stage| {
        Box::pin(async move {
            let door = Door::new();
            let task = task_behind(&door);
            wake_by(stage, task, async move { door.open() }).await;
        })
    }),
    Place::new("destructor of a joiner's waker that is replaced", |stage| {
        Box::pin(async move { replaced(stage, heist::spawn(pending::<()>())).await })
    }),
    Place::new("destructor of a joiner's waker in a dropped JoinHandle", |stage| {
        Box::pin(async move { dropped(stage, heist::spawn(pending::<()>())).await })
    }),
    Place::new("wake of a job's joiner", |stage| {
        Box::pin(async move {
            let door = Door::new();
            let job = job_behind(&door);
            wake_by(stage, job, async move { door.open() }).await;
        })
    }),
    Place::new("clone of a JoinSet's waker", |stage| cloned_later(stage, set)),
    Place::new("wake of a JoinSet's waker", |stage| {
        Box::pin(async move {
            let (door, mut set) = (Door::new(), JoinSet::new());
            set.spawn(door.opened());
            let next = async move { drop(set.join_next().await) };
            wake_by(stage, next, async move { door.open() }).await;
        })
    }),
    Place::new("destructor of a JoinSet's waker that is replaced", |stage| {
        Box::pin(async move { replaced(stage, set()).await })
    }),
    Place::new("destructor of a JoinSet's waker with the set", |stage| {
        Box::pin(async move { dropped(stage, set()).await })
    }),
    Place::new("clone of a Drain's waker", |stage| cloned_later(stage, || Handle::current().drain(LONG))),
    Place::new("wake of a Drain's waker", |stage| {
        Box::pin(async move { wake_by(stage, Handle::current().drain(LONG), async {}).await })
    })
    .host_ends(),
    Place::new("destructor of a Drain's waker that is replaced", |stage| {
        Box::pin(async move { replaced(stage, Handle::current().drain(LONG)).await })
    }),
    Place::new("destructor of a Drain's waker with the Drain", |stage| {
        Box::pin(async move { dropped(stage, Handle::current().drain(LONG)).await })
    }),
    Place::new("clone of a Draining's waker", |stage| cloned_later(stage, || Handle::current().draining()))
        .only(Flavor::Workers),
    Place::new("wake of a Draining's waker", |stage| {
        Box::pin(async move {
            let handle = Handle::current();
            wake_by(stage, handle.draining(), async move { drop(handle.drain(LONG)) }).await;
        })
    })
    .only(Flavor::Workers),
    Place::new("wake of a Draining's waker at the end", |stage| {
        Box::pin(async move { wake_by(stage, Handle::current().draining(), async {}).await })
    })
    .only(Flavor::Workers)
    .at_end(),
    Place::new("destructor of a Draining's waker that is replaced", |stage| {
        Box::pin(async move { replaced(stage, Handle::current().draining()).await })
    })
    .only(Flavor::Workers),
    Place::new("destructor of a Draining's waker with the Draining", |stage| {
        Box::pin(async move { dropped(stage, Handle::current().draining()).await })
    })
    .only(Flavor::Workers),
    Place::new("clone of a Resize's waker", |stage| {
        Box::pin(async move {
            let (resize, door) = late_resize().await;
            cloned(stage, resize).await;
            door.open();
        })
    })
    .only(Flavor::Workers),
    Place::new("wake of a Resize's waker", |stage| {
        Box::pin(async move {
            let (resize, door) = late_resize().await;
            wake_by(stage, resize, async move { door.open() }).await;
        })
    })
    .only(Flavor::Workers),
    Place::new("destructor of a Resize's waker that is replaced", |stage| {
        Box::pin(async move {
            let (resize, door) = late_resize().await;
            replaced(stage, resize).await;
            door.open();
        })
    })
    .only(Flavor::Workers),
    Place::new("clone of a waker that waits for a place in a group", |stage| {
        Box::pin(async move {
            let (admit, admission) = full_group("clones").await;
            cloned(stage, admit).await;
            drop(admission);
        })
    }),
    Place::new("wake of a waker that waits for a place in a group", |stage| {
        Box::pin(async move {
            let (admit, admission) = full_group("wakes").await;
            wake_by(stage, admit, async move { drop(admission) }).await;
        })
    }),
    Place::new("destructor of a waker that waits for a place in a group, replaced", |stage| {
        Box::pin(async move {
            let (admit, admission) = full_group("replaces").await;
            replaced(stage, admit).await;
            drop(admission);
        })
    }),
    Place::new("destructor of a waker that waits for a place in a group, with the wait", |stage| {
        Box::pin(async move {
            let (admit, admission) = full_group("drops").await;
            dropped(stage, admit).await;
            drop(admission);
        })
    }),
    Place::new("clone of a GroupDrain's waker", |stage| {
        Box::pin(async move {
            let group = Handle::current().group("drains").build().unwrap();
            drop(group.spawn(pending::<()>()));
            cloned(stage, group.drain(LONG)).await;
            group.abort_all();
        })
    }),
    Place::new("wake of a GroupDrain's waker", |stage| {
        Box::pin(async move {
            let group = Handle::current().group("drains").build().unwrap();
            drop(group.spawn(pending::<()>()));
            let drain = group.drain(LONG);
            wake_by(stage, drain, async move { group.abort_all() }).await;
        })
    }),
    Place::new("destructor of a GroupDrain's waker with the GroupDrain", |stage| {
        Box::pin(async move {
            let group = Handle::current().group("drains").build().unwrap();
            drop(group.spawn(pending::<()>()));
            dropped(stage, group.drain(LONG)).await;
            group.abort_all();
        })
    }),
    Place::new("wake of a waker that yields", |stage| {
        Box::pin(async move {
            let mut yields = pin!(heist::task::yield_now());
            poll_evil(&stage, yields.as_mut(), Call::Wake);
        })
    }),
    Place::new("wake of a waker whose budget is spent", |stage| {
        Box::pin(async move {
            stage.with_evil_waker(Call::Wake, |waker| {
                while !stage.begun.is_open() {
                    let mut consumes = pin!(heist::task::coop::consume_budget());
                    poll_with(consumes.as_mut(), waker);
                }
            });
        })
    }),
];

/// As [`cloned`], for a future that is made by the host.
fn cloned_later<F: Future + Send + 'static>(stage: Arc<Stage>, make: fn() -> F) -> Trigger {
    Box::pin(async move { cloned(stage, make()).await })
}
