//! User code panics where a `JoinSet` calls it: in a joiner's waker, or in a destructor. The set is
//! consistent afterwards.

#[path = "support/kit.rs"]
mod kit;
#[path = "support/wakers.rs"]
mod wakers;

use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use heist::runtime::{Handle, LocalRuntime, Runtime};
use heist::task::{AbortHandle, JoinSet};
use kit::{Count, Door, current_thread, yield_now};
use wakers::{Call, fragile, scripted};

fn poll<T: 'static>(set: &mut JoinSet<T>, waker: &Waker) -> Poll<Option<Result<T, heist::task::JoinError>>> {
    set.poll_join_next(&mut Context::from_waker(waker))
}

/// A runtime, and a door that members wait at.
struct Scene {
    runtime: Runtime,
    door: Door,
}

impl Scene {
    fn new() -> Scene {
        Scene { runtime: current_thread(), door: Door::new() }
    }

    /// Adds a member that waits at the door, and has been polled once.
    fn waits(&self, set: &mut JoinSet<u32>, number: u32) -> AbortHandle {
        let opened = self.door.opened();
        let task = async move {
            opened.await;
            number
        };
        let member = set.spawn_on(task, self.runtime.handle());
        self.runtime.block_on(yield_now());
        member
    }

    /// Opens the door and joins every member. Afterwards the set has to work like a new one.
    fn outputs(&self, set: &mut JoinSet<u32>) -> Vec<u32> {
        self.door.open();
        let mut outputs = Vec::new();
        self.runtime.block_on(async {
            while let Some(joined) = set.join_next().await {
                outputs.extend(joined);
            }
            set.spawn(async { 100 });
            assert_eq!(set.join_next().await.unwrap().unwrap(), 100);
        });
        assert!(set.is_empty() && set.try_join_next().is_none());
        outputs.sort();
        outputs
    }
}

/// Runs the runtime until all of `tasks` have ended.
fn run_to_the_end(runtime: &Runtime, tasks: &[AbortHandle]) {
    runtime.block_on(async {
        while !tasks.iter().all(AbortHandle::is_finished) {
            yield_now().await;
        }
    });
}

/// Returns the handle of a runtime that refuses tasks: a new member has ended before it is in the
/// set.
fn closed() -> Handle {
    current_thread().handle().clone()
}

/// A way to add a member to a set.
type Way = (&'static str, fn(&mut JoinSet<u32>, &Handle));

const WAYS: [Way; 9] = [
    ("spawn", |set, closed| drop((closed.enter(), set.spawn(async { 2 })))),
    ("spawn_on", |set, closed| drop(set.spawn_on(async { 2 }, closed))),
    ("spawn_blocking", |set, closed| drop((closed.enter(), set.spawn_blocking(|| 2)))),
    ("spawn_blocking_on", |set, closed| drop(set.spawn_blocking_on(|| 2, closed))),
    ("Builder::spawn", |set, closed| drop((closed.enter(), set.build_task().name("two").spawn(async { 2 })))),
    ("Builder::spawn_on", |set, closed| drop(set.build_task().name("two").spawn_on(async { 2 }, closed))),
    ("Builder::spawn_blocking", |set, closed| drop((closed.enter(), set.build_task().spawn_blocking(|| 2)))),
    ("Builder::spawn_blocking_on", |set, closed| drop(set.build_task().spawn_blocking_on(|| 2, closed))),
    ("extend", |set, closed| drop((closed.enter(), set.extend([async { 2 }])))),
];

/// Adds a member that has ended to a set whose joiner's waker panics.
fn take_in(scene: &Scene, name: &str, way: impl FnOnce(&mut JoinSet<u32>)) {
    let mut set = JoinSet::new();
    scene.waits(&mut set, 1);
    let (waker, wakes) = fragile(Call::Wake);
    assert!(poll(&mut set, &waker).is_pending());
    let caught = catch_unwind(AssertUnwindSafe(|| way(&mut set)));
    assert_eq!((caught.is_ok(), wakes.get(), set.len()), (true, 1, 2), "{name}");
    scene.waits(&mut set, 3);
    assert_eq!(set.len(), 3, "{name}");
    assert!(set.try_join_next().unwrap().unwrap_err().is_cancelled(), "{name}");
    assert!(set.try_join_next().is_none(), "{name}");
    assert_eq!(scene.outputs(&mut set), [1, 3], "{name}");
}

#[test]
fn spawn_of_an_ended_member_whose_joiners_waker_panics_takes_the_member_in() {
    let closed = closed();
    for (name, way) in WAYS {
        take_in(&Scene::new(), name, |set| way(set, &closed));
    }
}

#[test]
fn spawn_local_of_an_ended_member_whose_joiners_waker_panics_takes_the_member_in() {
    let local = LocalRuntime::new().unwrap();
    local.handle().drain(Duration::ZERO).wait();
    take_in(&Scene::new(), "spawn_local", |set| drop((local.enter(), set.spawn_local(async { 2 }))));
    take_in(&Scene::new(), "spawn_local_on", |set| drop(set.spawn_local_on(async { 2 }, &local)));
}

#[test]
fn spawn_that_panics_leaves_the_set_as_it_was() {
    let scene = Scene::new();
    let mut set = JoinSet::new();
    scene.waits(&mut set, 1);
    assert!(catch_unwind(AssertUnwindSafe(|| set.spawn(async { 2 }))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| set.spawn_local(async { 2 }))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| set.spawn_blocking(|| 2))).is_err());
    assert_eq!(set.len(), 1);
    assert_eq!(scene.outputs(&mut set), [1]);
}

#[test]
fn poll_join_next_whose_waker_panics_in_clone_loses_no_member() {
    let scene = Scene::new();
    let mut set = JoinSet::new();
    scene.waits(&mut set, 1);
    let (waker, clones) = fragile(Call::Clone);
    assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut set, &waker))).is_err());
    assert!(poll(&mut set, &waker).is_pending());
    assert_eq!((clones.get(), set.len()), (2, 1));
    assert_eq!(scene.outputs(&mut set), [1]);
}

#[test]
fn poll_join_next_that_replaces_a_waker_whose_destructor_panics_keeps_the_new_one() {
    let scene = Scene::new();
    let mut set = JoinSet::new();
    let member = scene.waits(&mut set, 1);
    let (old, drops) = fragile(Call::Drop);
    assert!(poll(&mut set, &old).is_pending());
    let wakes = Count::new();
    let counted = wakes.clone();
    let new = scripted(move |call| {
        if call == Call::Wake {
            counted.add();
        }
    });
    let polled = catch_unwind(AssertUnwindSafe(|| poll(&mut set, &new).is_pending()));
    assert_eq!((polled.ok(), drops.get()), (Some(true), 1));
    scene.door.open();
    run_to_the_end(&scene.runtime, &[member]);
    assert_eq!(wakes.get(), 1);
    assert_eq!(scene.outputs(&mut set), [1]);
}

#[test]
fn poll_join_next_with_panicking_waker_drop_returns_end_found_during_clone() {
    let scene = Arc::new(Scene::new());
    let mut set = JoinSet::new();
    let member = scene.waits(&mut set, 1);
    scene.waits(&mut set, 2);
    let drops = Count::new();
    let (here, counted) = (Arc::clone(&scene), drops.clone());
    let waker = scripted(move |call| match call {
        // The first member ends while the waker is cloned.
        Call::Clone => here.runtime.block_on(async {
            member.abort();
            while !member.is_finished() {
                yield_now().await;
            }
        }),
        Call::Drop if counted.add() == 1 => panic!("in a waker's destructor (planned)"),
        Call::Drop | Call::Wake => {}
    });
    let polled = catch_unwind(AssertUnwindSafe(|| poll(&mut set, &waker)));
    let Ok(Poll::Ready(Some(Err(error)))) = polled else { panic!("the member that has ended is lost: {polled:?}") };
    assert_eq!((error.is_cancelled(), drops.get(), set.len()), (true, 1, 1));
    assert_eq!(scene.outputs(&mut set), [2]);
}

#[test]
fn end_of_a_member_whose_joiners_waker_panics_is_joined() {
    let scene = Scene::new();
    let mut set = JoinSet::new();
    let members = [1, 2].map(|number| scene.waits(&mut set, number));
    let (waker, wakes) = fragile(Call::Wake);
    assert!(poll(&mut set, &waker).is_pending());
    members[0].abort();
    run_to_the_end(&scene.runtime, &members[..1]);
    assert_eq!((wakes.get(), set.len()), (1, 2));
    assert!(matches!(poll(&mut set, &waker), Poll::Ready(Some(Err(_)))));
    assert_eq!(scene.outputs(&mut set), [2]);
}

/// A future that waits, and whose destructor panics.
struct Mined(Count);

impl Future for Mined {
    type Output = u32;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u32> {
        Poll::Pending
    }
}

impl Drop for Mined {
    fn drop(&mut self) {
        self.0.add();
        panic!("in a future's destructor (planned)");
    }
}

#[test]
fn abort_all_of_futures_whose_destructors_panic_leaves_each_to_be_joined() {
    let scene = Scene::new();
    let drops = Count::new();
    let mut set = JoinSet::new();
    let members = [(); 3].map(|()| set.spawn_on(Mined(drops.clone()), scene.runtime.handle()));
    scene.runtime.block_on(yield_now());
    let (waker, wakes) = fragile(Call::Wake);
    assert!(poll(&mut set, &waker).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| set.abort_all())).is_ok());
    assert_eq!((drops.get(), wakes.get(), set.len()), (0, 0, 3));
    run_to_the_end(&scene.runtime, &members);
    assert_eq!((drops.get(), wakes.get(), set.len()), (3, 1, 3));
    for _ in 0..3 {
        assert!(set.try_join_next().unwrap().unwrap_err().is_panic());
    }
    assert_eq!(scene.outputs(&mut set), []);
}

/// An output whose destructor panics.
struct Brittle(Count);

impl Drop for Brittle {
    fn drop(&mut self) {
        self.0.add();
        panic!("in an output's destructor (planned)");
    }
}

/// Returns a set with three brittle outputs and one pending member. The counts are of dropped
/// outputs and of dropped futures.
fn brittle(runtime: &Runtime) -> (JoinSet<Brittle>, Count, Count) {
    let (outputs, futures) = (Count::new(), Count::new());
    let mut set = JoinSet::new();
    let guard = futures.on_drop();
    let waits = async move {
        let _guard = guard;
        pending().await
    };
    set.spawn_on(waits, runtime.handle());
    let members = [(); 3].map(|()| {
        let output = outputs.clone();
        set.spawn_on(async { Brittle(output) }, runtime.handle())
    });
    run_to_the_end(runtime, &members);
    (set, outputs, futures)
}

#[test]
fn drop_of_a_set_with_outputs_whose_destructors_panic_drops_all_and_aborts() {
    let runtime = current_thread();
    let (set, outputs, futures) = brittle(&runtime);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(set))).is_ok());
    assert_eq!((outputs.get(), futures.get()), (3, 0));
    runtime.block_on(yield_now());
    assert_eq!(futures.get(), 1);
}

#[test]
fn detach_all_of_outputs_whose_destructors_panic_leaves_a_new_set() {
    let runtime = current_thread();
    let (mut set, outputs, futures) = brittle(&runtime);
    assert!(catch_unwind(AssertUnwindSafe(|| set.detach_all())).is_ok());
    runtime.block_on(yield_now());
    assert_eq!((outputs.get(), futures.get(), set.len()), (3, 0, 0));
    assert!(set.try_join_next().is_none());
    set.spawn_on(async { panic!("of the task (planned)") }, runtime.handle());
    assert!(runtime.block_on(set.join_next()).unwrap().is_err_and(|error| error.is_panic()));
}

#[test]
fn shutdown_of_outputs_whose_destructors_panic_waits_for_all_members() {
    let runtime = current_thread();
    let (mut set, outputs, futures) = brittle(&runtime);
    let shut_down = catch_unwind(AssertUnwindSafe(|| runtime.block_on(set.shutdown())));
    assert_eq!((shut_down.is_ok(), outputs.get(), futures.get(), set.len()), (true, 3, 1, 0));
}

#[test]
fn drop_of_a_set_whose_joiners_waker_panics_in_its_destructor_aborts() {
    let scene = Scene::new();
    let mut set = JoinSet::new();
    let members = [1, 2].map(|number| scene.waits(&mut set, number));
    let (waker, drops) = fragile(Call::Drop);
    assert!(poll(&mut set, &waker).is_pending());
    // The set is dropped before the members end: their ends would take it.
    assert!(catch_unwind(AssertUnwindSafe(|| drop(set))).is_ok());
    assert_eq!(drops.get(), 1);
    run_to_the_end(&scene.runtime, &members);
}

#[test]
fn detach_all_of_a_set_whose_joiners_waker_panics_in_its_destructor_leaves_a_new_set() {
    let scene = Scene::new();
    let mut set = JoinSet::new();
    let members = [1, 2].map(|number| scene.waits(&mut set, number));
    let (waker, drops) = fragile(Call::Drop);
    assert!(poll(&mut set, &waker).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| set.detach_all())).is_ok());
    assert_eq!((drops.get(), set.len()), (1, 0));
    scene.waits(&mut set, 3);
    assert_eq!(scene.outputs(&mut set), [3]);
    assert!(members.iter().all(AbortHandle::is_finished));
}
