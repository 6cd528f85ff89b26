//! A worker that is asked to retire is in a poll that does not return.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use heist::runtime::{Handle, Resize, ResizeError, Runtime};
use heist::task::JoinHandle;

use super::kit::{Count, Door, join, poll_once};
use super::{all_at_once, builder, one_each, parts, until};

/// A runtime with `count` workers. The worker of seat `stuck` is in a poll until the door is
/// opened.
fn stuck_in(count: usize, stuck: usize, door: &Door) -> (Runtime, JoinHandle<()>) {
    let runtime =
        builder(count).thread_name_with(|at| at.index.to_string()).shutdown_grace(Duration::MAX).build().unwrap();
    let begun = Count::new();
    let tasks = one_each(&runtime, count, |_| {
        let (door, begun) = (door.clone(), begun.clone());
        async move {
            if thread::current().name() == Some(&*stuck.to_string()) {
                begun.add();
                door.wait();
            }
        }
    });
    until(|| begun.get() == 1);
    // The tasks of the other workers end.
    until(|| tasks.iter().filter(|task| !task.is_finished()).count() == 1);
    let task = tasks.into_iter().find(|task| !task.is_finished()).unwrap();
    (runtime, task)
}

/// The stuck worker holds up only its own seat: later resizes take effect. They also wait for it,
/// as long as its seat is not wanted. A resize that wants the seat completes all of them.
#[test]
fn later_resizes_take_effect_and_one_claims_the_stuck_worker_back() {
    let door = Door::new();
    let (runtime, task) = stuck_in(4, 3, &door);
    let mut first = runtime.resize(3);
    let mut second = runtime.resize(1);
    // The two workers that can retire do so.
    until(|| runtime.worker_threads() == 2);
    let mut third = runtime.resize(3);
    all_at_once(&runtime, 3);
    assert_eq!(runtime.worker_threads(), 4);
    for waiting in [&mut first, &mut second, &mut third] {
        assert!(poll_once(waiting).is_pending());
    }
    assert_eq!(parts(runtime.resize(4).wait().unwrap()), (3, 4, 4));
    let done = [first, second, third].map(|resize| parts(resize.wait().unwrap()));
    assert_eq!(done, [(4, 3, 1), (3, 1, 2), (1, 3, 3)]);
    // A `Resize` that is dropped waits for nothing.
    drop(runtime.resize(1));
    assert_eq!(parts(runtime.resize(4).wait().unwrap()), (1, 4, 6));
    door.open();
    join(task).unwrap();
    all_at_once(&runtime, 4);
}

/// The caller limits the wait.
#[test]
fn timeout_ends_wait_for_resize() {
    let door = Door::new();
    let (runtime, task) = stuck_in(2, 1, &door);
    let late = async { heist::time::timeout(Duration::from_millis(1), Handle::current().resize(1)).await };
    assert!(runtime.block_on(late).is_err());
    door.open();
    join(task).unwrap();
    until(|| runtime.worker_threads() == 1);
}

/// Ends the runtime by `end`, on a thread of its own, which may wait for the poll. Meanwhile two
/// threads wait for a resize, by `wait` and in async code. Returns once all of them have an error.
fn ends(end: impl FnOnce(Runtime) + Send + 'static, expected: impl Fn(&ResizeError) -> bool) {
    let door = Door::new();
    let (runtime, task) = stuck_in(3, 2, &door);
    let handle = runtime.handle().clone();
    let (tell, told) = mpsc::channel();
    let waits: [fn(Resize) -> _; 2] = [Resize::wait, |resize| futures::executor::block_on(resize)];
    let waiting = waits.map(|wait| {
        let (resize, tell) = (runtime.resize(2), tell.clone());
        thread::spawn(move || tell.send(wait(resize)).unwrap())
    });
    let forgotten = runtime.resize(1);
    let ending = thread::spawn(move || end(runtime));
    for _ in 0..2 {
        let error = told.recv().unwrap().unwrap_err();
        assert!(expected(&error), "{error}");
    }
    assert!(expected(&forgotten.wait().unwrap_err()));
    assert!(expected(&handle.resize(3).wait().unwrap_err()), "nor is another begun");
    assert!(!task.is_finished(), "the poll has not returned");
    door.open();
    ending.join().unwrap();
    waiting.into_iter().for_each(|thread| thread.join().unwrap());
    drop(task);
}

fn is_shut_down(error: &ResizeError) -> bool {
    matches!(error, ResizeError::ShutDown)
}

#[test]
fn runtime_drop_ends_wait_for_resize() {
    ends(drop, is_shut_down);
}

#[test]
fn shutdown_ends_wait_for_resize() {
    ends(Runtime::shutdown_background, is_shut_down);
    ends(|runtime| runtime.shutdown_timeout(Duration::MAX), is_shut_down);
}

#[test]
fn drain_ends_wait_for_resize() {
    let drain = |runtime: Runtime| assert_eq!(runtime.drain(Duration::MAX).wait().completed, 1);
    let expected = |error: &ResizeError| matches!(error, ResizeError::Draining | ResizeError::ShutDown);
    ends(drain, expected);
}
